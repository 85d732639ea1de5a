"""
The projected LSTM on a CPU with gradients: a layer is one step of autograd.

Backward, the loop over time holds only what the step before depends on; the gradients of weights
and inputs are each one product over all steps.
"""

from typing import Any, Optional

import torch
from torch import nn

from elmo_components.kernels.call import LayerState, LstmCall
from elmo_components.kernels.cpu_forward import block_rows, run
from elmo_components.kernels.engines import LIGHT_STEP, light_rows
from elmo_components.kernels.products import TRAINING_BFLOAT16
from elmo_components.kernels.steps import Steps

__all__ = ["projected_lstm"]

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
# the gradient of clamp, but 0 and not 1 at exactly the bound
_clamp_backward = torch.ops.aten.hardtanh_backward.grad_input


def projected_lstm(call: LstmCall, precision: str) -> tuple[torch.Tensor, LayerState]:
    """See `kernels.reference.projected_lstm`; `precision` is one of `products`' for training."""
    weights = [part for weight in call.weights for part in weight]
    outputs, hidden, cell = _Layer.apply(call, precision, call.inputs, *call.state, *weights)
    return outputs, LayerState(hidden, cell)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, call: LstmCall, precision: str, *tensors: Optional[torch.Tensor]
    ) -> tuple:
        outputs, state, ctx.kept = run(call, precision, keep=True)
        ctx.save_for_backward(call.dropout, *tensors[3:])
        # not the call itself, whose tensors would be kept alive
        ctx.lengths, ctx.shape = call.lengths, call.inputs.shape
        ctx.cell_clip, ctx.projection_clip = call.cell_clip, call.projection_clip
        # what the products are of
        ctx.dtype = torch.bfloat16 if precision == TRAINING_BFLOAT16 else call.inputs.dtype
        return outputs, *state

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The CPU backend has no derivatives of derivatives (create_graph=True); compute "
                'the forward pass within use_backend("reference")'
            )
        backward = _Backward(ctx)
        backward.run(*gradients)
        return None, None, *backward.of_inputs(), *backward.of_weights()


