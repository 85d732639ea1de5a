"""
Reads expected arrays from an untrusted HDF5 file.

It refuses what weights do not need: links, arrays stored in other files, filters, and arrays whose
declared size is much larger than the file.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy
import torch

from elmo_components.alphabet import listed, shown
from elmo_components.checkpoints.checkpoint import CheckpointError

__all__ = ["Arrays", "open_hdf5"]

# The limit of all arrays in float32: this times the file's size, as weights hardly compress, and at
# least MIN_LIMIT bytes.
MAX_RATIO = 10
MIN_LIMIT = 1 << 26
FLOAT32_BYTES = 4

# what h5py raises for broken files
_HDF5_ERRORS = (
    *(OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError),
    *(AttributeError, MemoryError, NotImplementedError),
)


class Arrays:
    """
    The arrays of an open file.

    # Parameters

    shapes : `dict[str, tuple[int, ...]]`
        The shape of each expected array. Anything else has the shape `()` and is not opened.
    """

    def __init__(self, file: Any, expected: Iterable[str], *, num_bytes: int) -> None:
        import h5py

        self._file = file
        self._left = max(MIN_LIMIT, MAX_RATIO * num_bytes)
        self.shapes: dict[str, tuple[int, ...]] = {}
        names = set(expected)
        groups = {str(parent) for name in names for parent in PurePosixPath(name).parents}
        problems: list[str] = []
        for group in sorted(groups):
            # parents come first
            if group != "." and group not in self.shapes:
                continue
            self.shapes.pop(group, None)
            for key in file if group == "." else file[group]:
                name = key if group == "." else f"{group}/{key}"
                if "/" in key or not isinstance(file.get(name, getlink=True), h5py.HardLink):
                    problems.append(f"{shown(name)[1:-1]} must be an array or a group, not a link")
                elif name in names:
                    self.shapes[name] = self._shape(name, problems)
                elif name not in groups or isinstance(file[name], h5py.Group):
                    self.shapes[name] = ()
        if problems:
            raise CheckpointError(listed(problems))

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields the name and the values of each array, as float32."""
        for name in names:
            # values beyond float32 become infinite, which `to_ours` refuses
            with numpy.errstate(over="ignore"):
                yield name, torch.from_numpy(self._file[name][...].astype(numpy.float32))

    def _shape(self, name: str, problems: list[str]) -> tuple[int, ...]:
        from h5py import Dataset, h5d, h5t

        dataset = self._file[name]
        if not isinstance(dataset, Dataset):
            problems.append(f"{name} must be an array")
            return ()
        layout, kind = dataset.id.get_create_plist(), dataset.id.get_type()
        # before the shape, which a virtual array may have in another file
        stored = (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED)
        if layout.get_layout() not in stored or layout.get_external_count():
            problems.append(f"{name} must be stored in this file")
            return ()
        # a filter may give any number of bytes, whatever the chunk's size
        if layout.get_nfilters():
            problems.append(f"{name} must not be compressed; `h5repack -f NONE` writes it so")
        if kind.get_class() != h5t.FLOAT or kind.get_size() not in (2, 4, 8):
            problems.append(f"{name} must hold floating-point numbers")
        shape = (0,) if dataset.shape is None else tuple(dataset.shape)
        sizes = [prod(shape)]
        if layout.get_layout() == h5d.CHUNKED:
            sizes.append(prod(layout.get_chunk()))
        self._left -= max(sizes) * max(FLOAT32_BYTES, kind.get_size())
        if self._left < 0:
            problems.append(f"{name} has {max(sizes):,} numbers, too many for a file of this size")
        return shape


@contextmanager
def open_hdf5(path: Path, expected: Iterable[str]) -> Iterator[Arrays]:
    """
    Opens an HDF5 file to read the `expected` arrays.

    # Raises

    `CheckpointError` for a broken file, also while it is read, and for links, arrays that are
    compressed or stored elsewhere, types other than floating-point numbers, and sizes above the
    limit.
    """
    import h5py

    # a pipe or a device would never end
    if not path.is_file():
        raise CheckpointError(f"{path} must be an HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            try:
                arrays = Arrays(file, expected, num_bytes=path.stat().st_size)
            except CheckpointError as error:
                raise CheckpointError(f"{path} cannot be used: {error}") from error
            yield arrays
    except CheckpointError:
        raise
    except _HDF5_ERRORS as error:
        raise CheckpointError(
            f"{path} is not a whole HDF5 file: {shown(str(error))[1:-1]}"
        ) from error
