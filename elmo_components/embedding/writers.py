"""Vectors of sentences to a file: HDF5 as `allennlp elmo` wrote it, Parquet or npz."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

import numpy

from elmo_components.embedding.npz_stream import NpzStream
from elmo_components.embedding.selection import VectorChoice

__all__ = ["FORMATS", "Entry", "format_of", "key_problem", "write_vectors"]

HDF5, PARQUET, NPZ = "hdf5", "parquet", "npz"
FORMATS = (HDF5, PARQUET, NPZ)
ENDINGS = {".parquet": PARQUET, ".pq": PARQUET, ".npz": NPZ}

# What tells, in HDF5 and npz, which sentence has which key.
INDEX = "sentence_to_index"

# A zip's names have 65,535 bytes with their ending.
MAX_KEY = 65_000

# A row group of a table is written when it has as many bytes, or sentences.
GROUP_BYTES = 32 << 20
GROUP_SENTENCES = 4096


class Entry(NamedTuple):
    """A sentence's line, from 0; its text; its vectors, as `VectorChoice.choose` gives them."""

    line: int
    text: str
    vectors: numpy.ndarray


def format_of(path: Path) -> str:
    """Returns the format that goes with a file's ending: HDF5 for any that is not known."""
    return ENDINGS.get(path.suffix, HDF5)


def key_problem(text: str, output_format: str) -> Optional[str]:
    """Returns why a sentence cannot be a key in a file of this format, or `None`."""
    if output_format == PARQUET:
        return None
    if len(text.encode()) > MAX_KEY:
        return f"a key must have at most {MAX_KEY} bytes"
    if "\0" in text:
        return "a key must have no NUL"
    if output_format == HDF5 and {"", "."} & set(text.split("/")):
        return "a key in HDF5 must have text between slashes, and not just a full stop"
    return None


def write_vectors(
    path: Path,
    entries: Iterable[Entry],
    *,
    output_format: str,
    choice: VectorChoice,
    num_layers: int,
    size: int,
    sentence_keys: bool = False,
    keep_sentences: bool = True,
    refuse: Callable[[int, str], None],
) -> None:
    """
    Writes a file of vectors, in memory that grows with nothing but the text of the sentences, and
    not with that either in a table or where sentences are not kept.

    # Parameters

    path : `Path`
        A new file, which is whole when this returns.
    entries : `Iterable[Entry]`
        The sentences.
    output_format : `str`
        "hdf5": a dataset for each sentence, its key the line's number from 0 as a string.
        "npz": an array for each, under the same key.
        "parquet": a row for each, with the columns `line`, `sentence`, and `vectors`, lists of
        lists of a fixed size; or, of all layers, `layer_0`, `layer_1`, ...
    choice : `VectorChoice`
        What the vectors are.
    num_layers : `int`
        How many layers the model has.
    size : `int`
        A vector's.
    sentence_keys : `bool`
        Whether a key is the sentence itself, not the line.
    keep_sentences : `bool`
        Whether, where keys are lines, HDF5 and npz get a `sentence_to_index` of shape (1,): JSON
        of an object with each sentence's key, in HDF5 as a string, in npz as ASCII bytes; and a
        table its column `sentence`.
    refuse : `Callable[[int, str], None]`
        Is told the line, and why, of each sentence that cannot be a key beside those before it.

    # Raises

    `ValueError` where a table needs what is not installed.
    """
    if output_format == PARQUET:
        _write_parquet(
            path,
            entries,
            choice=choice,
            num_layers=num_layers,
            size=size,
            keep_sentences=keep_sentences or sentence_keys,
        )
        return
    index: Optional[dict[str, str]] = {} if keep_sentences and not sentence_keys else None
    if output_format == NPZ:
        _write_npz(path, entries, sentence_keys, index)
    else:
        _write_hdf5(path, entries, sentence_keys, index, refuse)


def _key(entry: Entry, sentence_keys: bool, index: Optional[dict[str, str]]) -> str:
    if index is not None:
        index[entry.text] = str(entry.line)
    return entry.text if sentence_keys else str(entry.line)


def _write_hdf5(
    path: Path,
    entries: Iterable[Entry],
    sentence_keys: bool,
    index: Optional[dict[str, str]],
    refuse: Callable[[int, str], None],
) -> None:
    import h5py

    # without times in it, the same vectors give the same file
    with h5py.File(path, "w", track_order=False) as file:
        for entry in entries:
            key = _key(entry, sentence_keys, index)
            problem = _collision(file, key) if sentence_keys else None
            if problem is None:
                file.create_dataset(key, data=entry.vectors, track_times=False)
            else:
                refuse(entry.line, problem)
        if index is not None:
            dataset = file.create_dataset(INDEX, (1,), dtype=h5py.string_dtype(), track_times=False)
            dataset[0] = json.dumps(index)


def _collision(file: Any, key: str) -> Optional[str]:
    """Returns why a key has no place beside those before it: "a/b" is b in a group a."""
    parts = key.split("/")
    for end in range(1, len(parts)):
        name = "/".join(parts[:end])
        # a group may hold more, and a dataset may not
        if hasattr(file.get(name), "shape"):
            return f"in HDF5 it would lie within the key {name!r}"
    return f"in HDF5 {key!r} is there already, as a key or a part of keys" if key in file else None


def _write_npz(
    path: Path, entries: Iterable[Entry], sentence_keys: bool, index: Optional[dict[str, str]]
) -> None:
    with NpzStream(path) as file:
        for entry in entries:
            file.write(_key(entry, sentence_keys, index), entry.vectors)
        if index is not None:
            file.write(INDEX, numpy.array([json.dumps(index).encode("ascii")]))


def _write_parquet(
    path: Path,
    entries: Iterable[Entry],
    *,
    choice: VectorChoice,
    num_layers: int,
    size: int,
    keep_sentences: bool,
) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow: pip install 'elmo_components[parquet]'") from error
    vector = pyarrow.list_(pyarrow.from_numpy_dtype(choice.dtype), size)
    vectors = vector if choice.pooling else pyarrow.list_(vector)
    names = [f"layer_{number}" for number in range(num_layers)]
    if choice.layers != "all":
        names = ["vectors"]
    fields = [("line", pyarrow.int64()), *((name, vectors) for name in names)]
    if keep_sentences:
        fields.insert(1, ("sentence", pyarrow.string()))
    schema = pyarrow.schema(fields)
    # nothing is saved by looking for equal numbers, or among them
    with parquet.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, write_statistics=False
    ) as file:
        for group in _groups(entries):
            columns = [pyarrow.array([entry.line for entry in group], pyarrow.int64())]
            if keep_sentences:
                columns.append(pyarrow.array([entry.text for entry in group], pyarrow.string()))
            for number in range(len(names)):
                arrays = [
                    entry.vectors[number] if choice.layers == "all" else entry.vectors
                    for entry in group
                ]
                numbers = numpy.concatenate([array.reshape(-1) for array in arrays])
                column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(numbers), size)
                if not choice.pooling:
                    # (sentences + 1,)
                    starts = numpy.cumsum([0, *(len(array) for array in arrays)], dtype=numpy.int32)
                    column = pyarrow.ListArray.from_arrays(pyarrow.array(starts), column)
                columns.append(column)
            file.write_table(pyarrow.Table.from_arrays(columns, schema=schema))


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += entry.vectors.nbytes
        if size >= GROUP_BYTES or len(group) == GROUP_SENTENCES:
            yield group
            group, size = [], 0
    if group:
        yield group
