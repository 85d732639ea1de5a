"""
The compiled projected LSTM with gradients: a layer is one autograd function.

The library computes the gradients of gates, states and inputs. Those of the weights are one product
each for all steps, by torch. Products are float32, or bfloat16 with sums in float32. The gates
after their activation functions are saved, since computing them again takes as long as the forward
pass; with `recompute_gates` they are computed again.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import torch

from elmo_components.kernels.call import DirectionWeights, LayerState, LstmCall
from elmo_components.kernels.native import library
from elmo_components.kernels.native.forward import (
    Saved,
    address,
    batch_of,
    check_status,
    cpu_lengths,
    packed_by,
    run_layer,
    sizes_of,
)
from elmo_components.kernels.native.structures import Gradients
from elmo_components.kernels.products import padded_bfloat16, padded_count

__all__ = ["projected_lstm"]


def projected_lstm(call: LstmCall, *, bfloat16: bool) -> tuple[torch.Tensor, LayerState]:
    """See `kernels.reference.projected_lstm`; with `bfloat16`, products are of bfloat16 numbers."""
    call = call._replace(precision="bfloat16" if bfloat16 else "float32")
    weights = [part for weight in call.weights for part in weight]
    outputs, hidden, cell = _Layer.apply(call, call.inputs, *call.state, *weights)
    return outputs, LayerState(hidden, cell)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: LstmCall, *tensors: Optional[torch.Tensor]) -> tuple:
        # without the cache: training changes the weights at each step
        call = call._replace(packed=None)
        saved = _saved(call)
        outputs, state = run_layer(call, saved)
        _, _, cell, *weights = tensors
        # not on `ctx`, where they would live as long as the outputs, out of checkpointing's sight
        ctx.save_for_backward(call.lengths, call.dropout, cell, *saved, *weights)
        ctx.shape, ctx.clips = call.inputs.shape, _Clips(call.cell_clip, call.projection_clip)
        ctx.precision, ctx.has_gates = call.precision, saved.gates is not None
        return outputs, *state

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The native backend has no second derivatives (create_graph=True). Run the forward "
                'pass within use_backend("reference")'
            )
        return None, *_backward(ctx, *gradients)


class _Clips(NamedTuple):
    cell_clip: Optional[float]
    projection_clip: Optional[float]


def _saved(call: LstmCall) -> Saved:
    """Returns memory for what the forward pass saves."""
    directions, _, _, input_size = call.inputs.shape
    hidden_size, cell_size = call.state.hidden.size(-1), call.state.cell.size(-1)
    clips = call.projection_clip is not None and call.weights[0].projection is not None
    rows = directions, int(call.lengths.sum())
    empty = call.inputs.new_empty
    return Saved(
        gates=None if call.recompute_gates else empty(*rows, 4 * cell_size),
        cells=empty(*rows, cell_size),
        inputs=empty(*rows, input_size + hidden_size),
        projected=empty(*rows, hidden_size) if clips else None,
    )


def _backward(
    ctx: Any, grad_outputs: torch.Tensor, grad_hidden: torch.Tensor, grad_cell: torch.Tensor
) -> list[Optional[torch.Tensor]]:
    """Returns the gradients of the inputs, the initial state and each direction's weights."""
    lengths, dropout, cell, *parts = ctx.saved_tensors
    number = len(Saved._fields)
    saved, parts = Saved(*parts[:number]), parts[number:]
    weights = [DirectionWeights(*parts[place : place + 4]) for place in range(0, len(parts), 4)]
    needs_inputs, _, _, *needs_weights = ctx.needs_input_grad[1:]
    bfloat16 = ctx.precision == "bfloat16"
    gates = saved.gates if ctx.has_gates else None
    if gates is None:
        gates = _gates(weights, saved.inputs, bfloat16=bfloat16)
    # the library overwrites them: a second backward pass, after retain_graph=True, recomputes them
    ctx.has_gates = False
    # (directions, rows or more, 4 * cell_size): the gradients of the gates, and 0
    rounded_gates = _rows_of_bfloat16(gates) if bfloat16 else None
    grad_outputs, cell = grad_outputs.contiguous(), cell.contiguous()
    # (directions, batch, hidden_size), (directions, batch, cell_size): the library overwrites them
    grad_hidden, grad_cell = (
        part.clone(memory_format=torch.contiguous_format) for part in (grad_hidden, grad_cell)
    )
    # (directions, rows, hidden_size), (directions, rows, cell_size): what the gradient of the
    # projection multiplies
    grad_projected = gates.new_empty(*gates.shape[:2], grad_hidden.size(-1))
    activated = torch.empty_like(saved.cells)
    # (directions, batch, time, input_size)
    grad_inputs = gates.new_empty(ctx.shape) if needs_inputs else None
    sizes, instructions = sizes_of(weights[0]), library.instructions_for(ctx.precision)
    functions = library.functions()
    size = functions.elmo_packed_backward_size(instructions, ctypes.byref(sizes))
    packed = packed_by(functions.elmo_pack_backward, weights, sizes, size, instructions)
    if dropout is not None:
        dropout = dropout.to(torch.float32).contiguous()
    lengths = cpu_lengths(lengths)
    arrays = (Gradients * len(weights))()
    for direction, array in enumerate(arrays):
        array.weights = address(packed, direction)
        array.cell, array.dropout = address(cell, direction), address(dropout, direction)
        array.grad_outputs = address(grad_outputs, direction)
        array.saved_cells = address(saved.cells, direction)
        array.saved_projected = address(saved.projected, direction)
        array.gates = address(gates, direction)
        array.rounded_gates = address(rounded_gates, direction)
        array.grad_projected = address(grad_projected, direction)
        array.activated = address(activated, direction)
        array.grad_hidden = address(grad_hidden, direction)
        array.grad_cell = address(grad_cell, direction)
        array.grad_inputs = address(grad_inputs, direction)
    arguments = batch_of(ctx.clips, lengths, ctx.shape[2], len(weights), instructions)
    check_status(functions.elmo_backward(ctypes.byref(arguments), ctypes.byref(sizes), arrays))
    found: list[Optional[torch.Tensor]] = [None] * len(needs_weights)
    if any(needs_weights):
        # (directions, 4 * cell_size, input_size + hidden_size)
        factors = gates if rounded_gates is None else rounded_gates
        grad_gates = _weight_gradient(factors, saved.inputs)
        found = _by_direction(
            *grad_gates.split([sizes.input_size, sizes.hidden_size], dim=-1),
            gates.sum(dim=1),
            _weight_gradient(
                padded_bfloat16(grad_projected) if bfloat16 else grad_projected, activated
            )
            if sizes.projected
            else None,
        )
    return [grad_inputs, grad_hidden, grad_cell, *found]


