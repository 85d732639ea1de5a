"""Weights in the layout that a backend computes with, kept as long as the weights are the same."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch

from elmo_components.caching.fingerprint import Fingerprint

__all__ = ["PackedWeights"]


class PackedWeights:
    """
    What was made of some weights, made anew when they change (see `Fingerprint`). A copy, or an
    unpickled one, is empty.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, tuple[Fingerprint, Any]] = {}

    def get(self, name: str, weights: Sequence[torch.Tensor], make: Callable[[], Any]) -> Any:
        """Returns what `make` makes of `weights`, kept under `name` while they are the same."""
        with self._lock:
            if name not in self._made or not self._made[name][0].fits(weights):
                self._made[name] = Fingerprint(weights), make()
            return self._made[name][1]

    def __reduce__(self) -> tuple:
        return PackedWeights, ()
