"""The parameters of one direction of an LSTM layer."""

import math

import torch
from torch import nn

from elmo_components.config import LstmConfig
from elmo_components.kernels import DirectionWeights

__all__ = ["FORGET_BIAS", "Direction"]

# TensorFlow's LSTMCell adds it to the forget gate's bias at each call. Published files do not
# include it, and neither do ours, so that a conversion is exact.
FORGET_BIAS = 1.0


class Direction(nn.Module):
    """
    The parameters of one direction of one layer, gates in the order i, f, g, o.

    `input_weight` (4 * cell_size, input_size), `recurrent_weight` (4 * cell_size, hidden_size),
    `bias` (4 * cell_size,), and, unless both sizes are equal, `projection_weight` (hidden_size,
    cell_size).
    """

    def __init__(self, config: LstmConfig, input_size: int) -> None:
        super().__init__()
        gates = 4 * config.cell_size
        self.input_weight = nn.Parameter(torch.empty(gates, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(gates, config.hidden_size))
        self.bias = nn.Parameter(torch.empty(gates))
        projected = config.hidden_size != config.cell_size
        self.projection_weight = (
            nn.Parameter(torch.empty(config.hidden_size, config.cell_size)) if projected else None
        )
        # a number: a checkpoint could not restore a tensor
        self.forget_bias = FORGET_BIAS
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters as bilm-tf does: Glorot's uniform distribution, biases of 0."""
        gates, input_size = self.input_weight.shape
        bound = math.sqrt(6.0 / (input_size + self.recurrent_weight.size(1) + gates))
        nn.init.uniform_(self.input_weight, -bound, bound)
        nn.init.uniform_(self.recurrent_weight, -bound, bound)
        nn.init.zeros_(self.bias)
        if self.projection_weight is not None:
            nn.init.xavier_uniform_(self.projection_weight)

    def forward(self) -> DirectionWeights:
        """Returns the weights as a kernel takes them."""
        # a call, not an attribute, runs the hooks of `torch.nn.utils.prune`
        input_gate, forget_gate, cell, output_gate = self.bias.chunk(4)
        # (4 * cell_size,)
        bias = torch.cat([input_gate, forget_gate + self.forget_bias, cell, output_gate])
        return DirectionWeights(
            self.input_weight, self.recurrent_weight, bias, self.projection_weight
        )
