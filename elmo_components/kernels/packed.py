"""Weights in a backend's own layout, cached until the weights change."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from elmo_components.caching.fingerprint import Fingerprint
from elmo_components.caching.lock import ForkSafeLock

__all__ = ["PackedWeights"]


class PackedWeights:
    """
    A cache of packed weights. It packs again when the weights change (see `Fingerprint`). A copied
    or unpickled cache is empty.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._packed: dict[str, tuple[Fingerprint, Any]] = {}

    def get(self, name: str, weights: Sequence[torch.Tensor], pack: Callable[[], Any]) -> Any:
        """Returns the result of `pack` for `weights`, cached under `name`."""
        with self._lock:
            if name not in self._packed or not self._packed[name][0].fits(weights):
                self._packed[name] = Fingerprint(weights), pack()
            return self._packed[name][1]

    def __reduce__(self) -> tuple:
        return PackedWeights, ()
