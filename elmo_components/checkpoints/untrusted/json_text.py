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
    Returns the value of JSON text.

    # Raises

    `ValueError` for text that is not JSON, is longer than `limit`, is nested too deeply, or has a
    number of more than 20 digits.
    """
    if len(text) > limit:
        raise ValueError(f"It must have at most {limit:,} characters; found {len(text):,}")
    try:
        return json.loads(text, parse_int=_parse_int)
    except RecursionError:
        raise ValueError("It is nested too deeply") from None


def read_json_file(path: Path) -> Any:
    """Returns the value in a JSON file. Errors are those of `parse_json`."""
    # a pipe or a device would never end
    if not path.is_file():
        raise ValueError("It must be a file")
    with path.open("rb") as file:
        return parse_json(file.read(MAX_JSON + 1).decode("utf-8"))


def read_object(path: Path) -> Mapping[str, Any]:
    """Returns the object in a JSON file. Errors are those of `parse_json`."""
    contents = read_json_file(path)
    if not isinstance(contents, Mapping):
        raise ValueError(f"It must be an object; found {type(contents).__name__}")
    return contents


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"A number must have at most {MAX_DIGITS} digits; found {len(digits)}")
    return int(digits)
