"""Word vectors kept across batches while the character encoder does not change."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy
import torch
from torch import nn

from elmo_components.caching.fingerprint import Fingerprint, digest

__all__ = ["WordCache", "is_frozen"]

FORMAT = "elmo_components.word_cache"
VERSION = "1"


def is_frozen(weights: Sequence[torch.Tensor]) -> bool:
    """Whether vectors made from `weights` may be kept: no gradient, and no other precision."""
    return (
        # what torch.func and forward differentiation put in a parameter's place is no parameter
        all(isinstance(weight, nn.Parameter) for weight in weights)
        and not (torch.is_grad_enabled() and any(weight.requires_grad for weight in weights))
        and not _is_autocast()
    )


class WordCache:
    """
    The vectors of the words used last, at most `size`.

    A word is the bytes of its character ids as int16, so that no two words can be taken for each
    other. Vectors belong to weights: they are dropped when others are given, or these have changed
    (see `Fingerprint`). Several threads may use a cache at once. A copy, or an unpickled one, is
    empty.

    # Parameters

    size : `int`
        1 or more.

    # Raises

    `ValueError` for a size below 1.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"A cache must have room for 1 word or more; found {size}")
        self.size = size
        self._lock = threading.Lock()
        self._held = _Held(size, ())

    def __reduce__(self) -> tuple[Any, ...]:
        return WordCache, (self.size,)

    def __len__(self) -> int:
        return len(self._held.rows)

    def vectors(
        self,
        words: Sequence[bytes],
        weights: Sequence[torch.Tensor],
        compute: Callable[[Sequence[bytes]], torch.Tensor],
    ) -> torch.Tensor:
        """
        Returns the vectors of different words: (words, hidden_size), in memory of their own.

        # Parameters

        words : `Sequence[bytes]`
            Each comes once.
        weights : `Sequence[torch.Tensor]`
            All that the vectors depend on; see `is_frozen`.
        compute : `Callable[[Sequence[bytes]], torch.Tensor]`
            Gives the vectors of words that are not held.
        """
        with self._lock:
            held = self._held_for(weights)
            places = [held.row(word) for word in words]
            rows = [row for row in places if row is not None]
            # a copy, which later words do not overwrite
            found = None if held.vectors is None else held.vectors[rows]
        missing = [word for word, row in zip(words, places) if row is None]
        if found is not None and not missing:
            return found
        # without the lock: two threads may compute the same word
        computed = compute(missing)
        with self._lock:
            # where the weights have changed meanwhile, nobody asks these any more
            held.add(missing, computed)
        if found is None or not rows:
            return computed
        is_missing = torch.tensor([row is None for row in places])
        # (words, hidden_size)
        vectors = computed.new_empty(len(words), computed.size(1))
        vectors[is_missing] = computed
        vectors[~is_missing] = found
        return vectors

    def save(self, path: Union[str, Path], weights: Sequence[torch.Tensor]) -> None:
        """
        Writes what is held for `weights` to a safetensors file, the words used last at the end:

            ids      int16 (words, characters)
            vectors  (words, hidden_size), of the weights' type
            metadata: format "elmo_components.word_cache", version "1", and weights, the SHA-256 of
                      each weight's type, shape and numbers

        The file is written under another name first, and replaces what was at `path` at once.

        # Raises

        `ValueError` where nothing is held for these weights.
        """
        # safetensors is needed for this alone
        from safetensors.torch import save as serialized

        with self._lock:
            held = self._held_for(weights)
            words, rows = list(held.rows), list(held.rows.values())
            vectors = None if held.vectors is None else held.vectors[rows].detach().clone()
        if vectors is None or not words:
            raise ValueError("The cache holds no word of these weights; call the encoder first")
        ids = numpy.frombuffer(b"".join(words), dtype=numpy.int16).reshape(len(words), -1)
        content = serialized(
            {"ids": torch.from_numpy(ids.copy()), "vectors": vectors},
            metadata={"format": FORMAT, "version": VERSION, "weights": digest(weights)},
        )
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def load(self, path: Union[str, Path], weights: Sequence[torch.Tensor]) -> None:
        """
        Adds the words of a file that `save` wrote; of more than there is room for, the last ones.

        # Raises

        `ValueError` where the file is broken, of another kind, or made with other weights.
        """
        ids, vectors = _read(Path(path), digest(weights))
        words = [row.tobytes() for row in ids.numpy()]
        with self._lock:
            self._held_for(weights).add(words, vectors)

    def _held_for(self, weights: Sequence[torch.Tensor]) -> "_Held":
        if not self._held.fingerprint.fits(weights):
            self._held = _Held(self.size, weights)
        return self._held


