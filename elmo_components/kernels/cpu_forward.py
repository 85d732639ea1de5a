"""
The forward pass of the projected LSTM on a CPU.

The inputs of a block of steps are multiplied at once. Each step has one product with the recurrent
weights, one with the projections, and element-wise operations in place. It computes only the
sentences that have not ended.
"""

from typing import NamedTuple, Optional

import torch

from elmo_components.kernels.call import LayerState, LstmCall
from elmo_components.kernels.engines import Outputs
from elmo_components.kernels.packed import PackedWeights
from elmo_components.kernels.products import Product
from elmo_components.kernels.steps import Steps

__all__ = ["SavedForBackward", "block_rows", "run"]

# Bytes of the input gates of a block: enough rows for a product at full speed, but below 32 MB,
# where glibc starts to return memory to the system at each free.
BLOCK = 16 << 20

# With a smaller recurrent weight, int8 is no faster than float32 in batches on AMD and Intel, and
# for one sentence half as fast on AMD.
MIN_INT8_WEIGHT = 1 << 20


class SavedForBackward(NamedTuple):
    """The tensors that the backward pass needs, in row order."""

    # (directions, rows, input_size)
    inputs: torch.Tensor
    # (directions, batch, hidden_size), (directions, batch, cell_size): the initial state
    hidden: torch.Tensor
    cell: torch.Tensor
    # (directions, rows of a block, 4 * cell_size) for each block, after the activation functions;
    # empty if the backward pass recomputes them
    gates: list[torch.Tensor]
    # (directions, rows, cell_size)
    cells: torch.Tensor
    # (directions, rows, hidden_size): before and after dropout
    projected: torch.Tensor
    outputs: torch.Tensor


class _Products(NamedTuple):
    input: Product
    recurrent: Product
    projection: Optional[Product]


def run(
    call: LstmCall, precision: str, *, save: bool = False
) -> tuple[torch.Tensor, LayerState, Optional[SavedForBackward]]:
    """
    Returns the outputs and the state, as `kernels.reference.projected_lstm` defines them, and with
    `save` what the backward pass needs.
    """
    directions, batch, time, _ = call.inputs.shape
    hidden_size = call.state.hidden.size(-1)
    products = _products(call, precision, packed=None if save else call.packed)
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
    saved = _save(call, inputs, start, cells, outputs) if save else None
    save_gates = save and not call.recompute_gates
    hidden, cell = start, _Cell(cells, 0)
    for block in steps.blocks(block_rows(cells)):
        # (directions, rows of the block, 4 * cell_size), in one or several tensors
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
            # step_gates is one tensor in training
            activated = cell.step(gates, call.cell_clip, step_gates[0] if save_gates else None)
            _project(activated, products.projection, call.projection_clip, output)
            if saved is not None:
                rows = slice(row, row + count)
                saved.cells[:, rows] = cell.cell
                if saved.projected is not saved.outputs:
                    saved.projected[:, rows] = output
                row += count
            hidden = output if dropout is None else output.mul_(dropout[:, :count])
        if saved is not None and save_gates:
            saved.gates.append(input_gates[0])
    end = LayerState(steps.unsort(steps.last(start, outputs)), steps.unsort(cells))
    return steps.pad(outputs, batch), end, saved


def block_rows(cells: torch.Tensor) -> int:
    """Returns the number of rows in a block."""
    return BLOCK // (cells.size(0) * 4 * cells.size(-1) * cells.element_size())


def _products(call: LstmCall, precision: str, *, packed: Optional[PackedWeights]) -> _Products:
    if precision == "int8" and call.weights[0].recurrent.numel() < MIN_INT8_WEIGHT:
        # for the whole layer: a float32 product's last bits depend on the number of rows, and int8
        # after it would magnify them
        precision = "float32"

    def product(name: str) -> Product:
        weights = [getattr(weight, name) for weight in call.weights]
        if packed is None:
            return Product(weights, precision)
        return packed.get(f"{name} {precision}", weights, lambda: Product(weights, precision))

    return _Products(
        product("input"),
        product("recurrent"),
        None if call.weights[0].projection is None else product("projection"),
    )


class _Cell:
    """The cell states of the first `count` rows."""

    def __init__(self, cells: torch.Tensor, count: int) -> None:
        self.count = count
        # (directions, count, cell_size), each
        self.cell = cells[:, :count]
        self._activated = torch.empty_like(self.cell, memory_format=torch.contiguous_format)

    def step(
        self, parts: Outputs, clip: Optional[float], save: Optional[torch.Tensor]
    ) -> torch.Tensor:
        """
        Returns sigmoid(o) * tanh(c_t), (directions, count, cell_size); the next step overwrites it.

        # Parameters

        parts : `Outputs`
            The gates before their activation functions.
        clip : `Optional[float]`
            The largest absolute value of a cell; `None` for no limit.
        save : `Optional[torch.Tensor]`
            Output: the gates after their activation functions, (directions, count, 4 * cell_size).
        """
        sizes = [part.size(0) for part in parts]
        saved_parts = [None] * len(parts) if save is None else save.split(sizes)
        # (directions of the part, count, cell_size), each
        cells, activations = self.cell.split(sizes), self._activated.split(sizes)
        for gates, saved, cell, activated in zip(parts, saved_parts, cells, activations):
            i, f, g, o = _activate(gates, saved)
            cell.mul_(f).addcmul_(i, g)
            if clip is not None:
                cell.clamp_(-clip, clip)
            torch.tanh(cell, out=activated).mul_(o)
        return self._activated


def _activate(gates: torch.Tensor, out: Optional[torch.Tensor]) -> list[torch.Tensor]:
    """Applies the activation functions to the four gates, into `out` or in place."""
    # (directions, count, cell_size), each
    i, f, g, o = gates.chunk(4, dim=-1)
    # (directions, count, 2 * cell_size)
    i_and_f = gates.narrow(-1, 0, 2 * i.size(-1))
    if out is None:
        i_and_f.sigmoid_()
        return [i, f, g.tanh_(), o.sigmoid_()]
    saved = out.chunk(4, dim=-1)
    torch.sigmoid(i_and_f, out=out.narrow(-1, 0, i_and_f.size(-1)))
    return [saved[0], saved[1], torch.tanh(g, out=saved[2]), torch.sigmoid(o, out=saved[3])]


def _project(
    activated: torch.Tensor, projection: Optional[Product], clip: Optional[float], out: torch.Tensor
) -> None:
    parts = [activated] if projection is None else projection(activated)
    for part, target in zip(parts, out.split([part.size(0) for part in parts])):
        if projection is None or clip is None:
            target.copy_(part)
        else:
            torch.clamp(part, -clip, clip, out=target)


def _save(
    call: LstmCall,
    inputs: torch.Tensor,
    hidden: torch.Tensor,
    cell: torch.Tensor,
    outputs: torch.Tensor,
) -> SavedForBackward:
    directions, rows, _ = inputs.shape
    return SavedForBackward(
        inputs,
        hidden,
        cell.clone(),
        [],
        inputs.new_empty(directions, rows, cell.size(-1)),
        outputs if call.dropout is None else torch.empty_like(outputs),
        outputs,
    )
