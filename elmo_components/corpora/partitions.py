"""Divides the files of a corpus into partitions: a file, or some row groups of a large table."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from elmo_components.corpora.places import HIDDEN, Place, files_at
from elmo_components.embedding.readers import PARQUET, SentenceFile
from elmo_components.embedding.records import lines_of, rows_of, table_of
from elmo_components.pretraining.corpus import decompressed
from elmo_components.pretraining.tokenization import WHITE_SPACE

__all__ = ["Partition", "Reading", "find_partitions"]

# Row groups of a table are a partition as soon as they have so many rows.
PARTITION_ROWS = 100_000
# Tables whose row groups are looked up at once, mostly waiting for an object store.
THREADS = 16
BUFFER = 1 << 20


@dataclass(frozen=True)
class Reading:
    """How the sentences of all files are read. See `SentenceFile`."""

    format: Optional[str] = None
    field: Optional[str] = None
    tokenizer: str = WHITE_SPACE

    def of(self, path: str) -> SentenceFile:
        """Returns the parser of a file, which it does not open."""
        return SentenceFile(
            Path(path), format=self.format, field=self.field, tokenizer=self.tokenizer
        )


@dataclass(frozen=True)
class Partition:
    """
    Sentences that one worker reads, and the file that it writes.

    # Parameters

    source : `Place`
        The file.
    output : `str`
        The path of the output within its folder.
    size : `int`
        The file's size in bytes.
    row_groups : `Optional[tuple[int, int]]`
        The first row group of a table, and the one after the last; `None` for the whole file.
    first_record : `int`
        The number of records of the file before the partition.
    """

    source: Place
    output: str
    size: int
    row_groups: Optional[tuple[int, int]] = None
    first_record: int = 0

    def records(self, reading: Reading) -> Iterator[bytes]:
        """
        Yields the records of the partition. See `SentenceFile.records`.

        # Raises

        `FileNotFoundError`; `ValueError` for a damaged file or a missing column.
        """
        name, system = str(self.source), self.source.system
        if reading.of(self.source.path).kind == PARQUET:
            groups = None if self.row_groups is None else range(*self.row_groups)
            with system.open_input_file(self.source.path) as file:
                yield from rows_of(table_of(file, name), reading.field, name, groups)
            return
        with (
            system.open_input_stream(self.source.path, compression=None) as stream,
            BufferedReader(stream, BUFFER) as raw,
            decompressed(raw, Path(self.source.path).suffix) as lines,
        ):
            yield from lines_of(lines, name)


def find_partitions(inputs: Sequence[str], reading: Reading) -> list[Partition]:
    """
    Returns the partitions of a corpus, sorted by their outputs.

    A file is a partition, with the output `FILE.parquet`. A table with more than `PARTITION_ROWS`
    rows is divided between row groups: `NAME-00000.parquet`, `NAME-00001.parquet`, .... An output
    has the same path within its folder as the file within its input. A file with several names, by
    links, is read once, under the shortest.

    # Parameters

    inputs : `Sequence[str]`
        See `files_at`.

    # Raises

    `FileNotFoundError`, `ValueError` for two files with the same output, and without pyarrow.
    """
    found: dict[str, tuple[Place, str, int]] = {}
    for name in inputs:
        for place, below, size in files_at(name):
            # the same file may be in several inputs, and have several names by links
            key = os.path.realpath(place.path) if place.is_local else str(place)
            known = found.setdefault(key, (place, below, size))
            if len(place.path) < len(known[0].path):
                found[key] = (place, below, size)
    with ThreadPoolExecutor(THREADS) as pool:
        partitions = [
            partition
            for several in pool.map(
                lambda one: _partitions(one[0], one[1], one[2], reading), found.values()
            )
            for partition in several
        ]
    sources: dict[str, Place] = {}
    for partition in partitions:
        if partition.output.startswith(HIDDEN):
            raise ValueError(
                f"{partition.source} must not begin with {' or '.join(HIDDEN)}: its output would "
                "be a hidden file. Rename it"
            )
        other = sources.setdefault(partition.output, partition.source)
        if other != partition.source:
            raise ValueError(
                f"{other} and {partition.source} would both be written to {partition.output}. "
                "Give the folder that they are in, or a pattern in quotes, so that the outputs "
                "have their folders too"
            )
    return sorted(partitions, key=lambda partition: partition.output)


def _partitions(place: Place, below: str, size: int, reading: Reading) -> list[Partition]:
    if reading.of(place.path).kind != PARQUET:
        return [Partition(place, f"{below}.parquet", size)]
    stem = str(PurePosixPath(below).with_suffix(""))
    whole = Partition(place, f"{stem}.parquet", size)
    try:
        with place.system.open_input_file(place.path) as file:
            groups = _row_groups(table_of(file, str(place)).metadata)
    except (ValueError, OSError):
        # the worker that reads the file reports it, and the others are written
        return [whole]
    if len(groups) < 2:
        return [whole]
    return [
        Partition(place, f"{stem}-{number:05}.parquet", size, (first, last), rows)
        for number, (first, last, rows) in enumerate(groups)
    ]


def _row_groups(metadata: Any) -> list[tuple[int, int, int]]:
    """Returns the row groups of each partition, as a range, and the number of rows before it."""
    groups = []
    first = before = rows = 0
    for number in range(metadata.num_row_groups):
        rows += metadata.row_group(number).num_rows
        if rows >= PARTITION_ROWS or number == metadata.num_row_groups - 1:
            groups.append((first, number + 1, before))
            first, before, rows = number + 1, before + rows, 0
    return groups
