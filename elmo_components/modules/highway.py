"""The highway layer of the character encoder."""

import math

import torch
from torch import nn

from elmo_components.kernels import Linear

__all__ = ["Highway"]

# bilm-tf's initial gates are mostly closed, so that words pass unchanged
CARRY_BIAS = -2.0


class Highway(nn.Module):
    """
    A highway layer, with the gate's sign as in bilm-tf.

    Srivastava et al. 2015:

        g = sigmoid(carry(x))
        y = g * relu(transform(x)) + (1 - g) * x

    # Parameters

    size : `int`
        The size of its input and output.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.carry = nn.Linear(size, size)
        self.transform = nn.Linear(size, size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters as bilm-tf does (`bilm/training.py`)."""
        for layer, bias in ((self.carry, CARRY_BIAS), (self.transform, 0.0)):
            nn.init.normal_(layer.weight, std=1.0 / math.sqrt(layer.in_features))
            nn.init.constant_(layer.bias, bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the layer's output, of the same shape as `inputs`: (..., size)."""
        gate = torch.sigmoid(self.carry(inputs))
        # the equation with one product fewer
        return inputs + gate * (torch.relu(self.transform(inputs)) - inputs)

    def linears(self) -> tuple[Linear, Linear]:
        """Returns the weights and biases of the equation: of `carry`, then of `transform`."""
        return (
            Linear(self.carry.weight, self.carry.bias),
            Linear(self.transform.weight, self.transform.bias),
        )
