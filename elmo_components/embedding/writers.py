"""Writes vectors of sentences to HDF5 (in the format of `allennlp elmo`), Parquet or npz."""

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable, Optional

import numpy
from numpy.lib import format as npy

from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.tables import Entry, write_table

__all__ = ["FORMATS", "Entry", "check_key", "format_of", "write_vectors"]

HDF5, PARQUET, NPZ = "hdf5", "parquet", "npz"
FORMATS = (HDF5, PARQUET, NPZ)
SUFFIXES = {".parquet": PARQUET, ".pq": PARQUET, ".npz": NPZ}

# The key in HDF5 and npz of the table from sentences to keys.
INDEX = "sentence_to_index"

# A zip's names have at most 65,535 bytes, with their suffix.
MAX_KEY = 65_000
# The size of an array's header in npz is below this.
MAX_HEADER = 1 << 10


def format_of(path: Path) -> str:
    """Returns the format for a file's suffix: HDF5 for an unknown one."""
    return SUFFIXES.get(path.suffix, HDF5)


def check_key(text: str, output_format: str) -> None:
    """Raises a `ValueError` if a sentence cannot be a key in a file of this format."""
    if output_format == PARQUET:
        return
    if len(text.encode()) > MAX_KEY:
        raise ValueError(f"a key must have at most {MAX_KEY} bytes")
    if "\0" in text:
        raise ValueError("a key must not have NUL")
    if output_format == HDF5 and {"", "."} & set(text.split("/")):
        raise ValueError("a key in HDF5 must have text between slashes, other than a full stop")


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
    Writes a file of vectors one sentence at a time.

    # Parameters

    output_format : `str`
        "hdf5": one dataset per sentence; its key is the line from 0, as a string. "npz": one array
        per sentence, with the same key. "parquet": one row per sentence with the columns `line`,
        `sentence` and `vectors`, lists of fixed-size lists; for all layers, `layer_0`, `layer_1`,
        ... in the place of `vectors`.
    choice : `VectorChoice`
        Describes the vectors.
    num_layers, size
        The model's number of layers, and the size of a vector.
    sentence_keys : `bool`
        Whether the key is the sentence, and not its line.
    keep_sentences : `bool`
        Whether to write `sentence_to_index`, of shape (1,), to HDF5 and npz: a JSON object of each
        sentence's key, as a string in HDF5 and as ASCII bytes in npz. In a table, whether to write
        the column `sentence`.
    refuse : `Callable[[int, str], None]`
        Called with the line and the reason for each sentence whose key clashes with an earlier one.

    # Raises

    `ValueError` if pyarrow is needed and not installed.
    """
    if output_format == PARQUET:
        has_text = keep_sentences or sentence_keys
        write_table(
            path, entries, choice=choice, num_layers=num_layers, size=size, has_text=has_text
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

    # without times, the same vectors give the same bytes
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
    """Returns why a key clashes with an earlier one: "a/b" is the dataset b in the group a."""
    parts = key.split("/")
    for end in range(1, len(parts)):
        name = "/".join(parts[:end])
        # only a group can hold datasets
        if hasattr(file.get(name), "shape"):
            return f"in HDF5 it would be inside the key {name!r}"
    return f"in HDF5 {key!r} exists already, as a key or the start of keys" if key in file else None


def _write_npz(
    path: Path, entries: Iterable[Entry], sentence_keys: bool, index: Optional[dict[str, str]]
) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for entry in entries:
            _add_array(file, _key(entry, sentence_keys, index), entry.vectors)
        if index is not None:
            _add_array(file, INDEX, numpy.array([json.dumps(index).encode("ascii")]))


def _add_array(file: zipfile.ZipFile, name: str, array: numpy.ndarray) -> None:
    # without a date, which is 1980 then, the same vectors give the same bytes
    member = zipfile.ZipInfo(f"{name}.npy")
    # zipfile chooses 64-bit sizes by it
    member.file_size = array.nbytes + MAX_HEADER
    with file.open(member, "w") as stream:
        npy.write_array(stream, array, allow_pickle=False)
