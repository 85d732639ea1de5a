"""JSON out of files that may be broken or hostile: whatever is wrong with it is a `ValueError`."""

import json
from pathlib import Path
from typing import Any, Union

__all__ = ["MAX_OPTIONS", "parse_json", "read_json_file"]

# In bytes: room for a table of a million words, and of JSON no more than 400 MB of objects.
MAX_OPTIONS = 16 << 20
# No size or count has more digits; Python 3.9 would take minutes over a million of them.
MAX_DIGITS = 20


def parse_json(text: Union[str, bytes], *, limit: int = MAX_OPTIONS) -> Any:
    """
    Returns what JSON text holds.

    # Parameters

    limit : `int`
        How long it may be.

    # Raises

    `ValueError` for what is no JSON, or is too long, nested too deep, or has numbers of more than
    20 digits.
    """
    if len(text) > limit:
        raise ValueError(f"It must have at most {limit:,} characters; found {len(text):,}")
    try:
        return json.loads(text, parse_int=_parse_int)
    except RecursionError:
        raise ValueError("It must not be nested so deep, as no options are") from None


def read_json_file(path: Path) -> Any:
    """
    Returns what a JSON file holds, as `parse_json` does.

    # Raises

    `ValueError` as there, and for what is no file or no UTF-8.
    """
    # a pipe or a device would never end
    if not path.is_file():
        raise ValueError("It must be a file")
    with path.open("rb") as file:
        return parse_json(file.read(MAX_OPTIONS + 1).decode("utf-8"))


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"A number must have at most {MAX_DIGITS} digits; found {len(digits)}")
    return int(digits)
