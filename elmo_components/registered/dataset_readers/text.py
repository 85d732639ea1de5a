"""Text, words or tokens as tokens; and text files that say where they cannot be read."""

import re
from collections.abc import Iterator, Sequence
from typing import Optional, Union

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path, open_compressed
from allennlp.data import Token, Tokenizer

__all__ = ["Text", "as_tokens", "check_encoding", "numbered_lines"]

# What `text_to_instance` takes.
Text = Union[str, Sequence[str], Sequence[Token]]

SPACES = re.compile("[ \t\r\n]+")
BYTE_ORDER_MARK = "\ufeff"
# What Python's "surrogateescape" writes for a byte that it cannot decode.
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
FIRST_ESCAPED = 0xDC00


def as_tokens(text: Text, tokenizer: Optional[Tokenizer]) -> list[Token]:
    """
    Returns the tokens of a text, of its words, or of its tokens. A `tokenizer` splits a string;
    `None` splits at spaces, tabs and line ends, and not within "10\u00a0000".
    """
    if isinstance(text, str):
        if tokenizer is not None:
            return tokenizer.tokenize(text)
        text = [word for word in SPACES.split(text) if word]
    return [Token(token) if isinstance(token, str) else token for token in text]


def check_encoding(encoding: str) -> None:
    """Raises `ConfigurationError` where Python does not know an encoding."""
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ConfigurationError(f"encoding must be one that Python knows: {error}") from error


def numbered_lines(path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """
    Yields the lines of a file, which may be compressed, with their numbers from 1. A byte order
    mark is left out.

    # Raises

    `ConfigurationError`, with the file and the line, for bytes of another encoding.
    """
    number = 0
    try:
        with open_compressed(
            cached_path(path), encoding=encoding, errors="surrogateescape"
        ) as lines:
            for number, line in enumerate(lines, start=1):
                escaped = ESCAPED_BYTE.search(line)
                if escaped:
                    byte = ord(escaped[0]) - FIRST_ESCAPED
                    raise _wrong_encoding(f"{path}, line {number}", encoding, f"byte {byte:#x}")
                yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
    except UnicodeError as error:
        # codecs that cannot escape a byte, such as UTF-16
        place = f"{path}, after line {number}"
        raise _wrong_encoding(place, encoding, error) from error


def _wrong_encoding(place: str, encoding: str, found: object) -> ConfigurationError:
    return ConfigurationError(
        f"{place}: the text is not {encoding} ({found}). Set encoding to that of the file, such as "
        '"latin-1" for CoNLL-2002'
    )
