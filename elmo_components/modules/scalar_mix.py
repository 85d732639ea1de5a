"""The weighted mean of a biLM's layers."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Optional

import torch
from torch import nn

from elmo_components.caching.fingerprint import is_autocast

__all__ = ["ScalarMix"]


class ScalarMix(nn.Module):
    """
    Mixes layers into one vector per token.

    Peters et al. 2018, equation 1:

        gamma * sum over layers of softmax(weights)_layer * layer

    # Parameters

    num_layers : `int`
        The number of layers.
    do_layer_norm : `bool`
        Whether each layer is first normalised to mean 0 and variance 1, over all unmasked tokens of
        the batch at once, as in bilm-tf and AllenNLP. A sentence's vectors then depend on its
        batch.
    fixed_weights : `Optional[Sequence[float]]`
        Weights before the softmax, which are not trained, and neither is gamma. -9e10 excludes a
        layer. `None` for trained weights, equal at first.

    # Raises

    `ValueError` unless there is one fixed weight per layer.
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
                f"There must be a weight for each of the {num_layers} layers; "
                f"found {fixed_weights!r}"
            )
        self.do_layer_norm = do_layer_norm
        self._initial = list(fixed_weights or [0.0] * num_layers)
        trained = fixed_weights is None
        self.weights = nn.Parameter(torch.empty(num_layers), requires_grad=trained)
        self.gamma = nn.Parameter(torch.empty(1), requires_grad=trained)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weights to the fixed ones, or to equal ones, and gamma to 1."""
        with torch.no_grad():
            for place, weight in enumerate(self._initial):
                self.weights[place] = weight
            self.gamma.fill_(1.0)

    @property
    def is_initial(self) -> bool:
        """Whether the weights and gamma have their initial values."""
        initial = torch.tensor([*self._initial, 1.0], dtype=self.weights.dtype, device="cpu")
        return torch.equal(torch.cat([self.weights, self.gamma]).detach().cpu(), initial)

    def forward(self, layers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """
        # Parameters

        layers : `torch.Tensor`
            (num_layers, batch, time, size)
        mask : `torch.Tensor`
            (batch, time), bool; used by the layer norm alone.

        # Returns

        `torch.Tensor`
            (batch, time, size); with layer norm 0 where masked. Its dtype is the wider of the
            layers' and the weights'.
        """
        if self.do_layer_norm:
            layers = _layer_norm(layers, mask)
        # (num_layers,): gamma here saves a pass over the mean, and one backward
        at_least_float32 = torch.promote_types(self.weights.dtype, torch.float32)
        weights = self.gamma * torch.softmax(self.weights, dim=0, dtype=at_least_float32)
        dtype = torch.promote_types(self.weights.dtype, layers.dtype)
        # autocast would round the layers
        on = is_autocast()
        with torch.autocast(layers.device.type, enabled=False) if on else nullcontext():
            # (batch, time, size)
            return torch.einsum("l,lbts->bts", weights.to(dtype), layers.to(dtype))


def _layer_norm(layers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # a sum of squares overflows in half precision
    wide = layers.to(torch.promote_types(layers.dtype, torch.float32))
    # (batch, time, 1)
    mask = mask.unsqueeze(-1)
    count = mask.sum() * layers.size(-1)
    # (num_layers, 1, 1, 1)
    mean = (wide * mask).sum(dim=(1, 2, 3), keepdim=True) / count
    # (num_layers, batch, time, size)
    centred = (wide - mean) * mask
    # (num_layers, 1, 1, 1)
    variance = (centred**2).sum(dim=(1, 2, 3), keepdim=True) / count
    # 1e-13 as in AllenNLP and bilm-tf
    return (centred / torch.sqrt(variance + 1e-13)).to(layers.dtype)
