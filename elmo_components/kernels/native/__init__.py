"""The compiled backend for CPUs: float32 and int8, without gradients."""

import ctypes
import math
from typing import Optional

import torch
from torch.autograd import forward_ad

from elmo_components.kernels import cpu
from elmo_components.kernels.call import LayerState, LstmCall
from elmo_components.kernels.native import library

__all__ = ["describe", "projected_lstm", "unavailable", "unsupported"]


def unavailable() -> Optional[str]:
    """Returns why this backend can compute no call on this machine, or `None`."""
    return library.find().missing


def describe() -> str:
    """Returns the instruction set and the precisions that it uses, and the number of threads."""
    found = library.find()
    instructions = library.INSTRUCTIONS[found.instructions]
    precisions = "float32" if found.int8 is None else "float32 and int8"
    return f"compiled, {instructions}, {precisions}, {torch.get_num_threads()} threads"


def unsupported(call: LstmCall) -> Optional[str]:
    """Returns why this backend cannot compute a call, or `None`."""
    missing = unavailable()
    if missing is not None:
        return missing
    if call.inputs.dtype != torch.float32:
        return f"the inputs are {call.inputs.dtype}, not float32"
    if call.precision == "int8" and library.find().int8 is None:
        return "for int8 it needs a processor with AVX-512 VNNI"
    if call.precision not in ("float32", "int8"):
        return f"it has no products in {call.precision}"
    if torch.is_grad_enabled() and cpu.requires_grad(call):
        return "it has no gradients"
    if cpu.autocast_to_bfloat16():
        return "it has no products in bfloat16, which autocast asks for"
    reason = cpu.unsupported(call)
    if reason is not None:
        return reason
    if forward_ad._current_level >= 0:
        return "it has no derivatives in forward mode"
    weights = (part for weight in call.weights for part in weight)
    try:
        for tensor in (call.inputs, call.lengths, *call.state, call.dropout, *weights):
            if tensor is not None:
                tensor.data_ptr()
    except RuntimeError:
        return "a tensor has no memory of its own, as within torch.func.vmap"
    return None


def projected_lstm(call: LstmCall) -> tuple[torch.Tensor, LayerState]:
    """
    See `kernels.reference.projected_lstm`.

    # Raises

    `ValueError` for shapes or lengths that do not fit each other. `MemoryError`.
    """
    _check(call)
    with torch.no_grad():
        return _run(call)


def _run(call: LstmCall) -> tuple[torch.Tensor, LayerState]:
    functions, instructions, int8, _ = library.find()
    assert functions is not None
    if call.precision == "int8" and int8 is not None:
        instructions = int8
    directions, batch, time, _ = call.inputs.shape
    sizes = _sizes(call)
    # (directions, floats)
    weights = _packed(call, sizes, instructions)
    # (directions, 4 * cell_size)
    biases = torch.stack([weight.bias for weight in call.weights])
    inputs = call.inputs.contiguous()
    hidden, cell = call.state.hidden.contiguous(), call.state.cell.contiguous()
    dropout = None if call.dropout is None else call.dropout.to(torch.float32).contiguous()
    lengths = call.lengths.to("cpu", torch.int64).contiguous()
    # (directions, batch, time, hidden_size)
    outputs = inputs.new_empty(directions, batch, time, sizes.hidden_size)
    last = LayerState(torch.empty_like(hidden), torch.empty_like(cell))
    layer = library.Layer(
        sizes=sizes,
        instructions=instructions,
        threads=torch.get_num_threads(),
        directions=directions,
        batch=batch,
        time=time,
        lengths=lengths.data_ptr(),
        weights=weights.data_ptr(),
        biases=biases.data_ptr(),
        inputs=inputs.data_ptr(),
        hidden=hidden.data_ptr(),
        cell=cell.data_ptr(),
        dropout=None if dropout is None else dropout.data_ptr(),
        cell_clip=math.inf if call.cell_clip is None else call.cell_clip,
        projection_clip=math.inf if call.projection_clip is None else call.projection_clip,
        outputs=outputs.data_ptr(),
        last_hidden=last.hidden.data_ptr(),
        last_cell=last.cell.data_ptr(),
    )
    if functions.elmo_layer(ctypes.byref(layer)) != 0:
        raise MemoryError("There is not enough memory for a layer. Use smaller batches")
    return outputs, last


def _sizes(call: LstmCall) -> library.Sizes:
    first = call.weights[0]
    return library.Sizes(
        input_size=call.inputs.size(-1),
        hidden_size=call.state.hidden.size(-1),
        cell_size=call.state.cell.size(-1),
        projected=first.projection is not None,
    )


def _packed(call: LstmCall, sizes: library.Sizes, instructions: int) -> torch.Tensor:
    parts = [
        part
        for weight in call.weights
        for part in (weight.input, weight.recurrent, weight.projection)
        if part is not None
    ]

    def pack() -> torch.Tensor:
        functions = library.find().functions
        assert functions is not None
        size = functions.elmo_packed_size(instructions, ctypes.byref(sizes))
        # (directions, floats)
        packed = call.inputs.new_empty(len(call.weights), size)
        for weight, target in zip(call.weights, packed):
            input_weight, recurrent = weight.input.contiguous(), weight.recurrent.contiguous()
            projection = None if weight.projection is None else weight.projection.contiguous()
            functions.elmo_pack(
                instructions,
                ctypes.byref(sizes),
                input_weight.data_ptr(),
                recurrent.data_ptr(),
                None if projection is None else projection.data_ptr(),
                target.data_ptr(),
            )
        return packed

    if call.packed is None:
        return pack()
    return call.packed.get(f"native {instructions}", parts, pack)


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
