"""Names files and folders on any file system that Arrow or fsspec knows, such as `s3://`."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["HIDDEN", "Place", "files_at", "is_hidden", "place_of", "pyarrow_fs"]

# A folder's files whose names begin so are hidden, as for Hadoop, Spark and Arrow.
HIDDEN = (".", "_")
URI = re.compile("[a-z][a-z0-9+.-]+://")


@dataclass(frozen=True)
class Place:
    """
    A path on a file system.

    # Parameters

    system : `pyarrow.fs.FileSystem`
        The file system; it can be pickled.
    path : `str`
        The path on it, with slashes.
    """

    system: Any
    path: str

    def __str__(self) -> str:
        return self.path if self.is_local else f"{self.system.type_name}://{self.path}"

    @property
    def is_local(self) -> bool:
        """Whether it is on a file system of this machine."""
        return self.system.type_name == "local"

    def joined(self, *names: str) -> "Place":
        """Returns the place of a file in this folder."""
        return Place(self.system, "/".join([self.path.rstrip("/"), *names]))

    def exists(self) -> bool:
        """Returns whether there is a file or a folder."""
        return self.system.get_file_info(self.path).type != pyarrow_fs().FileType.NotFound

    def is_folder(self) -> bool:
        """Returns whether there is a folder."""
        return self.system.get_file_info(self.path).type == pyarrow_fs().FileType.Directory

    def read(self) -> bytes:
        """Returns the contents of a file."""
        with self.system.open_input_stream(self.path, compression=None) as file:
            return file.read()

    def write(self, data: bytes) -> None:
        """Writes a file; an existing one is replaced at once."""
        temporary = Place(self.system, f"{self.path}.tmp")
        with self.system.open_output_stream(temporary.path, compression=None) as file:
            file.write(data)
        self.system.move(temporary.path, self.path)

    def remove(self) -> None:
        """Removes a file, or a folder and all that is in it, where there is one."""
        if self.is_folder():
            self.system.delete_dir(self.path)
        elif self.exists():
            self.system.delete_file(self.path)

    def files(self) -> Iterator[tuple["Place", int]]:
        """Yields each file in this folder and its subfolders, and its size in bytes."""
        fs = pyarrow_fs()
        selector = fs.FileSelector(self.path, recursive=True, allow_not_found=True)
        for info in sorted(self.system.get_file_info(selector), key=lambda info: info.path):
            if info.type == fs.FileType.File:
                yield Place(self.system, info.path), info.size

    def relative(self, folder: str) -> str:
        """Returns the path from a folder that it is in."""
        return self.path[len(folder.rstrip("/")) + 1 :] if folder else self.path


def place_of(name: str) -> Place:
    """
    Returns the place of a path of this machine, or of a URI such as `s3://bucket/corpus`.

    # Raises

    `ValueError` for a URI of an unknown file system, and without pyarrow.
    """
    fs = pyarrow_fs()
    if not URI.match(name):
        # other processes may have another working directory
        return Place(fs.LocalFileSystem(), os.path.abspath(name))
    from pyarrow import ArrowException

    try:
        return Place(*fs.FileSystem.from_uri(name))
    except (ArrowException, ValueError) as error:
        return _of_fsspec(name, error)


def files_at(name: str) -> Iterator[tuple[Place, str, int]]:
    """
    Yields the files of an input: each one's place, its path below the input, and its size.

    # Parameters

    name : `str`
        A file; a folder, with its subfolders; or a pattern, in which `*` stands for a part of a
        name and `**` for any folders. Paths may also have `?` and `[...]`, which URIs use
        otherwise. Hidden files are those whose name, or whose folder's, begins with "." or "_".

    # Raises

    `FileNotFoundError` if there is no such file, `ValueError` as `place_of` raises it.
    """
    wild = "*" if URI.match(name) else "*?["
    place = place_of(name)
    found = []
    if any(sign in place.path for sign in wild) and not place.exists():
        parts = place.path.split("/")
        first = next(at for at, part in enumerate(parts) if any(sign in part for sign in wild))
        folder = "/".join(parts[:first]) or ("/" if place.is_local else "")
        for file, size in Place(place.system, folder).files():
            below = file.relative(folder)
            if _matches(below.split("/"), parts[first:]) and not is_hidden(below):
                found.append((file, below, size))
    elif place.is_folder():
        for file, size in place.files():
            below = file.relative(place.path)
            if not is_hidden(below):
                found.append((file, below, size))
    elif place.exists():
        size = place.system.get_file_info(place.path).size
        found.append((place, place.path.rpartition("/")[2], size))
    if not found:
        raise FileNotFoundError(f"There is no file at {name}. Check the path")
    yield from found


def is_hidden(path: str) -> bool:
    """Returns whether a path below a folder has a hidden name in it."""
    return any(part.startswith(HIDDEN) for part in path.split("/"))


def pyarrow_fs() -> Any:
    """
    Returns the module `pyarrow.fs`.

    # Raises

    `ValueError` without pyarrow.
    """
    try:
        from pyarrow import fs
    except ImportError as error:
        raise ValueError(
            "Corpora need pyarrow: pip install 'elmo_components[parquet]', or "
            "'elmo_components[ray]' for Ray too"
        ) from error
    return fs


def _of_fsspec(name: str, why: Exception) -> Place:
    try:
        import fsspec
    except ImportError as error:
        raise ValueError(f"{name}: {why}. fsspec knows more: pip install fsspec") from error
    try:
        system, path = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{name}: no file system for it: {error}") from error
    fs = pyarrow_fs()
    return Place(fs.PyFileSystem(fs.FSSpecHandler(system)), path)


def _matches(parts: list[str], patterns: list[str]) -> bool:
    """Returns whether names match patterns one by one, `**` any number of names."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_matches(parts[start:], patterns[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])
