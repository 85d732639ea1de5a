"""
The projected LSTM on a CPU with gradients: a layer is one autograd function.

The backward loop over time computes only the gradients of gates and states. The gradients of
weights and inputs are one product each for a block of steps.
"""

from typing import Any, Optional

import torch
from torch import nn

from elmo_components.kernels.call import LayerState, LstmCall
from elmo_components.kernels.cpu_forward import SavedForBackward, block_rows, run
from elmo_components.kernels.products import ROW_STEP, padded_bfloat16
from elmo_components.kernels.steps import Steps

__all__ = ["projected_lstm"]

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
# the gradient of clamp, but 0 and not 1 at exactly the bound
_clamp_backward = torch.ops.aten.hardtanh_backward.grad_input


def projected_lstm(call: LstmCall, *, bfloat16: bool) -> tuple[torch.Tensor, LayerState]:
    """See `kernels.reference.projected_lstm`; with `bfloat16`, products are of bfloat16 numbers."""
    weights = [part for weight in call.weights for part in weight]
    outputs, hidden, cell = _Layer.apply(call, bfloat16, call.inputs, *call.state, *weights)
    return outputs, LayerState(hidden, cell)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, call: LstmCall, bfloat16: bool, *tensors: Optional[torch.Tensor]
    ) -> tuple:
        outputs, state, saved = run(call, bfloat16=bfloat16, save=True)
        assert saved is not None
        # on `ctx`, since the backward pass overwrites and frees them
        ctx.gates = saved.gates
        ctx.save_for_backward(
            call.dropout, *{**saved._asdict(), "gates": None}.values(), *tensors[3:]
        )
        # the call itself would keep its tensors in memory
        ctx.lengths, ctx.shape = call.lengths, call.inputs.shape
        ctx.cell_clip, ctx.projection_clip = call.cell_clip, call.projection_clip
        # the type of the products
        ctx.dtype = torch.bfloat16 if bfloat16 else call.inputs.dtype
        return outputs, *state

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The CPU backend has no second derivatives (create_graph=True). Run the forward "
                'pass within use_backend("reference")'
            )
        backward = _Backward(ctx)
        backward.run(*gradients)
        return None, None, *backward.grad_inputs(), *backward.grad_weights()


