"""The weighted mean of a biLM's layers."""

from collections.abc import Sequence
from typing import Optional

import torch
from torch import nn

__all__ = ["ScalarMix"]


class ScalarMix(nn.Module):
    """
    Mixes layers into one vector a token (Peters et al. 2018, equation 1):

        gamma * sum over layers of softmax(weights)_layer * layer

    # Parameters

    num_layers : `int`
        How many layers are mixed.
    do_layer_norm : `bool`
        Whether each layer is first brought to mean 0 and variance 1, over all unmasked tokens of
        the batch at once, as in bilm-tf and AllenNLP. A sentence's vectors then depend on its
        batch.
    fixed_weights : `Optional[Sequence[float]]`
        Weights, before the softmax, that are not trained, nor is gamma; with -9e10 for a layer it
        is left out. `None` for trained ones, equal at first.

    # Raises

    `ValueError` when there is not one fixed weight a layer.
    """

    def __init__(
        self,
        num_layers: int,
        *,
        do_layer_norm: bool = False,
        fixed_weights: Optional[Sequence[float]] = None,
    ) -> None:
        super().__init__()
        if fixed_weights is not None and len(fixed_weights) != num_layers:
            raise ValueError(
                f"A mix of {num_layers} layers needs as many weights; found {fixed_weights!r}"
            )
        self.do_layer_norm = do_layer_norm
        initial = torch.zeros(num_layers) if fixed_weights is None else torch.tensor(fixed_weights)
        trained = fixed_weights is None
        self.weights = nn.Parameter(initial.to(torch.get_default_dtype()), requires_grad=trained)
        self.gamma = nn.Parameter(torch.ones(1), requires_grad=trained)

    def forward(self, layers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """
        # Parameters

        layers : `torch.Tensor`
            (num_layers, batch, time, size)
        mask : `torch.Tensor`
            (batch, time), bool; used by the layer norm alone.

        # Returns

        `torch.Tensor`
            (batch, time, size)
        """
        if self.do_layer_norm:
            layers = _layer_norm(layers, mask)
        # (num_layers,): gamma here spares a pass over the mean, and one backward
        weights = self.gamma * torch.softmax(self.weights, dim=0)
        # (batch, time, size)
        return torch.einsum("l,lbts->bts", weights, layers)


def _layer_norm(layers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # (batch, time, 1)
    mask = mask.unsqueeze(-1)
    count = mask.sum() * layers.size(-1)
    # (num_layers, 1, 1, 1)
    mean = (layers * mask).sum(dim=(1, 2, 3), keepdim=True) / count
    variance = (((layers - mean) * mask) ** 2).sum(dim=(1, 2, 3), keepdim=True) / count
    # AllenNLP's and bilm-tf's smallest value
    return (layers - mean) / torch.sqrt(variance + 1e-13)
