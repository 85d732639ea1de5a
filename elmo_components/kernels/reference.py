"""The definition of the projected LSTM, in plain PyTorch and any dtype."""

import torch

from elmo_components.kernels.call import LayerState, LstmCall

__all__ = ["projected_lstm", "unsupported"]


def unsupported(call: LstmCall) -> None:
    """Returns `None`: it computes every call."""


def projected_lstm(call: LstmCall) -> tuple[torch.Tensor, LayerState]:
    """
    Runs one layer of LSTMs with projection, each direction over its own inputs, first step first:

        i, f, g, o = input x_t + recurrent h_(t-1) + bias
        c_t = clip(sigmoid(i) * tanh(g) + sigmoid(f) * c_(t-1), cell_clip)
        h_t = clip(projection (sigmoid(o) * tanh(c_t)), projection_clip) * dropout

    (Sak et al. 2014, equations 1 to 7, without peepholes; the clipping is TensorFlow's
    `LSTMCell`'s, the dropout Gal and Ghahramani's 2016, one mask for all steps). A backward
    direction's inputs and outputs are in reversed order. Autocast applies to the products only.

    # Returns

    `tuple[torch.Tensor, LayerState]`
        The outputs, (directions, batch, time, hidden_size), 0 past each sentence's end; and the
        state after each sentence's last step.
    """
    outputs, hiddens, cells = [], [], []
    for direction, (weight, direction_inputs) in enumerate(zip(call.weights, call.inputs)):
        hidden, cell = call.state.hidden[direction], call.state.cell[direction]
        # (batch, time, 4 * cell_size)
        input_gates = torch.nn.functional.linear(direction_inputs, weight.input, weight.bias)
        steps = []
        for time, step_gates in enumerate(input_gates.unbind(dim=1)):
            # (batch, 1)
            running = (time < call.lengths).unsqueeze(-1)
            # (batch, 4 * cell_size)
            gates = step_gates + torch.nn.functional.linear(hidden, weight.recurrent)
            gates = gates.to(cell.dtype)
            # (batch, cell_size), each
            i, f, g, o = gates.chunk(4, dim=-1)
            new_cell = torch.sigmoid(i) * torch.tanh(g) + torch.sigmoid(f) * cell
            if call.cell_clip is not None:
                new_cell = new_cell.clamp(-call.cell_clip, call.cell_clip)
            # (batch, cell_size), or with a projection (batch, hidden_size)
            new_hidden = torch.sigmoid(o) * torch.tanh(new_cell)
            if weight.projection is not None:
                new_hidden = torch.nn.functional.linear(new_hidden, weight.projection)
                new_hidden = new_hidden.to(hidden.dtype)
                if call.projection_clip is not None:
                    new_hidden = new_hidden.clamp(-call.projection_clip, call.projection_clip)
            if call.dropout is not None:
                new_hidden = new_hidden * call.dropout[direction]
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
