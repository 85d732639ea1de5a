"""Reads untrusted JSON: every defect is a `ValueError`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

__all__ = ["MAX_JSON", "parse_json", "read_json_file", "read_object"]

# In bytes: a table of a million words.
MAX_JSON = 16 << 20
# Python 3.9 would take minutes to parse a million.
MAX_DIGITS = 20


def parse_json(text: Union[str, bytes], *, limit: int = MAX_JSON) -> Any:
    """
    Returns the contents of JSON text.

    # Raises

    `ValueError` for text that is not JSON, longer than `limit`, nested too deeply, or has a number
    of more than 20 digits.
    """
    if len(text) > limit:
        raise ValueError(f"It must have at most {limit:,} characters; found {len(text):,}")
    try:
        return json.loads(text, parse_int=_parse_int)
    except RecursionError:
        raise ValueError("It is nested too deeply") from None


def read_json_file(path: Path) -> Any:
    """
    Returns the contents of a JSON file.

    # Raises

    `ValueError` as `parse_json` does, and for what is not a file or not UTF-8.
    """
    # a pipe or a device would never end
    if not path.is_file():
        raise ValueError("It must be a file")
    with path.open("rb") as file:
        return parse_json(file.read(MAX_JSON + 1).decode("utf-8"))


def read_object(path: Path) -> Mapping[str, Any]:
    """
    Returns the object in a JSON file.

    # Raises

    `ValueError` as `read_json_file` does, and for another kind of value.
    """
    contents = read_json_file(path)
    if not isinstance(contents, Mapping):
        raise ValueError(f"It must hold an object; found {type(contents).__name__}")
    return contents


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"A number must have at most {MAX_DIGITS} digits; found {len(digits)}")
    return int(digits)
