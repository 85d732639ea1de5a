"""Layers of sentences kept across epochs while the biLM does not change: in memory or a file."""

import logging
import os
import threading
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from io import FileIO
from tempfile import TemporaryFile
from typing import Any, Optional, Union

import numpy
import torch

from elmo_components.caching.fingerprint import Fingerprint
from elmo_components.caching.word_cache import is_frozen
from elmo_components.modules.bilm import BiLm, check_ids
from elmo_components.modules.lstm import sentence_lengths

__all__ = ["DTYPES", "LayerCache", "has_fixed_layers"]

logger = logging.getLogger(__name__)

DTYPES = ("float32", "float16")

# The marks at both ends of each sentence.
MARKS = 2
# No two sentences that anyone has share a digest of so many bytes.
KEY_SIZE = 16


def has_fixed_layers(bilm: BiLm) -> bool:
    """
    Whether a sentence's layers are the same each time: nothing in the biLM may be trained, with
    gradients on or off, no recurrent dropout be drawn, and no other precision be set around.
    """
    weights = list(bilm.parameters())
    return (
        is_frozen(weights)
        and not any(weight.requires_grad for weight in weights)
        and not (bilm.lstm.training and bilm.lstm.recurrent_dropout > 0.0)
        # of a device's autocast; `is_frozen` asks for the CPU's
        and not torch.is_autocast_enabled()
        # a trace serves other sentences too
        and not torch.jit.is_tracing()
    )


class LayerCache:
    """
    All layers of the sentences that came first, as many as fit; others are computed each time. None
    goes for another: where epochs come to more than there is room for, each sentence would be gone
    before it comes again.

    A sentence is the digest of its character ids. Its layers belong to a biLM's weights: they are
    dropped when another biLM is given, or its weights have changed (see `Fingerprint`). They are
    held on the CPU, whatever the device. Several threads may use a cache at once. A copy, or an
    unpickled one, is empty.

    # Parameters

    max_bytes : `int`
        How much is kept, in bytes of layers: a token, and each of a sentence's two marks, takes
        2 * num_layers - 1 vectors of `hidden_size`.
    dtype : `str`
        "float32", or "float16", which halves that and rounds to 11 bits: then all layers are
        rounded, kept or not, so that a sentence has the same ones each time.
    path : `Union[str, os.PathLike, None]`
        A folder, made where there is none, for a file that holds the layers in the place of memory.
        The file has no name there, or loses it when the process ends, however it ends.

    # Raises

    `ValueError` for less than 1 byte or another dtype.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        dtype: str = "float32",
        path: Union[str, "os.PathLike[str]", None] = None,
    ) -> None:
        if max_bytes < 1:
            raise ValueError(f"A cache must have room for 1 byte or more; found {max_bytes}")
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; found {dtype!r}")
        self.max_bytes = max_bytes
        self.dtype = dtype
        self.path = path
        self._lock = threading.Lock()
        self._held = _Held(max_bytes, path, ())

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(LayerCache, dtype=self.dtype, path=self.path), (self.max_bytes,)

    def __len__(self) -> int:
        return self._held.sentences

    def layers(self, character_ids: torch.Tensor, bilm: BiLm) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Returns a biLM's layers and mask, as `BiLmOutput` has them, of sentences that start from no
        state. Only those are computed that are not held.

        # Parameters

        character_ids : `torch.Tensor`
            int64, (batch, time, 50), as `BiLm` takes them.
        bilm : `BiLm`
            One that `has_fixed_layers`.

        # Raises

        `ValueError` as `BiLm` does.
        """
        check_ids(character_ids, bilm.config.char_cnn)
        # all ids, and the digits of words' numbers, are that small
        ids = character_ids.to("cpu", torch.int16).contiguous()
        # (batch,)
        lengths = sentence_lengths((ids > 0).any(dim=-1))
        steps = (lengths + MARKS).tolist()
        keys = [
            blake2b(sentence[: number - MARKS].data, digest_size=KEY_SIZE).digest()
            for sentence, number in zip(ids.numpy(), steps)
        ]
        batch, time, _ = ids.shape
        config = bilm.config
        # (batch, time + 2, (2 * num_layers - 1) * hidden_size): the first layer is one half twice
        rows = numpy.zeros(
            (batch, time + MARKS, (2 * config.num_layers - 1) * config.lstm.hidden_size),
            dtype=self.dtype,
        )
        weights = list(bilm.parameters())
        with self._lock:
            held = self._held_for(weights)
            missing: dict[bytes, list[int]] = {}
            for place, (key, number) in enumerate(zip(keys, steps)):
                if not held.copy(key, rows[place, :number]):
                    missing.setdefault(key, []).append(place)
        if missing:
            firsts = [places[0] for places in missing.values()]
            longest = max(steps[place] for place in firsts) - MARKS
            # without the lock: two threads may compute the same sentence
            computed = self._computed(bilm, character_ids[firsts, :longest])
            with self._lock:
                # where the weights have changed meanwhile, nobody asks these any more
                for sentence, (key, places) in zip(computed, missing.items()):
                    found = sentence[: steps[places[0]]]
                    held.add(key, found)
                    for place in places:
                        rows[place, : len(found)] = found
        layers = _unpacked(torch.from_numpy(rows).to(weights[0].device), weights[0].dtype, bilm)
        # (batch, time + 2)
        mask = torch.arange(time + MARKS).unsqueeze(0) < lengths.unsqueeze(1) + MARKS
        return layers, mask.to(layers.device)

    def _computed(self, bilm: BiLm, character_ids: torch.Tensor) -> numpy.ndarray:
        """Returns (batch, time + 2, (2 * num_layers - 1) * hidden_size), on the CPU."""
        with torch.no_grad():
            layers = bilm(character_ids).layers
            hidden_size = bilm.config.lstm.hidden_size
            rows = torch.cat([layers[0, ..., :hidden_size], *layers[1:]], dim=-1)
            return rows.to("cpu", getattr(torch, self.dtype)).numpy()

    def _held_for(self, weights: Sequence[torch.Tensor]) -> "_Held":
        if not self._held.fingerprint.fits(weights):
            self._held = _Held(self.max_bytes, self.path, weights)
        return self._held


