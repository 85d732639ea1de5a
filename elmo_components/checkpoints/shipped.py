"""The checkpoints that come with the package, by their names."""

import os
from pathlib import Path
from typing import Union

__all__ = ["ENGLISH", "resolve"]

# weights/README.md is its card
ENGLISH = "english"

WEIGHTS = Path(__file__).parent.parent / "weights"
FILES = {ENGLISH: WEIGHTS / "english.safetensors"}


def resolve(path: Union[str, os.PathLike]) -> Path:
    """
    Returns where a checkpoint is: `path` itself, or the package's file of that name where nothing
    stands at `path`.

    # Raises

    `FileNotFoundError` for neither.
    """
    if Path(path).exists():
        return Path(path)
    name = os.fspath(path)
    if name not in FILES:
        names = ", ".join(map(repr, FILES))
        raise FileNotFoundError(
            f"There is no checkpoint at {name}, and the package has none of that name: it has "
            f"{names}"
        )
    return FILES[name]
