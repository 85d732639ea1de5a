"""Whether weights are those that something was made from: in this process, or in a file."""

import hashlib
from collections.abc import Sequence
from typing import Optional

import torch

__all__ = ["Fingerprint", "digest"]

# How many numbers of each weight are compared, at equal steps: an assignment through `.data`, as
# AllenNLP's moving averages make it, leaves no other trace.
SAMPLES = 64


class Fingerprint:
    """
    What tells some weights from others and from themselves after a change: the tensors, their
    memory, PyTorch's count of changes in place, and a sample of the numbers. It misses an
    assignment through `.data` that leaves all the sampled numbers as they were.

    # Parameters

    weights : `Sequence[torch.Tensor]`
        They are held on to, so that no other tensor can take their place in memory.
    """

    def __init__(self, weights: Sequence[torch.Tensor]) -> None:
        self._weights = list(weights)
        self._marks = [_mark(weight) for weight in weights]
        self._samples = [_sample(weight).clone() for weight in weights]

    def fits(self, weights: Sequence[torch.Tensor]) -> bool:
        """Returns whether `weights` are the same, unchanged."""
        return (
            len(weights) == len(self._weights)
            and all(weight is mine for weight, mine in zip(weights, self._weights))
            and [_mark(weight) for weight in weights] == self._marks
            and all(
                torch.equal(_sample(weight), sample)
                for weight, sample in zip(weights, self._samples)
            )
        )


def digest(weights: Sequence[torch.Tensor]) -> str:
    """Returns the SHA-256 of each weight's type, shape and numbers, as hexadecimal digits."""
    found = hashlib.sha256()
    for weight in weights:
        found.update(f"{weight.dtype} {tuple(weight.shape)} ".encode())
        found.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _mark(weight: torch.Tensor) -> tuple:
    # a tensor made in inference mode counts no changes
    version: Optional[int] = None if weight.is_inference() else weight._version
    return weight.data_ptr(), version, weight.dtype, weight.shape, weight.device


def _sample(weight: torch.Tensor) -> torch.Tensor:
    # (about SAMPLES,)
    return weight.detach().reshape(-1)[:: max(1, weight.numel() // SAMPLES)]