class _Held:
    """The rows of a growing table, and the weights that they were made with."""

    def __init__(self, size: int, weights: Sequence[torch.Tensor]) -> None:
        self.size = size
        # least lately used first
        self.rows: OrderedDict[bytes, int] = OrderedDict()
        self.free: list[int] = []
        self.vectors: Optional[torch.Tensor] = None
        self.fingerprint = Fingerprint(weights)

    def row(self, word: bytes) -> Optional[int]:
        """Returns a word's row, and takes the word for used."""
        if word not in self.rows:
            return None
        self.rows.move_to_end(word)
        return self.rows[word]

    def add(self, words: Sequence[bytes], vectors: torch.Tensor) -> None:
        """Takes in words with their vectors, (words, hidden_size): the last ones that fit."""
        # another thread may have added some
        places = {word: place for place, word in enumerate(words) if word not in self.rows}
        new = list(places)[-self.size :]
        # what is kept can be written in any mode, whatever mode it was made in
        with torch.inference_mode(False), torch.no_grad():
            self._make_room(len(new), vectors)
            assert self.vectors is not None
            rows = self.free[len(self.free) - len(new) :]
            self.vectors[rows] = vectors[[places[word] for word in new]].detach()
        # only now, so that an interruption above leaves no word with another's vector
        del self.free[len(self.free) - len(new) :]
        self.rows.update(zip(new, rows))

    def _make_room(self, number: int, like: torch.Tensor) -> None:
        capacity = 0 if self.vectors is None else self.vectors.size(0)
        needed = min(self.size, len(self.rows) + number)
        if self.vectors is None or needed > capacity:
            # (capacity, hidden_size)
            grown = torch.empty(
                min(self.size, max(needed, 2 * capacity)), like.size(1), dtype=like.dtype
            )
            if self.vectors is not None:
                grown[:capacity] = self.vectors
            self.vectors = grown
            self.free.extend(range(capacity, grown.size(0)))
        while len(self.free) < number:
            self.free.append(self.rows.popitem(last=False)[1])


def _read(path: Path, fingerprint: str) -> tuple[torch.Tensor, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            for name, wanted in (("format", FORMAT), ("version", VERSION)):
                if metadata.get(name) != wanted:
                    raise ValueError(
                        f"{path} must be a word cache with the {name} {wanted!r}; "
                        f"found {metadata.get(name)!r}"
                    )
            if metadata.get("weights") != fingerprint:
                raise ValueError(
                    f"{path} was made with other weights than the character encoder's; "
                    "save one anew with these"
                )
            ids, vectors = file.get_tensor("ids"), file.get_tensor("vectors")
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
    if ids.dtype != torch.int16 or ids.dim() != 2 or vectors.shape[:-1] != ids.shape[:1]:
        raise ValueError(
            f"{path} must have ids, int16 (words, characters), and vectors (words, hidden_size); "
            f"found {ids.dtype} {tuple(ids.shape)} and {tuple(vectors.shape)}"
        )
    return ids, vectors


def _is_autocast() -> bool:
    # torch 2.4 gave the one its argument and deprecated the other
    try:
        return torch.is_autocast_enabled("cpu")
    except TypeError:
        return torch.is_autocast_cpu_enabled()
