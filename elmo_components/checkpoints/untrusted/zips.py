"""Reads untrusted zips: known members only, of bounded size."""

import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from elmo_components.alphabet import shown
from elmo_components.checkpoints.checkpoint import CheckpointError
from elmo_components.checkpoints.disk import is_disk_full

__all__ = ["is_zip", "names_in", "open_zip", "unpacked_members"]

# The limit of all members: MIN_LIMIT bytes plus this times the zip's size, as weights hardly
# compress.
MAX_RATIO = 10
MIN_LIMIT = 1 << 24

# The compressions that are read.
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# what zipfile raises for broken and encrypted files and for other compressions
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
    """Returns the names in a folder or a zip; none if `path` is neither, or broken."""
    if path.is_dir():
        return frozenset(entry.name for entry in path.iterdir())
    if not is_zip(path):
        return frozenset()
    try:
        with open_zip(path) as archive:
            return frozenset(archive.namelist())
    except ValueError:
        return frozenset()


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """
    Opens a zip for reading.

    # Raises

    `ValueError` if it is broken, also while it is read; `OSError` for a full disk.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _ZIP_ERRORS as error:
        if is_disk_full(error):
            raise
        raise ValueError(f"It is not a whole zip: {error}") from error


@contextmanager
def unpacked_members(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[Path]:
    """
    Yields a folder with a model's files: `path` itself if it is a folder, else a temporary one.
    A `CheckpointError` about a file in the temporary folder names `path` instead.

    # Parameters

    is_wanted : `Callable[[str], bool]`
        Whether to unpack a member of that name. Members in folders never are.

    # Raises

    `CheckpointError` for a zip that is broken, has a member outside its folder, or exceeds the size
    limit; `OSError` for a full disk.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with open_zip(path) as archive:
                for member in _wanted(archive, path.stat().st_size, is_wanted):
                    # zipfile gives no more than the declared size
                    archive.extract(member, folder)
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
        if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
            raise CheckpointError(f"its member {shown(name)} would lie outside of it")
    members = [
        member
        for member in archive.infolist()
        if "/" not in member.filename and is_wanted(member.filename)
    ]
    names = sorted({member.filename for member in members})
    if len(names) != len(members):
        raise CheckpointError(f"it must have each of {', '.join(names)} once")
    if any(member.compress_type not in COMPRESSIONS for member in members):
        raise CheckpointError("its members must be stored or deflated")
    limit, total = MIN_LIMIT + MAX_RATIO * size, sum(member.file_size for member in members)
    if total > limit:
        raise CheckpointError(
            f"its members have {total:,} bytes; a zip of its size may have {limit:,}"
        )
    return members
