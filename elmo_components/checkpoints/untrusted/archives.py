"""Unpacks untrusted AllenNLP archives into a temporary folder: known files, of bounded size."""

import gzip
import io
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Optional

from elmo_components.alphabet import shown
from elmo_components.checkpoints.checkpoint import CheckpointError
from elmo_components.checkpoints.disk import is_disk_full

__all__ = ["CONFIG_NAME", "WEIGHTS_NAMES", "is_gzip", "unpacked"]

CONFIG_NAME = "config.json"
# in AllenNLP's order
WEIGHTS_NAMES = ("weights.th", "best.th")
# Old archives have the files that their configuration names under `fta`.
WANTED = re.compile(r"config\.json|weights\.th|best\.th|vocabulary/[^/]+\.txt|fta/[^/]+")

# The limit of an unpacked archive: this times its compressed size, as weights hardly compress, and
# at least MIN_LIMIT bytes.
MAX_RATIO = 10
MIN_LIMIT = 1 << 26
# tarfile reads through a buffer of Python's size.
BLOCK = max(1 << 16, io.DEFAULT_BUFFER_SIZE)

_TAR_ERRORS = (tarfile.TarError, zlib.error, EOFError, OSError, RecursionError, ValueError)


def is_gzip(path: Path) -> bool:
    """Whether the file at `path` begins as gzip files do."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """
    Yields a folder with an archive's configuration, weights and vocabulary: `path` itself if it is
    a folder, else a temporary folder.

    # Raises

    `CheckpointError` for an archive that is broken, has a link or a member outside its folder, or
    exceeds the size limit; `OSError` for a full disk.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            _unpack(path, Path(folder))
        except CheckpointError as error:
            raise CheckpointError(f"{path} cannot be used: {error}") from error
        except _TAR_ERRORS as error:
            if is_disk_full(error):
                raise
            raise CheckpointError(
                f"{path} must be a whole model.tar.gz: {shown(str(error))[1:-1]}"
            ) from error
        yield Path(folder)


class _Gzip(gzip.GzipFile):
    """A gzip file that reads a block at a time. Only a hostile header asks tarfile for more."""

    def read(self, size: Optional[int] = -1) -> bytes:
        if size is None or not 0 <= size <= BLOCK:
            raise tarfile.ReadError("a header must be shorter than a block")
        return super().read(size)


def _unpack(path: Path, folder: Path) -> None:
    limit = max(MIN_LIMIT, MAX_RATIO * path.stat().st_size)
    with _Gzip(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
        while (member := archive.next()) is not None:
            name = _checked_name(member)
            if member.size < 0 or member.offset_data + member.size > limit:
                raise CheckpointError(
                    f"its member {shown(name)} has {member.size:,} bytes; an archive of its size "
                    f"may have {limit:,}"
                )
            if WANTED.fullmatch(name) and member.isfile():
                (folder / name).parent.mkdir(exist_ok=True)
                if (folder / name).exists():
                    raise CheckpointError(f"it must have {shown(name)} once")
                contents = archive.extractfile(member)
                assert contents is not None
                with (folder / name).open("xb") as output:
                    shutil.copyfileobj(contents, output, BLOCK)
        # gzip checks the sum at the end
        while file.read(BLOCK):
            if file.tell() > limit:
                raise CheckpointError(f"it has more than {limit:,} bytes")


def _checked_name(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    # a backslash parts folders on Windows
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise CheckpointError(f"its member {shown(member.name)} would lie outside of it")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise CheckpointError(f"its member {shown(member.name)} must be a file or a folder")
    return str(path)
