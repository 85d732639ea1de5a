"""Caches a frozen model's vectors of sentences in a file, for later epochs and runs."""

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Callable

import numpy
import torch

from elmo_components.caching.layer_cache import sentence_keys

__all__ = ["VectorFile"]

logger = logging.getLogger(__name__)

# In seconds, for another process's transaction.
TIMEOUT = 600.0
# In seconds, between attempts where SQLite does not wait by itself.
PAUSE = 0.02
# What to do about SQLite's errors.
ADVICE = {
    "disk is full": "Free disk space",
    "malformed": "Delete the file",
    "not a database": "Delete the file, or name another one",
}
TABLES = ("model (name TEXT)", "sentences (key BLOB PRIMARY KEY, vectors BLOB)")


class VectorFile:
    """
    Caches the vectors of the first sentences that fit, in float16, in an SQLite file.

    Several processes on one machine may use a file at once. A killed process loses none of the
    sentences that it has added. A copied or unpickled cache opens the same file.

    # Parameters

    path : `Path`
        The file. It is created if it does not exist, with its folder.
    size : `int`
        The size of a vector.
    model : `str`
        Identifies what computes the vectors, for example by a digest of its weights.
    max_bytes : `int`
        The size limit of the file. Sentences beyond it are not added.

    # Raises

    `ValueError` for a file with another model's vectors, and `OSError` for a file that cannot be
    read or written.
    """

    def __init__(self, path: Path, *, size: int, model: str, max_bytes: int) -> None:
        self._path = path
        self._size = size
        self._model = model
        self._max_bytes = max_bytes
        self._is_full = False
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            # no isolation level, so that no transaction is implicit
            self._connection = sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None)
            # blobs are larger than the default page of 4 kB
            self._connection.execute("PRAGMA page_size = 32768")
            # processes can read while one writes
            self._wait_for("PRAGMA journal_mode = WAL")
            # after a power failure the last sentences may be missing, and the file is undamaged
            self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            for table in TABLES:
                self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
            if not self._rows("SELECT name FROM model"):
                self._connection.execute("INSERT INTO model VALUES (?)", (model,))
        ((found,),) = self._rows("SELECT name FROM model")
        if found != model:
            raise ValueError(
                f"{path} has vectors of another model. Delete the file, or name another one"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            partial(VectorFile, size=self._size, model=self._model, max_bytes=self._max_bytes),
            (self._path,),
        )

    def __len__(self) -> int:
        ((number,),) = self._rows("SELECT COUNT(*) FROM sentences")
        return number

    def vectors(
        self,
        character_ids: torch.Tensor,
        lengths: Sequence[int],
        compute: Callable[[list[int]], torch.Tensor],
    ) -> torch.Tensor:
        """
        Returns the vectors of a batch of sentences, (batch, time, size): float32 numbers that were
        rounded to float16, and 0 behind each sentence's length. Vectors that the file does not
        have are computed, and added if they fit.

        # Parameters

        character_ids : `torch.Tensor`
            int64, (batch, time, characters): the sentences' tokens, which identify them.
        lengths : `Sequence[int]`
            The sentences' numbers of tokens.
        compute : `Callable[[List[int]], torch.Tensor]`
            Returns the vectors of these rows of the batch, (rows, time, size).

        # Raises

        `OSError` for a file that cannot be read or written, `ValueError` for vectors that float16
        cannot represent.
        """
        keys = sentence_keys(character_ids, lengths)
        found = self._find(keys)
        # one row of each sentence
        missing = {key: row for row, key in enumerate(keys) if key not in found}
        if missing:
            rows = list(missing.values())
            computed = compute(rows).to("cpu", torch.float16).numpy()
            new = {
                key: sentence[: lengths[row]]
                for (key, row), sentence in zip(missing.items(), computed)
            }
            if not all(numpy.isfinite(vectors).all() for vectors in new.values()):
                raise ValueError(
                    f"{self._path}: the vectors must fit float16, up to 65,504, and do not. "
                    "Compute them without a cache"
                )
            self._add(new)
            found.update(new)
        # (batch, time, size)
        batch = numpy.zeros((*character_ids.shape[:2], self._size), numpy.float32)
        for sentence, key, length in zip(batch, keys, lengths):
            sentence[:length] = found[key]
        return torch.from_numpy(batch).to(character_ids.device)

    def _find(self, keys: Iterable[bytes]) -> dict[bytes, numpy.ndarray]:
        found = {}
        for key in keys:
            for (vectors,) in self._rows("SELECT vectors FROM sentences WHERE key = ?", key):
                # (tokens, size)
                found[key] = numpy.frombuffer(vectors, numpy.float16).reshape(-1, self._size)
        return found

    def _add(self, sentences: Mapping[bytes, numpy.ndarray]) -> None:
        if self._is_full:
            return
        with self._transaction():
            ((pages,),) = self._rows("PRAGMA page_count")
            ((page_bytes,),) = self._rows("PRAGMA page_size")
            free_bytes = self._max_bytes - pages * page_bytes
            for key, vectors in sentences.items():
                free_bytes -= vectors.nbytes
                if free_bytes < 0:
                    self._is_full = True
                    logger.info("%s is full; other sentences are computed each time", self._path)
                    break
                # another process may have added it
                self._connection.execute(
                    "INSERT OR IGNORE INTO sentences VALUES (?, ?)", (key, vectors.tobytes())
                )

    def _wait_for(self, statement: str) -> None:
        # SQLite waits for another process's lock only where it has none itself
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self._connection.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE)

    def _rows(self, query: str, *values: bytes) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            # commits, or rolls back after an exception
            with self._connection:
                yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            advice = "".join(f". {text}" for part, text in ADVICE.items() if part in str(error))
            raise OSError(f"{self._path}: {error}{advice}") from error
