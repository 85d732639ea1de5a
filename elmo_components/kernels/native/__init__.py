"""
The compiled backend for CPUs: float32 and bfloat16 with and without gradients, int8 without.

Within `torch.autocast("cpu", dtype=torch.bfloat16)` products are bfloat16, as those of `cpu`.
"""

from typing import Optional

import torch

from elmo_components.kernels import cpu
from elmo_components.kernels.call import PRECISIONS, LayerState, LstmCall, StackCall
from elmo_components.kernels.native import library, training
from elmo_components.kernels.native.forward import run_layer, run_stack

__all__ = [
    "bidirectional_layers",
    "describe",
    "projected_lstm",
    "stack_unsupported",
    "unavailable",
    "unsupported",
]


def unavailable() -> Optional[str]:
    """Returns why this backend can compute no call on this machine, or `None`."""
    return library.find().missing


def describe() -> str:
    """Returns the instruction set and the precisions that it uses, and the number of threads."""
    found = library.find()
    instructions = library.INSTRUCTIONS[found.instructions]
    lower = [name for name in PRECISIONS[1:] if getattr(found, name) is not None]
    precisions = ", ".join(["float32", *lower])
    return f"compiled, {instructions}, {precisions}, {torch.get_num_threads()} threads"


def unsupported(call: LstmCall) -> Optional[str]:
    """Returns why this backend cannot compute a call, or `None`."""
    missing = unavailable()
    if missing is not None:
        return missing
    if call.inputs.dtype != torch.float32:
        return f"the inputs are {call.inputs.dtype}, not float32"
    reason = cpu.unsupported(call)
    if reason is not None:
        return reason
    return _lacks_instructions()


def stack_unsupported(call: StackCall) -> Optional[str]:
    """Returns why this backend cannot compute all layers by one call, or `None`."""
    missing = unavailable()
    if missing is not None:
        return missing
    if torch.jit.is_tracing():
        return "its calls cannot be traced"
    weights = (part for pair in call.weights for weight in pair for part in weight)
    tensors = [call.inputs, call.outputs, *(call.state or ()), *weights]
    for tensor in tensors:
        if tensor is None:
            continue
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            return f"a tensor is {tensor.dtype} on the device {tensor.device}"
        if torch.is_grad_enabled() and tensor.requires_grad:
            return "gradients are computed layer by layer"
    return cpu.transformed([call.lengths, *tensors]) or _lacks_instructions()


def _lacks_instructions() -> Optional[str]:
    if cpu.autocast_to_bfloat16() and library.find().bfloat16 is None:
        return "this processor has no AVX-512 BF16, which autocast to bfloat16 needs"
    return None


def projected_lstm(call: LstmCall) -> tuple[torch.Tensor, LayerState]:
    """
    See `kernels.reference.projected_lstm`.

    # Raises

    `ValueError` for shapes or lengths that do not fit each other. `MemoryError`. `RuntimeError` for
    second derivatives.
    """
    _check(call)
    bfloat16 = cpu.autocast_to_bfloat16()
    with torch.autocast("cpu", enabled=False):
        if torch.is_grad_enabled() and cpu.requires_grad(call):
            return training.projected_lstm(call, bfloat16=bfloat16)
        with torch.no_grad():
            return run_layer(call._replace(precision=_lower(call.precision, bfloat16)))


def bidirectional_layers(call: StackCall) -> LayerState:
    """
    Writes the outputs of all layers into `call.outputs`, and returns the state after each
    sentence's last step.

    # Raises

    `ValueError` for shapes or lengths that do not fit each other. `MemoryError`.
    """
    num_layers, batch, time, width = call.outputs.shape
    if not call.outputs.is_contiguous():
        raise ValueError("The outputs must be contiguous")
    if len(call.weights) != num_layers or len(call.packed) != num_layers:
        raise ValueError(f"There must be weights for {num_layers} layers")
    for layer, weights in enumerate(call.weights):
        # a view, whose shapes are checked as one layer's
        below = call.inputs if layer == 0 else call.outputs[layer - 1, ..., : width // 2]
        _check(
            LstmCall(
                inputs=below.unsqueeze(0).expand(2, -1, -1, -1),
                lengths=call.lengths,
                weights=weights,
                state=_state(call, layer),
            )
        )
        if weights[0].recurrent.size(1) * 2 != width or below.shape[:2] != (batch, time):
            raise ValueError(
                f"The outputs must be of shape {(num_layers, *call.inputs.shape[:2])} and twice "
                f"the hidden size; found {tuple(call.outputs.shape)}"
            )
    with torch.no_grad():
        return run_stack(
            call._replace(precision=_lower(call.precision, cpu.autocast_to_bfloat16()))
        )


def _lower(precision: str, bfloat16: bool) -> str:
    """Returns the lower of a call's precision and, with `bfloat16`, this one."""
    return "bfloat16" if bfloat16 and precision == "float32" else precision


def _state(call: StackCall, layer: int) -> LayerState:
    if call.state is not None:
        return LayerState(call.state.hidden[layer], call.state.cell[layer])
    recurrent, batch = call.weights[layer][0].recurrent, call.inputs.size(0)
    # without memory
    zero = recurrent.new_zeros(1, 1, 1)
    return LayerState(
        zero.expand(2, batch, recurrent.size(1)), zero.expand(2, batch, recurrent.size(0) // 4)
    )


def _check(call: LstmCall) -> None:
    """The library reads and writes memory by these sizes."""
    directions, batch, time, input_size = call.inputs.shape
    hidden_size, cell_size = call.state.hidden.size(-1), call.state.cell.size(-1)
    first = call.weights[0]
    projection = None if first.projection is None else (hidden_size, cell_size)
    gates = 4 * cell_size
    expected = ((gates, input_size), (gates, hidden_size), (gates,), projection)
    shapes = [
        ("hidden state", call.state.hidden, (directions, batch, hidden_size)),
        ("cell state", call.state.cell, (directions, batch, cell_size)),
        ("lengths", call.lengths, (batch,)),
        *(
            (f"{name} weight", part, shape)
            for weight in call.weights
            for name, part, shape in zip(weight._fields, weight, expected)
        ),
    ]
    if call.dropout is not None:
        shapes.append(("dropout", call.dropout, (directions, batch, hidden_size)))
    for name, part, shape in shapes:
        found = None if part is None else tuple(part.shape)
        if found != shape:
            raise ValueError(f"The {name} must be of shape {shape}; found {found}")
    if len(call.weights) != directions:
        raise ValueError(
            f"There must be weights for {directions} directions; found {len(call.weights)}"
        )
    if projection is None and hidden_size != cell_size:
        raise ValueError(
            f"Without a projection, hidden_size must equal cell_size; found {hidden_size} and "
            f"{cell_size}"
        )
    if batch and not 0 <= int(call.lengths.min()) <= int(call.lengths.max()) <= time:
        raise ValueError(f"The lengths must be from 0 to {time}; found {call.lengths.tolist()}")
