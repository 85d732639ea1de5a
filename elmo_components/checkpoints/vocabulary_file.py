"""bilm-tf's `vocab.txt`: the words of a softmax, one per line, in the order of its rows."""

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from elmo_components.alphabet import listed
from elmo_components.checkpoints.atomic import atomic_write
from elmo_components.checkpoints.checkpoint import CheckpointError

__all__ = [
    "VOCABULARY_NAME",
    "find_vocabulary",
    "read_vocabulary",
    "save_vocabulary",
    "write_vocabulary",
]

VOCABULARY_NAME = "vocab.txt"
# Over two million words, and their bytes, decompressed.
MAX_WORDS = 1 << 22
MAX_BYTES = 1 << 25

# A line of some old files that bilm-tf skips (`bilm/data.py`). It has no row.
NO_WORD = "!!!MAXTERMID"


def find_vocabulary(folder: Path) -> Optional[Path]:
    """
    Returns the `vocab.txt` in a folder, else the `vocab.txt.gz` of simple_elmo, else the only
    `*vocab*.txt`; `None` if there is none.

    # Raises

    `CheckpointError` for several.
    """
    for name in (VOCABULARY_NAME, f"{VOCABULARY_NAME}.gz"):
        if (folder / name).exists():
            return folder / name
    candidates = sorted(folder.glob("*vocab*.txt"))
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise CheckpointError(
            f"{folder} must hold one vocabulary, {VOCABULARY_NAME}; found {names}"
        )
    return candidates[0] if candidates else None


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """
    Returns the words of a file as bilm-tf does: each line without white space around it.

    # Raises

    `CheckpointError` for a file that is not UTF-8, too large, or a broken `.gz`.
    """
    try:
        text = _contents(path).decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} must be UTF-8; {error}") from error
    if text.count("\n") >= MAX_WORDS:
        raise CheckpointError(f"{path} must have at most {MAX_WORDS:,} lines; it has more")
    words = (line.strip() for line in text.split("\n"))
    return tuple(word for word in words if word != NO_WORD)


def _contents(path: Path) -> bytes:
    # a pipe or a device would never end
    if not path.is_file():
        raise CheckpointError(f"{path} must be a file")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            contents = file.read(MAX_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise CheckpointError(f"{path} cannot be read whole: {error}") from error
    if len(contents) > MAX_BYTES:
        raise CheckpointError(f"{path} must hold at most {MAX_BYTES:,} bytes; it holds more")
    return contents


def save_vocabulary(words: tuple[str, ...], path: Path) -> None:
    """
    Writes a word per line.

    # Raises

    `CheckpointError` that lists words with line ends or white space around them.
    """
    unfit = [
        repr(word)
        for word in words
        if word.strip() != word or "\n" in word or "\r" in word or word == NO_WORD
    ]
    if unfit:
        raise CheckpointError(f"A line of {path.name} cannot hold {listed(unfit)}")
    write_vocabulary(words, path)


def write_vocabulary(words: Iterable[str], path: Path) -> None:
    """Writes a word per line, as bilm-tf and AllenNLP read them: the first has the id 0."""
    with atomic_write(path) as temporary:
        temporary.write_bytes("".join(f"{word}\n" for word in words).encode("utf-8"))
