"""The base of readers of text files: tokens, lines and encodings."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union, cast

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path, open_compressed
from allennlp.data import DatasetReader, Instance, Token, TokenIndexer, Tokenizer
from allennlp.data.fields import TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer

__all__ = [
    "Text",
    "TextFileReader",
    "as_tokens",
    "check_encoding",
    "numbered_lines",
    "pick_columns",
]

# What `text_to_instance` takes.
Text = Union[str, Sequence[str], Sequence[Token]]

SPACES = re.compile("[ \t\r\n]+")
BYTE_ORDER_MARK = "\ufeff"
# What Python's "surrogateescape" writes for a byte that it cannot decode.
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
FIRST_ESCAPED = 0xDC00


class TextFileReader(DatasetReader):
    """
    Reads text files, which may be compressed (.gz, .bz2).

    Subclasses share the instances with `shard`.

    # Parameters

    token_indexers : `Optional[Dict[str, TokenIndexer]]`
        The tokens' indexers; `None` for `{"tokens": SingleIdTokenIndexer()}`.
    tokenizer : `Optional[Tokenizer]`
        Splits text into tokens; `None` splits tokenised text at white space.
    encoding : `str`
        Python's name of the file's encoding.
    **kwargs
        See `DatasetReader`: `max_instances`.

    # Raises

    `ConfigurationError` for an encoding that Python does not know, and with the file and the line
    for bytes of another encoding, or lines that end with a carriage return alone.
    """

    # the names of the instances' texts
    text_fields: tuple[str, ...] = ("tokens",)

    def __init__(
        self,
        token_indexers: Optional[dict[str, TokenIndexer]] = None,
        tokenizer: Optional[Tokenizer] = None,
        encoding: str = "utf-8",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            manual_distributed_sharding=True, manual_multiprocess_sharding=True, **kwargs
        )
        check_encoding(encoding)
        self.tokenizer = tokenizer
        self._token_indexers = token_indexers or {"tokens": SingleIdTokenIndexer()}
        self._encoding = encoding

    def apply_token_indexers(self, instance: Instance) -> None:
        """Sets the instance's token indexers."""
        for name in self.text_fields:
            cast(TextField, instance[name]).token_indexers = self._token_indexers


def as_tokens(text: Text, tokenizer: Optional[Tokenizer]) -> list[Token]:
    """
    Returns the tokens of a text, of words, or of tokens.

    A `tokenizer` splits text. `None` splits it at spaces, tabs and line ends, so "10\u00a0000" is
    one token.
    """
    if isinstance(text, str):
        if tokenizer is not None:
            return tokenizer.tokenize(text)
        text = [word for word in SPACES.split(text) if word]
    return [Token(token) if isinstance(token, str) else token for token in text]


def check_encoding(encoding: str) -> None:
    """Raises `ConfigurationError` for an encoding that Python does not know."""
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ConfigurationError(f"encoding must be one that Python knows: {error}") from error


def numbered_lines(path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """
    Yields the numbers, from 1, and the lines of a file, which may be compressed, without a byte
    order mark.

    # Raises

    `ConfigurationError`, with the file and the line, for bytes of another encoding, and for a file
    whose lines end with a carriage return alone.
    """
    number = 0
    try:
        with open_compressed(
            # a carriage return within a line does not end it
            cached_path(path),
            encoding=encoding,
            errors="surrogateescape",
            newline="\n",
        ) as lines:
            for number, line in enumerate(lines, start=1):
                if number == 1 and not line.endswith("\n") and "\r" in line.rstrip("\r"):
                    raise ConfigurationError(
                        f"{path}: lines must end with \\n; found \\r alone. Convert the file"
                    )
                escaped = ESCAPED_BYTE.search(line)
                if escaped:
                    byte = ord(escaped[0]) - FIRST_ESCAPED
                    raise _wrong_encoding(f"{path}, line {number}", encoding, f"byte {byte:#x}")
                yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
    except UnicodeError as error:
        # codecs that cannot escape a byte, such as UTF-16
        place = f"{path}, after line {number}"
        raise _wrong_encoding(place, encoding, error) from error


def pick_columns(row: Sequence[str], indices: Sequence[int], place: str) -> list[str]:
    """Returns the columns at `indices`: from 0, or with a negative number from the last."""
    try:
        return [row[index] for index in indices]
    except IndexError as error:
        raise ConfigurationError(
            f"{place}: there must be columns {' and '.join(map(str, indices))}, counted from 0; "
            f"found {row!r}"
        ) from error


def _wrong_encoding(place: str, encoding: str, found: object) -> ConfigurationError:
    return ConfigurationError(
        f"{place}: the text is not {encoding} ({found}). Set encoding to that of the file, such as "
        '"latin-1" for CoNLL-2002'
    )
