"""The scalar mixes among a model's parameters: what it has learned about the layers."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

__all__ = ["Mix", "find_mixes", "is_of_mix"]


@dataclass(frozen=True)
class Mix:
    """
    A scalar mix as it was learned.

    # Parameters

    name : `str`
        Where it is in its model.
    gamma : `float`
        The factor of the whole.
    weights : `tuple[float, ...]`
        The share of each layer, after the softmax, layer 0 first.
    """

    name: str
    gamma: float
    weights: tuple[float, ...]


def is_of_mix(name: str) -> bool:
    """Whether a parameter may be a scalar mix's, by its name."""
    return name.endswith(("gamma", "weights")) or "scalar_parameters." in name


def find_mixes(tensors: Mapping[str, torch.Tensor]) -> list[Mix]:
    """
    Returns every scalar mix among the parameters of a model, in the order of their names: those of
    `ScalarMix`, and AllenNLP's own, which keeps the weight of each layer apart.
    """
    mixes = []
    for name in sorted(tensors):
        prefix = name.removesuffix("gamma")
        # other modules have a gamma too, without these beside it
        weights = [tensors[prefix + "weights"]] if prefix + "weights" in tensors else []
        while f"{prefix}scalar_parameters.{len(weights)}" in tensors:
            weights.append(tensors[f"{prefix}scalar_parameters.{len(weights)}"])
        if prefix == name or not weights or tensors[name].numel() != 1:
            continue
        # (num_layers,)
        shares = torch.cat([weight.flatten() for weight in weights]).double().softmax(dim=0)
        place = prefix.rstrip(".") or "scalar_mix"
        mixes.append(Mix(place, float(tensors[name]), tuple(shares.tolist())))
    return mixes
