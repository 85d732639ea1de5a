"""
The files of an AllenNLP archive, unpacked as what anyone may have sent.

Nothing is written outside of a temporary folder, and no more than a file of its size can honestly
hold: weights hardly compress.
"""

import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from elmo_components.checkpoints.checkpoint import CheckpointError, listed
from elmo_components.checkpoints.untrusted.json_text import read_json_file

__all__ = ["CONFIG_NAME", "WEIGHTS_NAMES", "is_gzip", "not_whole", "read_json", "unpacked"]

CONFIG_NAME = "config.json"
# In the order in which AllenNLP looks for them.
WEIGHTS_NAMES = ("weights.th", "best.th")
# Old archives hold the files that their configuration named under `fta`.
WANTED = re.compile(r"config\.json|weights\.th|best\.th|vocabulary/[^/]+\.txt|fta/[^/]+")

# How many bytes a whole archive may hold: this times its own size, and this many in any case.
MAX_RATIO = 10
MIN_LIMIT = 1 << 26
MAX_MEMBERS = 1000
BLOCK = 1 << 20
# How far may be read to find the next member.
HEADERS = 4 * BLOCK

_TAR_ERRORS = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError)


def not_whole(path: Path, reason: object) -> CheckpointError:
    """Returns the error for what is no archive, or a broken one."""
    return CheckpointError(
        f"{path} must be a whole model.tar.gz, or a folder that AllenNLP has trained in: "
        f"{listed([str(reason)])}"
    )


def is_gzip(path: Path) -> bool:
    """Whether the file at `path` begins as gzip's do."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """
    Yields a folder with an archive's configuration, weights and vocabulary: `path` itself where it
    is a folder, else a temporary one.

    # Raises

    `CheckpointError` for an archive that is broken, that holds links or paths out of its folder, or
    that is larger than it can honestly be.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with path.open("rb") as file:
                _unpack(file, Path(folder), max(MIN_LIMIT, MAX_RATIO * path.stat().st_size))
        except CheckpointError as error:
            raise CheckpointError(f"{path} cannot be used: {listed([str(error)])}") from error
        except _TAR_ERRORS as error:
            raise not_whole(path, error) from error
        yield Path(folder)


def read_json(path: Path) -> Mapping[str, Any]:
    """
    Returns the object in a JSON file.

    # Raises

    `CheckpointError` for what is too large, nested too deeply, no JSON, or no object.
    """
    try:
        contents = read_json_file(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.name} must be JSON: {error}") from error
    if not isinstance(contents, Mapping):
        raise CheckpointError(f"{path.name} must hold an object; found {type(contents).__name__}")
    return contents


class _Inflated:
    """What a gzip file holds, of which no more is read than `limit`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(wbits=31)
        self.position = 0
        self.limit = HEADERS

    def read(self, size: int) -> bytes:
        blocks: list[bytes] = []
        while size > 0 and not self._inflate.eof:
            deflated = self._inflate.unconsumed_tail or self._file.read(BLOCK)
            if not deflated:
                raise EOFError("its end is missing")
            blocks.append(self._inflate.decompress(deflated, size))
            size -= len(blocks[-1])
            self.position += len(blocks[-1])
        if self.position > self.limit:
            raise CheckpointError(
                f"what comes before its byte {self.position:,} must be files; found other things"
            )
        return b"".join(blocks)


def _unpack(file: IO[bytes], folder: Path, most: int) -> None:
    stream = _Inflated(file)
    found: set[str] = set()
    # read from first to last, since a search back and forth would inflate it many times
    with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as archive:  # type: ignore[call-overload]
        while (member := archive.next()) is not None:
            name = _checked_name(member)
            if member.size < 0 or stream.position + member.size > most:
                raise CheckpointError(
                    f"{name} is to have {member.size:,} bytes, and an archive of this size may "
                    f"hold {most:,}"
                )
            if len(found) == MAX_MEMBERS or name in found:
                raise CheckpointError(f"it must hold each file once, and at most {MAX_MEMBERS}")
            found.add(name)
            stream.limit = stream.position + member.size + HEADERS
            contents = archive.extractfile(member)
            if contents is not None and WANTED.fullmatch(name):
                (folder / name).parent.mkdir(exist_ok=True)
                with (folder / name).open("xb") as output:
                    while block := contents.read(BLOCK):
                        output.write(block)


def _checked_name(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise CheckpointError(f"its member {member.name!r} would lie outside of it")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise CheckpointError(f"its member {member.name!r} must be a plain file or a folder")
    return str(path)
