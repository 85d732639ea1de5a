"""The definition of the projected LSTM: plain PyTorch, any dtype, that every backend is held to."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch

__all__ = ["DirectionWeights", "LayerState", "projected_lstm"]


class DirectionWeights(NamedTuple):
    """
    The weights of one direction of one layer; the gates come in the order i, f, g, o.

    # Parameters

    input : `torch.Tensor`
        (4 * cell_size, input_size)
    recurrent : `torch.Tensor`
        (4 * cell_size, hidden_size)
    bias : `torch.Tensor`
        (4 * cell_size,), the forget gate's offset included.
    projection : `Optional[torch.Tensor]`
        (hidden_size, cell_size); `None` where the output is not projected.
    """

    input: torch.Tensor
    recurrent: torch.Tensor
    bias: torch.Tensor
    projection: Optional[torch.Tensor]


class LayerState(NamedTuple):
    """What one layer remembers: (directions, batch, hidden_size) and (..., cell_size)."""

    hidden: torch.Tensor
    cell: torch.Tensor


def projected_lstm(
    inputs: torch.Tensor,
    *,
    lengths: torch.Tensor,
    weights: Sequence[DirectionWeights],
    state: LayerState,
    cell_clip: Optional[float],
    projection_clip: Optional[float],
    dropout: Optional[torch.Tensor],
) -> tuple[torch.Tensor, LayerState]:
    """
    Runs one layer of LSTMs with projection, each direction over its own inputs, first step first:

        i, f, g, o = input x_t + recurrent h_(t-1) + bias
        c_t = clip(sigmoid(i) * tanh(g) + sigmoid(f) * c_(t-1), cell_clip)
        h_t = clip(projection (sigmoid(o) * tanh(c_t)), projection_clip) * dropout

    (Sak et al. 2014, equations 1 to 7, without peepholes; the clipping is TensorFlow's
    `LSTMCell`'s, the dropout Gal and Ghahramani's 2016, one mask for all steps). A backward
    direction is given its inputs, and gives its outputs, in reversed order.

    # Parameters

    inputs : `torch.Tensor`
        (directions, batch, time, input_size)
    lengths : `torch.Tensor`
        (batch,), int64: how many steps of each sentence count; from 0 to time.
    weights : `Sequence[DirectionWeights]`
        One element a direction.
    state : `LayerState`
        What the layer remembers at the start.
    cell_clip, projection_clip : `Optional[float]`
        `None` for no clipping; without a projection `projection_clip` has no effect.
    dropout : `Optional[torch.Tensor]`
        (directions, batch, hidden_size), a factor for each output; `None` for none.

    # Returns

    `tuple[torch.Tensor, LayerState]`
        The outputs, (directions, batch, time, hidden_size), 0 from each sentence's end; and the
        state after each sentence's last step.
    """
    outputs, hiddens, cells = [], [], []
    for direction, (weight, direction_inputs) in enumerate(zip(weights, inputs)):
        hidden, cell = state.hidden[direction], state.cell[direction]
        # (batch, time, 4 * cell_size)
        input_gates = torch.nn.functional.linear(direction_inputs, weight.input, weight.bias)
        steps = []
        for time, step_gates in enumerate(input_gates.unbind(dim=1)):
            # (batch, 1)
            running = (time < lengths).unsqueeze(-1)
            # (batch, 4 * cell_size)
            gates = step_gates + torch.nn.functional.linear(hidden, weight.recurrent)
            # (batch, cell_size), each
            i, f, g, o = gates.chunk(4, dim=-1)
            new_cell = torch.sigmoid(i) * torch.tanh(g) + torch.sigmoid(f) * cell
            if cell_clip is not None:
                new_cell = new_cell.clamp(-cell_clip, cell_clip)
            # (batch, cell_size), or with a projection (batch, hidden_size)
            new_hidden = torch.sigmoid(o) * torch.tanh(new_cell)
            if weight.projection is not None:
                new_hidden = torch.nn.functional.linear(new_hidden, weight.projection)
                if projection_clip is not None:
                    new_hidden = new_hidden.clamp(-projection_clip, projection_clip)
            if dropout is not None:
                new_hidden = new_hidden * dropout[direction]
            hidden = torch.where(running, new_hidden, hidden)
            cell = torch.where(running, new_cell, cell)
            steps.append(torch.where(running, new_hidden, torch.zeros_like(new_hidden)))
        # (batch, time, hidden_size)
        outputs.append(torch.stack(steps, dim=1) if steps else _no_steps(direction_inputs, hidden))
        hiddens.append(hidden)
        cells.append(cell)
    return torch.stack(outputs), LayerState(torch.stack(hiddens), torch.stack(cells))


def _no_steps(inputs: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    return inputs.new_zeros(inputs.size(0), 0, hidden.size(-1))
