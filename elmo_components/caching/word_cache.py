"""Caches word vectors across batches while the character encoder does not change."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Optional

import torch

from elmo_components.caching.fingerprint import Fingerprint
from elmo_components.caching.lock import ForkSafeLock

__all__ = ["WordCache"]


class WordCache:
    """
    Caches the vectors of the `size` words used last.

    A word's key is the bytes of its character ids as int16. Other or changed weights empty the
    cache (see `Fingerprint`). Several threads may use a cache at once. A copied or unpickled cache
    is empty.

    # Raises

    `ValueError` for a size below 1.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"The size of a word cache must be 1 or more; found {size}")
        self.size = size
        self._lock = ForkSafeLock()
        self._table = _Table(size, ())

    def __reduce__(self) -> tuple[Any, ...]:
        return WordCache, (self.size,)

    def __len__(self) -> int:
        return len(self._table.rows)

    def vectors(
        self,
        words: Sequence[bytes],
        weights: Sequence[torch.Tensor],
        compute: Callable[[Sequence[bytes]], torch.Tensor],
    ) -> torch.Tensor:
        """
        Returns the vectors of distinct words, (words, hidden_size), in new memory.

        # Parameters

        weights : `Sequence[torch.Tensor]`
            All weights that the vectors depend on; see `frozen_weights`.
        compute : `Callable[[Sequence[bytes]], torch.Tensor]`
            Computes the vectors of words that are not cached.
        """
        with self._lock:
            if not self._table.fingerprint.fits(weights):
                self._table = _Table(self.size, weights)
            table = self._table
            places = [table.row(word) for word in words]
            rows = [row for row in places if row is not None]
            # a copy, which later words do not overwrite
            cached = None if table.vectors is None else table.vectors[rows]
        missing = [word for word, row in zip(words, places) if row is None]
        if cached is not None and not missing:
            return cached
        # without the lock: two threads may compute the same word
        computed = compute(missing)
        with self._lock:
            # if the weights have changed since, nobody reads this table
            table.add(missing, computed)
        if cached is None or not rows:
            return computed
        is_missing = torch.tensor([row is None for row in places], device=computed.device)
        # (words, hidden_size)
        vectors = computed.new_empty(len(words), computed.size(1))
        vectors[is_missing] = computed
        vectors[~is_missing] = cached
        return vectors


class _Table:
    """The rows of a growing table, and the weights that they were computed with."""

    def __init__(self, size: int, weights: Sequence[torch.Tensor]) -> None:
        self.size = size
        # least recently used first
        self.rows: OrderedDict[bytes, int] = OrderedDict()
        self.free: list[int] = []
        self.vectors: Optional[torch.Tensor] = None
        self.fingerprint = Fingerprint(weights)

    def row(self, word: bytes) -> Optional[int]:
        """Returns a word's row, and makes the word the last used one."""
        if word not in self.rows:
            return None
        self.rows.move_to_end(word)
        return self.rows[word]

    def add(self, words: Sequence[bytes], vectors: torch.Tensor) -> None:
        """Adds words with their vectors, (words, hidden_size): the last ones that fit."""
        # another thread may have added some
        places = {word: place for place, word in enumerate(words) if word not in self.rows}
        new = list(places)[-self.size :]
        # outside inference mode, so that vectors can be overwritten in any mode
        with torch.inference_mode(False), torch.no_grad():
            self._make_room(len(new), vectors)
            assert self.vectors is not None
            rows = self.free[len(self.free) - len(new) :]
            self.vectors[rows] = vectors[[places[word] for word in new]].detach()
        # last, so that no interruption gives a word another word's vector
        del self.free[len(self.free) - len(new) :]
        self.rows.update(zip(new, rows))

    def _make_room(self, number: int, like: torch.Tensor) -> None:
        capacity = 0 if self.vectors is None else self.vectors.size(0)
        needed = min(self.size, len(self.rows) + number)
        if self.vectors is None or needed > capacity:
            # (capacity, hidden_size)
            grown = like.new_empty(min(self.size, max(needed, 2 * capacity)), like.size(1))
            if self.vectors is not None:
                grown[:capacity] = self.vectors
            self.vectors, self.free = grown, [*self.free, *range(capacity, grown.size(0))]
        while len(self.free) < number:
            self.free.append(self.rows.popitem(last=False)[1])
