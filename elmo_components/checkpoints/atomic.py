"""Atomic writes: a file or a folder's files appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

__all__ = ["atomic_folder", "atomic_write"]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """
    Yields a temporary path in the same folder. Renames it to `path` on success; removes it on
    an error.

    The temporary name ends as `path` does, for libraries that choose a format by suffix.
    """
    temporary = path.with_name(f".{uuid4().hex[:8]}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """
    Yields a temporary folder within `path`, which is created. Moves its files to `path` on
    success, each atomically; removes it on an error.
    """
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path, prefix=".saving-") as name:
        yield Path(name)
        for file in sorted(Path(name).iterdir()):
            os.replace(file, path / file.name)
