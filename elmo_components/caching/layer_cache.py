"""Caches the layers of sentences across epochs while the biLM does not change."""

import logging
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy
import torch
from torch import nn

from elmo_components.caching.fingerprint import Fingerprint, frozen_weights
from elmo_components.caching.lock import ForkSafeLock

__all__ = ["DTYPES", "LayerCache", "has_fixed_layers", "sentence_keys"]

logger = logging.getLogger(__name__)

DTYPES = ("float32", "float16")

# In bytes: two sentences with the same digest are too improbable.
KEY_SIZE = 16


def has_fixed_layers(bilm: nn.Module) -> bool:
    """
    Returns whether a `BiLm` gives a sentence the same layers at each call: no weight requires a
    gradient, recurrent dropout is inactive, and `frozen_weights` finds nothing against it.
    """
    return (
        # a trace must work for other sentences
        not torch.jit.is_tracing()
        and not any(weight.requires_grad for weight in bilm.parameters())
        and not any(
            module.training and getattr(module, "recurrent_dropout", 0.0) > 0.0
            for module in bilm.modules()
        )
        and frozen_weights(bilm.modules()) is not None
    )


class LayerCache:
    """
    Caches all layers of the first sentences that fit. Others are computed each time.

    No sentence is evicted: if an epoch does not fit, each would be evicted before it is used again.
    A sentence's key is the digest of its character ids. Another biLM or changed weights empty the
    cache (see `Fingerprint`). Layers are stored on the CPU. Several threads may use a cache at
    once. A copied or unpickled cache is empty.

    # Parameters

    max_bytes : `int`
        The size limit of all layers. A token, and each of a sentence's two marks, takes
        2 * num_layers - 1 vectors of `hidden_size`.
    dtype : `str`
        "float32"; or "float16", which takes half the memory and rounds to 11 bits. It rounds
        layers that are not cached too, so that a sentence has the same layers each time.

    # Raises

    `ValueError` for less than 1 byte or another dtype.
    """

    def __init__(self, max_bytes: int, *, dtype: str = "float32") -> None:
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more; found {max_bytes}")
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; found {dtype!r}")
        self.max_bytes = max_bytes
        self.dtype = dtype
        self._lock = ForkSafeLock()
        self._table = _Table(max_bytes, ())

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(LayerCache, dtype=self.dtype), (self.max_bytes,)

    def __len__(self) -> int:
        return len(self._table.rows)

    def layers(self, character_ids: torch.Tensor, bilm: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Returns the layers and the mask of `BiLmOutput` for sentences without a state, and computes
        those that are not cached.

        # Parameters

        character_ids : `torch.Tensor`
            int64, (batch, time, 50), as `BiLm` takes them.
        bilm : `BiLm`
            It must satisfy `has_fixed_layers`.
        """
        # (batch,) and (batch, time + 2)
        lengths, mask = bilm.lengths_and_mask(character_ids)
        tokens, steps = lengths.tolist(), mask.sum(dim=1).tolist()
        keys = sentence_keys(character_ids, tokens)
        # (batch, time + 2, (2 * num_layers - 1) * hidden_size): both halves of layer 0 are equal
        size = (2 * bilm.config.num_layers - 1) * bilm.config.lstm.hidden_size
        rows = numpy.zeros((*mask.shape, size), dtype=self.dtype)
        weights = list(bilm.parameters())
        with self._lock:
            if not self._table.fingerprint.fits(weights):
                self._table = _Table(self.max_bytes, weights)
            table = self._table
        missing: dict[bytes, list[int]] = {}
        for place, key in enumerate(keys):
            # arrays in the table are never changed
            cached = table.rows.get(key)
            if cached is None:
                missing.setdefault(key, []).append(place)
            else:
                rows[place, : steps[place]] = cached
        if missing:
            firsts = [places[0] for places in missing.values()]
            longest = max(tokens[place] for place in firsts)
            # without the lock: two threads may compute the same sentence
            computed = self._computed(bilm, character_ids[firsts, :longest])
            for sentence, (key, places) in zip(computed, missing.items()):
                found = sentence[: steps[places[0]]]
                # if the weights have changed since, nobody reads this table
                with self._lock:
                    table.add(key, found)
                for place in places:
                    rows[place, : len(found)] = found
        return _unpacked(torch.from_numpy(rows).to(weights[0].device), weights[0].dtype, bilm), mask

    def _computed(self, bilm: Any, character_ids: torch.Tensor) -> numpy.ndarray:
        """Returns (batch, time + 2, (2 * num_layers - 1) * hidden_size), on the CPU."""
        with torch.no_grad():
            layers = bilm(character_ids).layers
            rows = torch.cat([layers[0, ..., : bilm.config.lstm.hidden_size], *layers[1:]], dim=-1)
            return rows.to("cpu", getattr(torch, self.dtype)).numpy()


def sentence_keys(character_ids: torch.Tensor, lengths: Sequence[int]) -> list[bytes]:
    """
    Returns the digest of each sentence's character ids, (batch, time, characters), without the
    padding behind its length.
    """
    # all ids and digits fit in int16
    ids = character_ids.to("cpu", torch.int16).contiguous().numpy()
    return [
        blake2b(sentence[:length].data, digest_size=KEY_SIZE).digest()
        for sentence, length in zip(ids, lengths)
    ]


def _unpacked(rows: torch.Tensor, dtype: torch.dtype, bilm: Any) -> torch.Tensor:
    """Returns (num_layers, batch, time + 2, 2 * hidden_size)."""
    num_layers, half = bilm.config.num_layers, bilm.config.lstm.hidden_size
    batch, steps, _ = rows.shape
    layers = torch.empty(num_layers, batch, steps, 2 * half, dtype=dtype, device=rows.device)
    # both halves of the first layer
    layers[0].view(batch, steps, 2, half).copy_(rows[..., :half].unsqueeze(2))
    others = rows[..., half:].view(batch, steps, num_layers - 1, 2 * half)
    layers[1:].copy_(others.permute(2, 0, 1, 3))
    return layers


class _Table:
    """The layers of sentences, and the weights that they were computed with."""

    def __init__(self, max_bytes: int, weights: Sequence[torch.Tensor]) -> None:
        self.fingerprint = Fingerprint(weights)
        self.rows: dict[bytes, numpy.ndarray] = {}
        self._free_bytes = max_bytes
        self._size = 0
        self._is_full = False

    def add(self, key: bytes, rows: numpy.ndarray) -> None:
        """Adds a sentence's layers, (tokens + 2, size), if they fit."""
        if self._is_full or key in self.rows:
            return
        if rows.nbytes <= self._free_bytes:
            self.rows[key] = rows.copy()
            self._free_bytes -= rows.nbytes
            self._size += rows.nbytes
            return
        self._is_full = True
        logger.warning(
            "The layer cache is full with %d sentences, %.3g GB. The layers of all others are "
            "computed each time. Raise the limit, or use float16",
            len(self.rows),
            self._size / 1e9,
        )
