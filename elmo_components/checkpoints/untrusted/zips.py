"""Members of a zip that anyone may have sent: of known names, as large as they honestly can be."""

import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Optional

from elmo_components.checkpoints.checkpoint import CheckpointError, brief

__all__ = ["is_zip", "names_in", "opened_zip", "unpacked_members"]

# In bytes: 10,000 members.
MAX_DIRECTORY = 1 << 20
# How many bytes the members may have: this times the zip's own, since weights hardly compress, and
# this many more.
MAX_RATIO = 10
MIN_LIMIT = 1 << 24
BLOCK = 1 << 20

# What zipfile raises on broken files, on encrypted ones, and on other ways to compress.
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, KeyError, OSError, OverflowError, RuntimeError),
)


def is_zip(path: Path) -> bool:
    """Whether the file at `path` begins as zips do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def names_in(path: Path) -> frozenset[str]:
    """Returns the names in a folder or in a zip; none where `path` is neither, or broken."""
    if path.is_dir():
        return frozenset(entry.name for entry in path.iterdir())
    if not is_zip(path):
        return frozenset()
    try:
        with opened_zip(path) as archive:
            return frozenset(archive.namelist())
    except ValueError:
        return frozenset()


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """
    Opens a zip to be read.

    # Raises

    `ValueError` where it is broken, within too.
    """
    try:
        with _Bounded(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            file.limit = None
            yield archive
    except _ZIP_ERRORS as error:
        raise ValueError(f"It is not a whole zip: {error}") from error


@contextmanager
def unpacked_members(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[Path]:
    """
    Yields a folder with a model's files: `path` itself where it is a folder, else a temporary one.
    A `CheckpointError` that is raised while it is there and names it comes to name `path` instead.

    # Parameters

    is_wanted : `Callable[[str], bool]`
        Whether a zip's member of that name is needed, which may have no folder in it.

    # Raises

    `CheckpointError` for a zip that is broken, that holds paths out of its folder, or whose members
    are larger than they can honestly be.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with opened_zip(path) as archive:
                for member in _wanted(archive, path.stat().st_size, is_wanted):
                    _write(archive, member, Path(folder, member.filename))
        except ValueError as error:
            raise CheckpointError(f"{path} cannot be used: {error}") from error
        try:
            yield Path(folder)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(folder, str(path))) from error


def _wanted(
    archive: zipfile.ZipFile, size: int, is_wanted: Callable[[str], bool]
) -> list[zipfile.ZipInfo]:
    for name in archive.namelist():
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name:
            raise CheckpointError(f"its member {brief(name)} would lie outside of it")
    found = [
        member
        for member in archive.infolist()
        if "/" not in member.filename and is_wanted(member.filename)
    ]
    names = {member.filename for member in found}
    if len(names) != len(found):
        raise CheckpointError(f"it must hold each of {', '.join(sorted(names))} once")
    limit, total = MIN_LIMIT + MAX_RATIO * size, 0
    for member in sorted(found, key=lambda member: member.file_size):
        total += member.file_size
        if total > limit:
            raise CheckpointError(
                f"its {member.filename} is to have {member.file_size:,} bytes, and the members of "
                f"a zip of this size may have {limit:,}"
            )
    return found


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    with archive.open(member) as contents, path.open("xb") as file:
        while block := contents.read(BLOCK):
            file.write(block)


class _Bounded(io.BufferedReader):
    """A file that refuses to read more than `limit` bytes at once: zipfile reads all names so."""

    limit: Optional[int] = MAX_DIRECTORY

    def read(self, size: Optional[int] = -1, /) -> bytes:
        if self.limit is not None and size is not None and size > self.limit:
            raise zipfile.BadZipFile(
                f"its directory must have at most {self.limit:,} bytes; found {size:,}"
            )
        return super().read(size)
