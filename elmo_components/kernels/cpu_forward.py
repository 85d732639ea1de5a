"""
The projected LSTM on a CPU, forward.

The input products of many steps are one product; a step is then one product with the recurrent
weights of both directions, one with the projections, and element-wise work in place, for the
sentences that still run.
"""

from typing import NamedTuple, Optional

import torch

from elmo_components.kernels.call import LayerState, LstmCall
from elmo_components.kernels.engines import Parts
from elmo_components.kernels.packed import PackedWeights
from elmo_components.kernels.products import Product
from elmo_components.kernels.steps import Steps

__all__ = ["Kept", "block_rows", "run"]

# Input gates are computed for as many steps at once as fit into so many bytes: enough rows for a
# product at full speed, and below the 32 MB from which glibc gives memory back with each free.
BLOCK = 16 << 20


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
        # parts of (directions, rows of the block, 4 * cell_size)
        input_gates = products.input(inputs[:, block.rows], [bias])
        row = block.rows.start
        for count, output, *step_gates in zip(
            block.counts,
            outputs[:, block.rows].split(block.counts, dim=1),
            *(part.split(block.counts, dim=1) for part in input_gates),
        ):
            if cell.count != count:
                hidden, cell = hidden[:, :count], _Cell(cells, count)
            gates = products.recurrent(hidden, step_gates)
            # in training there is one part
            activated = cell.step(gates, call.cell_clip, step_gates[0] if keep_gates else None)
            _project(activated, products.projection, call.projection_clip, output)
            if kept is not None:
                rows = slice(row, row + count)
                kept.cells[:, rows] = cell.cell
                if kept.projected is not kept.outputs:
                    kept.projected[:, rows] = output
                row += count
            hidden = output if dropout is None else output.mul_(dropout[:, :count])
        if kept is not None and keep_gates:
            kept.gates.append(input_gates[0])
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
    """The memory cells of the first `count` rows."""

    def __init__(self, cells: torch.Tensor, count: int) -> None:
        self.count = count
        # (directions, count, cell_size), each
        self.cell = cells[:, :count]
        self._activated = torch.empty_like(self.cell, memory_format=torch.contiguous_format)

    def step(
        self, parts: Parts, clip: Optional[float], keep: Optional[torch.Tensor]
    ) -> torch.Tensor:
        """
        Returns sigmoid(o) * tanh(c_t), (directions, count, cell_size), valid to the next step.

        # Parameters

        parts : `Parts`
            The gates before their non-linearities.
        clip : `Optional[float]`
            Of the cells.
        keep : `Optional[torch.Tensor]`
            Where to write the gates after their non-linearities, (directions, count,
            4 * cell_size); `None` for nowhere.
        """
        sizes = [part.size(0) for part in parts]
        kept_parts = [None] * len(parts) if keep is None else keep.split(sizes)
        # (directions of the part, count, cell_size), each
        cells, activations = self.cell.split(sizes), self._activated.split(sizes)
        for gates, kept, cell, activated in zip(parts, kept_parts, cells, activations):
            i, f, g, o = _activate(gates, kept)
            cell.mul_(f).addcmul_(i, g)
            if clip is not None:
                cell.clamp_(-clip, clip)
            torch.tanh(cell, out=activated).mul_(o)
        return self._activated


def _activate(gates: torch.Tensor, out: Optional[torch.Tensor]) -> list[torch.Tensor]:
    """Returns the four gates after their non-linearities, written to `out` or in place."""
    # (directions, count, cell_size), each
    i, f, g, o = gates.chunk(4, dim=-1)
    # (directions, count, 2 * cell_size)
    i_and_f = gates.narrow(-1, 0, 2 * i.size(-1))
    if out is None:
        i_and_f.sigmoid_()
        return [i, f, g.tanh_(), o.sigmoid_()]
    kept = out.chunk(4, dim=-1)
    torch.sigmoid(i_and_f, out=out.narrow(-1, 0, i_and_f.size(-1)))
    return [kept[0], kept[1], torch.tanh(g, out=kept[2]), torch.sigmoid(o, out=kept[3])]


def _project(
    activated: torch.Tensor, projection: Optional[Product], clip: Optional[float], out: torch.Tensor
) -> None:
    parts = [activated] if projection is None else projection(activated)
    for part, target in zip(parts, out.split([part.size(0) for part in parts])):
        if projection is None or clip is None:
            target.copy_(part)
        else:
            torch.clamp(part, -clip, clip, out=target)


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