class _Backward:
    """Backpropagation through time of one layer, block by block of steps from the last."""

    def __init__(self, ctx: Any) -> None:
        dropout, *weights = ctx.saved_tensors
        self._ctx, self._kept = ctx, ctx.kept
        self._steps = Steps.of(ctx.lengths, ctx.shape[2])
        self._dropout = None if dropout is None else self._steps.sort(dropout)
        self._needed = ctx.needs_input_grad[2:]
        # (directions, ...), each, those that products are of in the products' type
        self._input, self._recurrent = (
            torch.stack(weights[kind::4]).to(ctx.dtype) for kind in range(2)
        )
        self._bias = torch.stack(weights[2::4])
        self._projection = None if weights[3] is None else torch.stack(weights[3::4]).to(ctx.dtype)
        self._light = ctx.dtype == torch.bfloat16
        # (directions, rows, input_size + hidden_size): what the gates are a product with
        self._read = torch.cat(
            [
                self._kept.inputs,
                self._steps.previous_rows(self._kept.hidden, self._kept.outputs),
            ],
            dim=-1,
        )
        if self._light:
            # a block's rows are rounded up, and may reach past all
            self._read = nn.functional.pad(self._read.to(ctx.dtype), (0, 0, 0, LIGHT_STEP))

    def run(self, outputs: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor) -> None:
        """Takes the gradients of the layer's outputs and of its state at the end."""
        steps, kept = self._steps, self._kept
        # (directions, rows, hidden_size): of the projections before clipping
        self._of_projected = steps.pack(outputs)
        # (directions, rows, cell_size): what was projected
        self._activated = torch.empty_like(kept.cells)
        # (directions, batch, ...): of the state before the step, in the rows' order
        self._of_hidden, self._of_cell = steps.sort(hidden), steps.sort(cell)
        self._of_input = torch.empty_like(kept.inputs)
        # (directions, 4 * cell_size, input_size + hidden_size), (directions, 4 * cell_size)
        self._of_gate_weights = kept.cells.new_zeros(
            kept.cells.size(0), 4 * kept.cells.size(-1), self._read.size(-1)
        )
        self._of_bias = self._of_gate_weights.new_zeros(self._of_gate_weights.shape[:2])
        # a second pass, after retain_graph=True, has none left
        saved = list(kept.gates)
        kept.gates.clear()
        step = len(steps.counts)
        for block in reversed(list(steps.blocks(block_rows(kept.cells)))):
            # (directions, rows of the block, 4 * cell_size): the gates, then their gradients
            gates = saved.pop() if saved else self._gates(block.rows)
            for step_gates in reversed(gates.split(block.counts, dim=1)):
                step -= 1
                self._step(step, step_gates)
            # the gradients as products read them
            factors = light_rows(gates) if self._light else gates
            if self._needed[0]:
                of_input = torch.bmm(factors, self._input)
                self._of_input[:, block.rows] = of_input[:, : gates.size(1)]
            if any(self._needed[3:]):
                read = self._read.narrow(1, block.rows.start, factors.size(1))
                _add_product(self._of_gate_weights, factors.transpose(1, 2), read)
                self._of_bias += gates.sum(dim=1)

    def of_inputs(self) -> tuple:
        """Returns the gradients of the inputs and of the state at the start."""
        steps = self._steps
        of_input = steps.pad(self._of_input, self._ctx.shape[1]) if self._needed[0] else None
        return of_input, steps.unsort(self._of_hidden), steps.unsort(self._of_cell)

    def of_weights(self) -> list[Optional[torch.Tensor]]:
        """Returns the gradients of each direction's input, recurrent, bias and projection."""
        if not any(self._needed[3:]):
            return [None] * len(self._needed[3:])
        sizes = [self._input.size(-1), self._recurrent.size(-1)]
        of_input, of_recurrent = self._of_gate_weights.split(sizes, dim=-1)
        gradients = [of_input, of_recurrent, self._of_bias]
        if self._projection is not None:
            # (directions, hidden_size, cell_size)
            of_projected, activated = self._of_projected, self._activated
            if self._light:
                of_projected, activated = light_rows(of_projected), light_rows(activated)
            gradients.append(
                torch.bmm(of_projected.transpose(1, 2), activated).to(self._bias.dtype)
            )
        return [
            None if gradient is None else gradient[direction]
            for direction in range(len(self._input))
            for gradient in (*gradients, None)[:4]
        ]

    def _gates(self, rows: slice) -> torch.Tensor:
        read = self._read[:, rows]
        inputs, previous = read.split([self._input.size(-1), self._recurrent.size(-1)], dim=-1)
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
        if not self._light:
            return torch.bmm(rows, weight)
        return torch.bmm(light_rows(rows), weight)[:, : rows.size(1)]

    def _step(self, step: int, gates: torch.Tensor) -> None:
        ctx, kept, steps = self._ctx, self._kept, self._steps
        count, rows = steps.counts[step], steps.rows(step)
        # (directions, count, hidden_size)
        projected = self._of_projected[:, rows].add_(self._of_hidden[:, :count])
        if self._dropout is not None:
            projected.mul_(self._dropout[:, :count])
        if self._projection is None:
            activated = projected.clone()
        else:
            if ctx.projection_clip is not None:
                clip = ctx.projection_clip
                _clamp_backward(
                    projected, kept.projected[:, rows], -clip, clip, grad_input=projected
                )
            # (directions, count, cell_size)
            activated = self._times(projected, self._projection).to(gates.dtype)
        new, of_cell = kept.cells[:, rows], self._of_cell[:, :count]
        old = kept.cell[:, :count]
        if step > 0:
            old = kept.cells[:, steps.rows(step - 1)][:, :count]
        # (directions, count, cell_size), each
        i, f, g, o = gates.chunk(4, dim=-1)
        squashed = torch.tanh(new)
        torch.mul(o, squashed, out=self._activated[:, rows])
        # h = o * tanh(c)
        of_o = activated * squashed
        of_squashed = activated.mul_(o)
        _sigmoid_backward(of_o, o, grad_input=o)
        of_cell.add_(_tanh_backward(of_squashed, squashed, grad_input=of_squashed))
        if ctx.cell_clip is not None:
            _clamp_backward(of_cell, new, -ctx.cell_clip, ctx.cell_clip, grad_input=of_cell)
        # c = i * g + f * c_(t-1)
        of_i, of_g, of_f = of_cell * g, of_cell * i, of_cell * old
        of_cell.mul_(f)
        _sigmoid_backward(of_i, i, grad_input=i)
        _tanh_backward(of_g, g, grad_input=g)
        _sigmoid_backward(of_f, f, grad_input=f)
        self._of_hidden[:, :count] = self._times(gates, self._recurrent)


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Adds a batched product to `total`, whose type may be wider."""
    if total.dtype == left.dtype:
        total.baddbmm_(left, right)
    else:
        total.add_(torch.bmm(left, right))
