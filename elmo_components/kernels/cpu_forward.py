"""
The forward pass of the projected LSTM on a CPU.

The inputs of a block of steps are multiplied at once. Each step has one product with the recurrent
weights, one with the projections, and element-wise operations in place. It computes only the
sentences that have not ended.
"""

from typing import NamedTuple, Optional

import torch

from elmo_components.kernels.call import LayerState, LstmCall
from elmo_components.kernels.packed import PackedWeights
from elmo_components.kernels.products import Product
from elmo_components.kernels.steps import Steps

__all__ = ["SavedForBackward", "block_rows", "run"]

# Bytes of the input gates of a block: enough rows for a product at full speed, but below 32 MB,
# where glibc starts to return memory to the system at each free.
BLOCK = 16 << 20


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
    call: LstmCall, *, bfloat16: bool, save: bool = False
) -> tuple[torch.Tensor, LayerState, Optional[SavedForBackward]]:
    """
    Returns the outputs and the state, as `kernels.reference.projected_lstm` defines them, and with
    `save` what the backward pass needs. With `bfloat16`, products are of bfloat16 numbers.
    """
    directions, batch, time, _ = call.inputs.shape
    hidden_size = call.state.hidden.size(-1)
    products = _products(call, bfloat16=bfloat16, packed=None if save else call.packed)
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
        # (directions, rows of the block, 4 * cell_size)
        input_gates = products.input(inputs[:, block.rows], bias)
        row = block.rows.start
        for count, output, step_gates in zip(
            block.counts,
            outputs[:, block.rows].split(block.counts, dim=1),
            input_gates.split(block.counts, dim=1),
        ):
            if cell.count != count:
                hidden, cell = hidden[:, :count], _Cell(cells, count)
            gates = products.recurrent(hidden, step_gates)
            activated = cell.step(gates, call.cell_clip, step_gates if save_gates else None)
            _project(activated, products.projection, call.projection_clip, output)
            if saved is not None:
                rows = slice(row, row + count)
                saved.cells[:, rows] = cell.cell
                if saved.projected is not saved.outputs:
                    saved.projected[:, rows] = output
                row += count
            hidden = output if dropout is None else output.mul_(dropout[:, :count])
        if saved is not None and save_gates:
            saved.gates.append(input_gates)
    end = LayerState(steps.unsort(steps.last(start, outputs)), steps.unsort(cells))
    return steps.pad(outputs, batch), end, saved


def block_rows(cells: torch.Tensor) -> int:
    """Returns the number of rows in a block."""
    return BLOCK // (cells.size(0) * 4 * cells.size(-1) * cells.element_size())


def _products(call: LstmCall, *, bfloat16: bool, packed: Optional[PackedWeights]) -> _Products:
    def product(name: str) -> Product:
        weights = [getattr(weight, name) for weight in call.weights]
        if packed is None:
            return Product(weights, bfloat16=bfloat16)
        key = f"{name} bfloat16" if bfloat16 else name
        return packed.get(key, weights, lambda: Product(weights, bfloat16=bfloat16))

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
        self, gates: torch.Tensor, clip: Optional[float], save: Optional[torch.Tensor]
    ) -> torch.Tensor:
        """
        Returns sigmoid(o) * tanh(c_t), (directions, count, cell_size); the next step overwrites it.

        # Parameters

        gates : `torch.Tensor`
            (directions, count, 4 * cell_size), before their activation functions.
        clip : `Optional[float]`
            The largest absolute value of a cell; `None` for no limit.
        save : `Optional[torch.Tensor]`
            Output: the gates after their activation functions, (directions, count, 4 * cell_size).
        """
        i, f, g, o = _activate(gates, save)
        self.cell.mul_(f).addcmul_(i, g)
        if clip is not None:
            self.cell.clamp_(-clip, clip)
        return torch.tanh(self.cell, out=self._activated).mul_(o)


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
    if projection is None:
        out.copy_(activated)
    elif clip is None:
        out.copy_(projection(activated))
    else:
        torch.clamp(projection(activated), -clip, clip, out=out)


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
