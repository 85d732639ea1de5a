"""The words of a language model in the vocabulary folder of an AllenNLP archive."""

import fnmatch
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from elmo_components.checkpoints.checkpoint import CheckpointError

__all__ = ["read_namespace"]

FOLDER = "vocabulary"
# the file with patterns of the namespaces without padding
NON_PADDED = "non_padded_namespaces.txt"
NAMESPACE = "vocab"
PADDING = "@@PADDING@@"
# AllenNLP's escape of a line break in a word
NEWLINE = "@@NEWLINE@@"


def read_namespace(folder: Path, settings: Mapping[str, Any]) -> Optional[tuple[str, ...]]:
    """
    Returns the words that an `elmo_language_model` predicts, in the order of their ids; `None` if
    the archive's folder has none.

    # Raises

    `CheckpointError` for files that are not UTF-8.
    """
    model, vocabulary = settings.get("model"), settings.get("vocabulary")
    name = model.get("target_namespace", NAMESPACE) if isinstance(model, Mapping) else NAMESPACE
    path = folder / FOLDER / f"{name}.txt"
    # the name is untrusted and may be a path
    if path.parent != folder / FOLDER or not path.is_file():
        return None
    try:
        words = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        patterns = (folder / FOLDER / NON_PADDED).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"its {FOLDER} cannot be read: {error}") from error
    words = [word.replace(NEWLINE, "\n") for word in words]
    if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
        padding = vocabulary.get("padding_token") if isinstance(vocabulary, Mapping) else None
        words.insert(0, padding or PADDING)
    return tuple(words)
