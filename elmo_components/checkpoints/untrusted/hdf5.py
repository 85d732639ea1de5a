"""
An HDF5 file that anyone may have sent: its arrays of numbers, which lie in the file itself and take
no more memory than an honest file of its size.

HDF5 can do much that no weights need: links to other files, arrays whose numbers lie in other
files, arrays of any declared size with nothing stored, filters of plugins. All of it is refused.
"""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import h5py
import numpy

from elmo_components.checkpoints.checkpoint import CheckpointError, listed

__all__ = ["Arrays", "opened_hdf5"]

# What all arrays that are read may take in float32: this times the file, since weights hardly
# compress, and this many bytes in any case.
MAX_RATIO = 10
MIN_LIMIT = 1 << 26
# A biLM has a hundred arrays at a depth of 6.
MAX_OBJECTS = 10_000
MAX_DEPTH = 10
FLOAT32_BYTES = 4

LAYOUTS = (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)

# What h5py raises on broken files, by what is broken.
_HDF5_ERRORS = (
    *(OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError),
    *(AttributeError, MemoryError, NotImplementedError),
)


class Arrays:
    """
    The arrays of an open file.

    # Parameters

    shapes : `dict[str, tuple[int, ...]]`
        The shape of each under its name.
    """

    def __init__(self, file: h5py.File, *, num_bytes: int) -> None:
        self._datasets = _datasets(file)
        self._left = max(MIN_LIMIT, MAX_RATIO * num_bytes)
        self.shapes = {name: _shape(dataset) for name, dataset in self._datasets.items()}

    def problem(self, name: str) -> str:
        """Returns what keeps an array from being read, in words; "" where nothing does."""
        dataset = self._datasets[name]
        kind, layout = dataset.id.get_type(), dataset.id.get_create_plist()
        if kind.get_class() != h5py.h5t.FLOAT or kind.get_size() not in (2, 4, 8):
            return f"{name} must hold floating-point numbers, not {_kind(dataset)}"
        if layout.get_layout() not in LAYOUTS or layout.get_external_count():
            return f"{name} must have its numbers in this file; they are in another"
        filters = [layout.get_filter(number)[0] for number in range(layout.get_nfilters())]
        if not {*filters} <= {*FILTERS}:
            return f"{name} must be stored as it is or deflated; its filters are {filters}"
        sizes = [prod(self.shapes[name])]
        if layout.get_layout() == h5py.h5d.CHUNKED:
            sizes.append(prod(layout.get_chunk()))
        if max(sizes) * max(FLOAT32_BYTES, kind.get_size()) > self._left:
            return (
                f"{name} is to have {max(sizes):,} numbers, more than a file of this size can "
                "honestly hold"
            )
        return ""

    def read(self, name: str) -> numpy.ndarray:
        """Returns an array, for which there is no `problem`, as float32."""
        self._left -= prod(self.shapes[name]) * FLOAT32_BYTES
        # what is too large becomes infinite, which is found later
        with numpy.errstate(over="ignore"):
            return self._datasets[name][...].astype(numpy.float32, copy=False)


@contextmanager
def opened_hdf5(path: Path) -> Iterator[Arrays]:
    """
    Opens an HDF5 file to be read.

    # Raises

    `CheckpointError` for what is no file or a broken one, also within, and for one with links
    or other things than arrays in it.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} must be an HDF5 file; found {_other_kind(path)}")
    try:
        with h5py.File(path, "r") as file:
            try:
                arrays = Arrays(file, num_bytes=path.stat().st_size)
            except CheckpointError as error:
                raise CheckpointError(f"{path} cannot be used: {error}") from error
            yield arrays
    except CheckpointError:
        raise
    except _HDF5_ERRORS as error:
        raise CheckpointError(f"{path} is not a whole HDF5 file: {listed([str(error)])}") from error


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    # h5py's own walk goes as deep as a file says, and the library's stack ends before
    found: dict[str, h5py.Dataset] = {}
    problems: list[str] = []
    waiting: list[tuple[str, int, h5py.Group]] = [("", 0, file)]
    number = 0
    while waiting:
        path, depth, group = waiting.pop()
        for name in group:
            number += 1
            if number > MAX_OBJECTS or depth > MAX_DEPTH:
                raise CheckpointError(
                    f"it must have at most {MAX_OBJECTS:,} arrays and groups, {MAX_DEPTH} deep; "
                    f"there are more at {listed([path])}"
                )
            place = path + name
            # a link of another kind would open what it leads to
            if "/" in name or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                problems.append(f"{place} must be an array or a group, and is a link")
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((f"{place}/", depth + 1, item))
            elif isinstance(item, h5py.Dataset):
                found[place] = item
            else:
                problems.append(f"{place} must be an array or a group")
    if problems:
        raise CheckpointError(listed(problems))
    return found


def _shape(dataset: h5py.Dataset) -> tuple[int, ...]:
    if dataset.id.get_create_plist().get_layout() == h5py.h5d.VIRTUAL:
        # its shape might be looked for in other files
        raise CheckpointError(f"{dataset.name} must have its numbers in this file; it is virtual")
    # one without any space has no shape, and no numbers
    return (0,) if dataset.shape is None else tuple(dataset.shape)


def _kind(dataset: h5py.Dataset) -> str:
    try:
        return str(dataset.dtype)
    except (TypeError, ValueError):
        return "a type that numpy does not have"


def _other_kind(path: Path) -> str:
    if not path.exists():
        return "nothing"
    return "a folder" if stat.S_ISDIR(path.stat().st_mode) else "no plain file"