def _rows_of_bfloat16(gates: torch.Tensor) -> torch.Tensor:
    """Returns memory for the same rows in bfloat16, as `padded_bfloat16` would."""
    directions, count, size = gates.shape
    rows = gates.new_empty(directions, padded_count(count), size, dtype=torch.bfloat16)
    rows[:, count:] = 0.0
    return rows


def _weight_gradient(gradients: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Returns the sum over rows of their outer products, in the type of `gradients`' products."""
    if gradients.dtype == torch.bfloat16:
        factors = padded_bfloat16(factors)
    return torch.bmm(gradients.transpose(1, 2), factors).float()


def _by_direction(*gradients: Optional[torch.Tensor]) -> list[Optional[torch.Tensor]]:
    assert gradients[0] is not None
    return [
        None if gradient is None else gradient[direction]
        for direction in range(len(gradients[0]))
        for gradient in gradients
    ]


def _gates(
    weights: Sequence[DirectionWeights], inputs: torch.Tensor, *, bfloat16: bool
) -> torch.Tensor:
    """Recomputes the gates after their activation functions, (directions, rows, 4 * cell_size)."""
    # (directions, 4 * cell_size, input_size + hidden_size)
    factors = torch.stack([torch.cat([one.input, one.recurrent], dim=1) for one in weights])
    if bfloat16:
        # products of rounded numbers, with sums in float32
        inputs, factors = inputs.bfloat16().float(), factors.bfloat16().float()
    biases = torch.stack([weight.bias for weight in weights])
    gates = torch.baddbmm(biases.unsqueeze(1), inputs, factors.transpose(1, 2))
    i, f, g, o = gates.chunk(4, dim=-1)
    i.sigmoid_()
    f.sigmoid_()
    g.tanh_()
    o.sigmoid_()
    return gates
