"""bilm-tf's `vocab.txt`: the words of a softmax, one a line, in the order of its rows."""

from pathlib import Path
from typing import Optional

from elmo_components.checkpoints.checkpoint import CheckpointError
from elmo_components.vocabulary import write_vocabulary

__all__ = ["VOCABULARY_NAME", "find_vocabulary", "read_vocabulary", "save_vocabulary"]

VOCABULARY_NAME = "vocab.txt"

# A line of some old files that bilm-tf passes over (`bilm/data.py`): it is no word and has no row.
NO_WORD = "!!!MAXTERMID"


def find_vocabulary(folder: Path) -> Optional[Path]:
    """
    Returns the `vocab.txt` in a folder, else the only `*vocab*.txt`; `None` where there is none.

    # Raises

    `CheckpointError` for several.
    """
    if (folder / VOCABULARY_NAME).exists():
        return folder / VOCABULARY_NAME
    candidates = sorted(folder.glob("*vocab*.txt"))
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise CheckpointError(
            f"{folder} must hold one vocabulary, {VOCABULARY_NAME}; found {names}"
        )
    return candidates[0] if candidates else None


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """
    Returns the words of a file as bilm-tf reads them: each line without white space around it.

    # Raises

    `CheckpointError` for what is not UTF-8.
    """
    try:
        lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} must be UTF-8; {error}") from error
    words = (line.strip() for line in lines)
    return tuple(word for word in words if word != NO_WORD)


def save_vocabulary(words: tuple[str, ...], path: Path) -> None:
    """
    Writes a word a line.

    # Raises

    `CheckpointError` that lists the words that a line cannot hold.
    """
    unfit = [
        word
        for word in words
        if word.strip() != word or "\n" in word or "\r" in word or word == NO_WORD
    ]
    if unfit:
        raise CheckpointError(f"A line of {path.name} cannot hold {', '.join(map(repr, unfit))}")
    write_vocabulary(words, path)
