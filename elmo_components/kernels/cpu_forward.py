"""
The projected LSTM on a CPU, forward.

The input products of many steps are one product; a step is then one product with the recurrent
weights of both directions, one with the projections, and element-wise work in place, for the
sentences that still run.
"""

from typing import NamedTuple, Optional

import torch

from elmo_components.kernels.call import LayerState, LstmCall
from elmo_components.kernels.packed import PackedWeights
from elmo_components.kernels.products import Product
from elmo_components.kernels.steps import Steps

__all__ = ["Kept", "block_rows", "run"]

# Input gates are computed for as many steps at once as fit into so many bytes: enough rows for a
# product at full speed, and below the 32 MB from which glibc gives memory back with each free.
BLOCK = 24 << 20


class Kept(NamedTuple):
    """What a backward pass needs of every step, in the rows' order."""

    # (directions, rows, input_size)
    inputs: torch.Tensor
    # (directions, batch, hidden_size), (directions, batch, cell_size): at the start
    hidden: torch.Tensor
    cell: torch.Tensor
    # (directions, rows of a block, 4 * cell_size), for each block, after their non-linearities;
    # none where they are to be computed again
    gates: list[torch.Tensor]
    # (directions, rows, cell_size)
    cells: torch.Tensor
    # (directions, rows, hidden_size): without and with dropout
    projected: torch.Tensor
    outputs: torch.Tensor


class _Products(NamedTuple):
    input: Product
    recurrent: Product
    projection: Optional[Product]


def run(
    call: LstmCall, precision: str, *, keep: bool = False
) -> tuple[torch.Tensor, LayerState, Optional[Kept]]:
    """
    Returns the outputs and the state, as `kernels.reference.projected_lstm` defines them, and, to
    `keep`, what a backward pass needs.
    """
    directions, batch, time, _ = call.inputs.shape
    hidden_size = call.state.hidden.size(-1)
    products = _products(call, precision)
    steps = Steps.of(call.lengths, time)
    # (directions, 1, 4 * cell_size)
    bias = torch.stack([weight.bias for weight in call.weights]).unsqueeze(1)
    # (directions, rows, input_size)
    inputs = steps.pack(call.inputs)
    dropout = None if call.dropout is None else steps.sort(call.dropout)
    # (directions, batch, hidden_size), (directions, batch, cell_size)
    start, cells = steps.sort(call.state.hidden), steps.sort(call.state.cell)
    # (directions, rows, hidden_size)
    outputs = inputs.new_empty(directions, steps.num_rows, hidden_size)
    kept = _keep(call, inputs, start, cells, outputs) if keep else None
    keep_gates = keep and not call.recompute_gates
    hidden, cell = start, _Cell(cells, 0)
    for block in steps.blocks(block_rows(cells)):
        # (directions, rows of the block, 4 * cell_size)
        input_gates = products.input.of(inputs[:, block.rows], bias)
        row = block.rows.start
        for count, step_gates, output in zip(
            block.counts,
            input_gates.split(block.counts, dim=1),
            outputs[:, block.rows].split(block.counts, dim=1),
        ):
            if cell.count != count:
                hidden, cell = hidden[:, :count], _Cell(cells, count)
            products.recurrent.into(cell.gates, hidden, step_gates)
            activated = cell.step(call.cell_clip, step_gates if keep_gates else None)
            _project(activated, products.projection, call.projection_clip, output)
            if kept is not None:
                rows = slice(row, row + count)
                kept.cells[:, rows] = cell.cell
                if kept.projected is not kept.outputs:
                    kept.projected[:, rows] = output
                row += count
            hidden = output if dropout is None else output.mul_(dropout[:, :count])
        if kept is not None and keep_gates:
            kept.gates.append(input_gates)
    end = LayerState(steps.unsort(steps.last(start, outputs)), steps.unsort(cells))
    return steps.pad(outputs, batch), end, kept


def block_rows(cells: torch.Tensor) -> int:
    """Returns how many rows' gates are computed at once, for cells of shape (..., cell_size)."""
    return BLOCK // (cells.size(0) * 4 * cells.size(-1) * cells.element_size())


def _products(call: LstmCall, precision: str) -> _Products:
    packed = PackedWeights() if call.packed is None else call.packed

    def product(name: str) -> Product:
        weights = [getattr(weight, name) for weight in call.weights]
        return packed.get(f"{name} {precision}", weights, lambda: Product(weights, precision))

    return _Products(
        product("input"),
        product("recurrent"),
        None if call.weights[0].projection is None else product("projection"),
    )


class _Cell:
    """The memory cells of the first `count` rows, and the buffers of a step that changes them."""

    def __init__(self, cells: torch.Tensor, count: int) -> None:
        directions, _, size = cells.shape
        self.count = count
        # (directions, count, 4 * cell_size)
        self.gates = cells.new_empty(directions, count, 4 * size)
        # (directions, count, cell_size)
        self.cell = cells[:, :count]
        self._activated = torch.empty_like(self.cell, memory_format=torch.contiguous_format)
        self._parts = _parts(self.gates)

    def step(self, clip: Optional[float], keep: Optional[torch.Tensor]) -> torch.Tensor:
        """
        Returns sigmoid(o) * tanh(c_t), (directions, count, cell_size), valid to the next step, and
        writes the gates after their non-linearities to `keep`, of the shape of `gates`.
        """
        parts = self._parts if keep is None else _parts(keep)
        i_f, g, o = self._parts[0], self._parts[3], self._parts[4]
        kept_i_f, i, f, kept_g, kept_o = parts
        torch.sigmoid(i_f, out=kept_i_f)
        torch.tanh(g, out=kept_g)
        torch.sigmoid(o, out=kept_o)
        self.cell.mul_(f).addcmul_(i, kept_g)
        if clip is not None:
            self.cell.clamp_(-clip, clip)
        return torch.tanh(self.cell, out=self._activated).mul_(kept_o)


def _parts(gates: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Returns views of gates of shape (..., 4 * cell_size): i and f together, i, f, g, o."""
    i, f, g, o = gates.chunk(4, dim=-1)
    return gates[..., : gates.size(-1) // 2], i, f, g, o


def _project(
    activated: torch.Tensor, projection: Optional[Product], clip: Optional[float], out: torch.Tensor
) -> None:
    if projection is None:
        out.copy_(activated)
    elif clip is None:
        out.copy_(projection.of(activated))
    else:
        torch.clamp(projection.of(activated), -clip, clip, out=out)


def _keep(
    call: LstmCall,
    inputs: torch.Tensor,
    hidden: torch.Tensor,
    cell: torch.Tensor,
    outputs: torch.Tensor,
) -> Kept:
    directions, rows, _ = inputs.shape
    return Kept(
        inputs,
        hidden,
        cell.clone(),
        [],
        inputs.new_empty(directions, rows, cell.size(-1)),
        outputs if call.dropout is None else torch.empty_like(outputs),
        outputs,
    )