class _Backward:
    """Backpropagation through time of one layer, block by block of steps from the last."""

    def __init__(self, ctx: Any) -> None:
        dropout, *parts = ctx.saved_tensors
        number = len(SavedForBackward._fields)
        saved, weights = SavedForBackward(*parts[:number]), parts[number:]
        self._ctx, self._saved = ctx, saved._replace(gates=ctx.gates)
        self._steps = Steps.of(ctx.lengths, ctx.shape[2])
        self._dropout = None if dropout is None else self._steps.sort(dropout)
        self._needed = ctx.needs_input_grad[2:]
        # (directions, ...), each, in the type of the products
        self._input, self._recurrent = (
            torch.stack(weights[kind::4]).to(ctx.dtype) for kind in range(2)
        )
        self._bias = torch.stack(weights[2::4])
        self._projection = None if weights[3] is None else torch.stack(weights[3::4]).to(ctx.dtype)
        self._bfloat16 = ctx.dtype == torch.bfloat16
        # (directions, rows, input_size + hidden_size): the factors of the gates' weights
        self._gate_inputs = torch.cat(
            [
                self._saved.inputs,
                self._steps.previous_rows(self._saved.hidden, self._saved.outputs),
            ],
            dim=-1,
        )
        if self._bfloat16:
            # rounding up a block's number of rows may exceed the number of rows
            self._gate_inputs = nn.functional.pad(
                self._gate_inputs.to(ctx.dtype), (0, 0, 0, ROW_STEP)
            )

    def run(self, outputs: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor) -> None:
        """Backpropagates the gradients of the layer's outputs and of its final state."""
        steps, saved = self._steps, self._saved
        # (directions, rows, hidden_size): with respect to the projections before clipping
        self._grad_projected = steps.pack(outputs)
        # (directions, rows, cell_size): o * tanh(c), the projection's input
        self._activated = torch.empty_like(saved.cells)
        # (directions, batch, ...): with respect to the state before the step, in row order
        self._grad_hidden, self._grad_cell = steps.sort(hidden), steps.sort(cell)
        self._grad_input = torch.empty_like(saved.inputs)
        # (directions, 4 * cell_size, input_size + hidden_size), (directions, 4 * cell_size)
        self._grad_gate_weights = saved.cells.new_zeros(
            saved.cells.size(0), 4 * saved.cells.size(-1), self._gate_inputs.size(-1)
        )
        self._grad_bias = self._grad_gate_weights.new_zeros(self._grad_gate_weights.shape[:2])
        # a second backward pass, after retain_graph=True, recomputes the gates
        block_gates = list(saved.gates)
        saved.gates.clear()
        step = len(steps.counts)
        for block in reversed(list(steps.blocks(block_rows(saved.cells)))):
            # (directions, rows of the block, 4 * cell_size): the gates, then their gradients
            gates = block_gates.pop() if block_gates else self._gates(block.rows)
            for step_gates in reversed(gates.split(block.counts, dim=1)):
                step -= 1
                self._step(step, step_gates)
            # (directions, rows of the block or more, 4 * cell_size), in the type of the products
            factors = padded_bfloat16(gates) if self._bfloat16 else gates
            if self._needed[0]:
                grad_input = torch.bmm(factors, self._input)
                self._grad_input[:, block.rows] = grad_input[:, : gates.size(1)]
            if any(self._needed[3:]):
                gate_inputs = self._gate_inputs.narrow(1, block.rows.start, factors.size(1))
                _add_product(self._grad_gate_weights, factors.transpose(1, 2), gate_inputs)
                self._grad_bias += gates.sum(dim=1)

    def grad_inputs(self) -> tuple:
        """Returns the gradients of the inputs and of the initial state."""
        steps = self._steps
        grad_input = steps.pad(self._grad_input, self._ctx.shape[1]) if self._needed[0] else None
        return grad_input, steps.unsort(self._grad_hidden), steps.unsort(self._grad_cell)

    def grad_weights(self) -> list[Optional[torch.Tensor]]:
        """Returns the gradients of each direction's input, recurrent, bias and projection."""
        if not any(self._needed[3:]):
            return [None] * len(self._needed[3:])
        sizes = [self._input.size(-1), self._recurrent.size(-1)]
        grad_input, grad_recurrent = self._grad_gate_weights.split(sizes, dim=-1)
        gradients = [grad_input, grad_recurrent, self._grad_bias]
        if self._projection is not None:
            # (directions, hidden_size, cell_size)
            grad_projected, activated = self._grad_projected, self._activated
            if self._bfloat16:
                grad_projected, activated = (
                    padded_bfloat16(grad_projected),
                    padded_bfloat16(activated),
                )
            gradients.append(
                torch.bmm(grad_projected.transpose(1, 2), activated).to(self._bias.dtype)
            )
        return [
            None if gradient is None else gradient[direction]
            for direction in range(len(self._input))
            for gradient in (*gradients, None)[:4]
        ]

    def _gates(self, rows: slice) -> torch.Tensor:
        sizes = [self._input.size(-1), self._recurrent.size(-1)]
        inputs, previous = self._gate_inputs[:, rows].split(sizes, dim=-1)
        # (directions, rows of the block, 4 * cell_size)
        gates = self._bias.unsqueeze(1) + torch.bmm(inputs, self._input.transpose(1, 2))
        _add_product(gates, previous, self._recurrent.transpose(1, 2))
        i, f, g, o = gates.chunk(4, dim=-1)
        i.sigmoid_()
        f.sigmoid_()
        g.tanh_()
        o.sigmoid_()
        return gates

    def _times(self, rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if not self._bfloat16:
            return torch.bmm(rows, weight)
        return torch.bmm(padded_bfloat16(rows), weight)[:, : rows.size(1)]

    def _step(self, step: int, gates: torch.Tensor) -> None:
        ctx, saved, steps = self._ctx, self._saved, self._steps
        count, rows = steps.counts[step], steps.rows(step)
        # (directions, count, hidden_size)
        projected = self._grad_projected[:, rows].add_(self._grad_hidden[:, :count])
        if self._dropout is not None:
            projected.mul_(self._dropout[:, :count])
        if self._projection is None:
            activated = projected.clone()
        else:
            if ctx.projection_clip is not None:
                clip = ctx.projection_clip
                _clamp_backward(
                    projected, saved.projected[:, rows], -clip, clip, grad_input=projected
                )
            # (directions, count, cell_size)
            activated = self._times(projected, self._projection).to(gates.dtype)
        new, grad_cell = saved.cells[:, rows], self._grad_cell[:, :count]
        old = saved.cell[:, :count]
        if step > 0:
            old = saved.cells[:, steps.rows(step - 1)][:, :count]
        # (directions, count, cell_size), each
        i, f, g, o = gates.chunk(4, dim=-1)
        squashed = torch.tanh(new)
        torch.mul(o, squashed, out=self._activated[:, rows])
        # h = o * tanh(c)
        grad_o = activated * squashed
        grad_squashed = activated.mul_(o)
        _sigmoid_backward(grad_o, o, grad_input=o)
        grad_cell.add_(_tanh_backward(grad_squashed, squashed, grad_input=grad_squashed))
        if ctx.cell_clip is not None:
            _clamp_backward(grad_cell, new, -ctx.cell_clip, ctx.cell_clip, grad_input=grad_cell)
        # c = i * g + f * c_(t-1)
        grad_i, grad_g, grad_f = grad_cell * g, grad_cell * i, grad_cell * old
        grad_cell.mul_(f)
        _sigmoid_backward(grad_i, i, grad_input=i)
        _tanh_backward(grad_g, g, grad_input=g)
        _sigmoid_backward(grad_f, f, grad_input=f)
        self._grad_hidden[:, :count] = self._times(gates, self._recurrent)


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Adds a batched product to `total`, which may be of a wider type."""
    if total.dtype == left.dtype:
        total.baddbmm_(left, right)
    else:
        total.add_(torch.bmm(left, right))
