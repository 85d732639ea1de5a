"""Recognises the weights that a cached result was computed with, and their changes."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Optional

import torch
from torch import nn

__all__ = ["Fingerprint", "digest", "frozen_weights", "is_autocast"]

# How many values of each weight are compared. An assignment through `.data`, as AllenNLP's moving
# averages do, changes nothing else.
SAMPLES = 128
# Steps of the golden ratio spread any number of samples over all columns.
GOLDEN_RATIO = 0.6180339887498949


def frozen_weights(modules: Iterable[nn.Module]) -> Optional[list[torch.Tensor]]:
    """
    Returns the own parameters of modules; `None` if their results must not be cached.

    They must not with a gradient, within autocast, for modules with hooks or buffers (which
    `torch.nn.utils.prune` and the older `weight_norm` add) or with parametrizations, and within
    `torch.func.functional_call` or a replica of `DataParallel`, whose weights are not parameters.
    """
    weights: list[torch.Tensor] = []
    for module in modules:
        if module._forward_pre_hooks or module._forward_hooks or module._buffers:
            return None
        if "parametrizations" in module._modules:
            return None
        # a functional call in torch 1.12 replaces only the attribute
        found = (getattr(module, name) for name in module._parameters)
        weights += [weight for weight in found if weight is not None]
    # the first comparison is much faster
    are_parameters = (type(w) is nn.Parameter or isinstance(w, nn.Parameter) for w in weights)
    if not weights or not all(are_parameters):
        return None
    if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights):
        return None
    return None if is_autocast() else weights


class Fingerprint:
    """
    Recognises weights and their changes: by the tensors, their memory, PyTorch's count of in-place
    changes, and a sample of the values.

    It misses an assignment through `.data` that changes no sampled value: one to fewer than about a
    fiftieth of a large weight's rows or columns. It has references to the weights, so that no other
    tensor can take their memory.
    """

    def __init__(self, weights: Sequence[torch.Tensor]) -> None:
        self._weights = list(weights)
        self._versions = [_version(weight) for weight in weights]
        self._places = [_sampled_places(weight) for weight in weights]
        self._samples = self._sample(weights)

    def fits(self, weights: Sequence[torch.Tensor]) -> bool:
        """Returns whether `weights` are the same, unchanged."""
        return (
            len(weights) == len(self._weights)
            and all(weight is mine for weight, mine in zip(weights, self._weights))
            and [_version(weight) for weight in weights] == self._versions
            and torch.equal(self._sample(weights), self._samples)
        )

    def _sample(self, weights: Sequence[torch.Tensor]) -> torch.Tensor:
        if not weights:
            return torch.empty(0, device="cpu")
        with torch.no_grad():
            # (samples of all weights,)
            return torch.cat(
                [
                    torch.take(weight, places).to(weights[0].device)
                    for weight, places in zip(weights, self._places)
                ]
            )


def digest(weights: Sequence[torch.Tensor]) -> str:
    """Returns the SHA-256 of the dtypes, shapes and values, in hexadecimal."""
    found = hashlib.sha256()
    for weight in weights:
        found.update(f"{weight.dtype} {tuple(weight.shape)} ".encode())
        numbers = weight.detach().cpu().reshape(-1).contiguous()
        found.update(numbers.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _version(weight: torch.Tensor) -> tuple:
    # a tensor made in inference mode counts no changes
    changes: Optional[int] = None if weight.is_inference() else weight._version
    return weight.data_ptr(), changes, weight.dtype, weight.shape, weight.device


def _sampled_places(weight: torch.Tensor) -> torch.Tensor:
    """Returns the flat indices to compare, (samples,): all, or some from all rows and columns."""
    number = weight.numel()
    if number <= SAMPLES:
        return torch.arange(number, device=weight.device)
    columns = number // weight.size(0)
    # (samples,), on the CPU, for Apple's GPUs have no float64
    steps = torch.arange(SAMPLES, device="cpu", dtype=torch.float64)
    if weight.dim() == 1:
        return (steps * (number / SAMPLES)).long().to(weight.device)
    rows = (steps * (weight.size(0) / SAMPLES)).long()
    return (rows * columns + (steps * GOLDEN_RATIO % 1.0 * columns).long()).to(weight.device)


def is_autocast() -> bool:
    """Returns whether autocast is on, for CPUs or for GPUs."""
    # torch 2.4 added the argument and deprecated `is_autocast_cpu_enabled`
    try:
        on_cpu = torch.is_autocast_enabled("cpu")
    except TypeError:
        on_cpu = torch.is_autocast_cpu_enabled()
    return on_cpu or torch.is_autocast_enabled()
