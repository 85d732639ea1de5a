"""Finds the scalar mixes among a model's parameters: the layer weights that it has learned."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

__all__ = ["Mix", "find_mixes", "is_of_mix"]


@dataclass(frozen=True)
class Mix:
    """A learned scalar mix: its name, its scale, and each layer's weight after the softmax."""

    name: str
    gamma: float
    weights: tuple[float, ...]


def is_of_mix(name: str) -> bool:
    """Returns whether a parameter of this name may be a scalar mix's."""
    return name.endswith(("gamma", "weights")) or "scalar_parameters." in name


def find_mixes(tensors: Mapping[str, torch.Tensor]) -> list[Mix]:
    """
    Returns the scalar mixes among a model's parameters, sorted by name: those of `ScalarMix`, and
    AllenNLP's, which have one parameter for each layer.
    """
    mixes = []
    for name in sorted(tensors):
        prefix = name.removesuffix("gamma")
        # other modules have a gamma too, but no such weights
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