def _unpacked(rows: torch.Tensor, dtype: torch.dtype, bilm: BiLm) -> torch.Tensor:
    """Returns (num_layers, batch, time + 2, 2 * hidden_size)."""
    num_layers, half = bilm.config.num_layers, bilm.config.lstm.hidden_size
    batch, steps, _ = rows.shape
    layers = torch.empty(num_layers, batch, steps, 2 * half, dtype=dtype, device=rows.device)
    # both halves of the first layer
    layers[0].view(batch, steps, 2, half).copy_(rows[..., :half].unsqueeze(2))
    others = rows[..., half:].view(batch, steps, num_layers - 1, 2 * half)
    layers[1:].copy_(others.permute(2, 0, 1, 3))
    return layers


class _Held:
    """What is kept, and the weights that it was made with."""

    def __init__(
        self,
        max_bytes: int,
        path: Union[str, "os.PathLike[str]", None],
        weights: Sequence[torch.Tensor],
    ) -> None:
        self.fingerprint = Fingerprint(weights)
        self.sentences = 0
        self._store: Union[_Memory, _File] = _Memory() if path is None else _File(path)
        self._room = max_bytes
        self._is_full = False

    def copy(self, key: bytes, rows: numpy.ndarray) -> bool:
        """Copies a sentence's layers into `rows`, and returns whether it is held."""
        return self._store.copy(key, rows)

    def add(self, key: bytes, rows: numpy.ndarray) -> None:
        """Keeps a sentence's layers, (tokens + 2, size), where there is room."""
        if self._is_full or key in self._store.places:
            return
        reason: object = "that is the bound"
        if rows.nbytes <= self._room:
            try:
                self._store.add(key, rows)
                self.sentences += 1
                self._room -= rows.nbytes
                return
            except OSError as error:
                reason = error
        self._is_full = True
        logger.warning(
            "The layers of %d sentences are kept, %.3g GB, and those of others are computed each "
            "time they come (%s); to keep more raise the bound, take float16, or another folder",
            self.sentences,
            self._store.size / 1e9,
            reason,
        )


class _Memory:
    """Sentences' layers as arrays."""

    def __init__(self) -> None:
        self.places: dict[bytes, numpy.ndarray] = {}
        self.size = 0

    def add(self, key: bytes, rows: numpy.ndarray) -> None:
        self.places[key] = rows.copy()
        self.size += rows.nbytes

    def copy(self, key: bytes, rows: numpy.ndarray) -> bool:
        found = self.places.get(key)
        if found is None:
            return False
        rows[:] = found
        return True


class _File:
    """Sentences' layers one after the other in a file that nobody else sees."""

    def __init__(self, folder: Union[str, "os.PathLike[str]"]) -> None:
        self.places: dict[bytes, int] = {}
        self.size = 0
        self._folder = os.fspath(folder)
        self._file: Optional[FileIO] = None

    def add(self, key: bytes, rows: numpy.ndarray) -> None:
        if self._file is None:
            os.makedirs(self._folder, exist_ok=True)
            # without a buffer, so that a full disk is seen at once; `__del__` closes it
            self._file = TemporaryFile(buffering=0, dir=self._folder)  # noqa: SIM115
        self._file.seek(self.size)
        written = self._file.write(numpy.ascontiguousarray(rows).data)
        if written != rows.nbytes:
            raise OSError(f"{written} of {rows.nbytes} bytes were written to {self._folder}")
        self.places[key] = self.size
        self.size += rows.nbytes

    def copy(self, key: bytes, rows: numpy.ndarray) -> bool:
        if key not in self.places or self._file is None:
            return False
        self._file.seek(self.places[key])
        found = self._file.readinto(rows.data)
        if found != rows.nbytes:
            raise OSError(
                f"The layers' file in {self._folder} must hold {rows.nbytes} bytes at "
                f"{self.places[key]}; found {found}"
            )
        return True

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()
