"""
Reads sentences from a file or a pipe: text, JSON lines or Parquet.

A record is the bytes of one sentence. It is parsed after it is read, so that a malformed record
does not stop the reading.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, NamedTuple, Optional

from elmo_components.alphabet import shown
from elmo_components.embedding.records import FIELDS, chosen_field, lines_of, rows_of, table_of
from elmo_components.pretraining.corpus import open_shard
from elmo_components.pretraining.tokenization import WHITE_SPACE, Split, split_of

__all__ = [
    "COMPRESSED",
    "FIELDS",
    "FORMATS",
    "PARQUET",
    "PIPE",
    "Sentence",
    "SentenceFile",
    "sentence_of",
]

PIPE = Path("-")

TEXT, JSONL, PARQUET = "text", "jsonl", "parquet"
FORMATS = (TEXT, JSONL, PARQUET)
SUFFIXES = {".jsonl": JSONL, ".ndjson": JSONL, ".parquet": PARQUET, ".pq": PARQUET}
COMPRESSED = (".gz", ".xz")


class Sentence(NamedTuple):
    """A sentence's text, stripped, and its tokens."""

    text: str
    tokens: list[str]


@dataclass(frozen=True)
class SentenceFile:
    """
    A file of sentences.

    # Parameters

    path : `Path`
        The file, decompressed where it ends in `.gz` or `.xz`; or `PIPE` for standard input.
    format : `Optional[str]`
        "text", one sentence per line with white space between tokens; "jsonl", one JSON value per
        line; or "parquet". `None` to go by the suffix, with text for an unknown one.
    field : `Optional[str]`
        The key of JSON objects, or the column of a table, with a list of tokens or a string, which
        is split at white space; `None` for the first that exists of "tokens", "sentence" and
        "text". A JSON line may also be the list or the string itself.
    tokenizer : `str`
        What splits strings into tokens, by default white space; see `tokenization.split_of`.

    # Raises

    `ValueError` for an unknown format, and for a compressed or piped table.
    """

    path: Path
    format: Optional[str] = None
    field: Optional[str] = None
    tokenizer: str = WHITE_SPACE

    def __post_init__(self) -> None:
        if self.format not in (None, *FORMATS):
            raise ValueError(f"format must be one of {', '.join(FORMATS)}; found {self.format!r}")
        if self.kind == PARQUET and (self.path == PIPE or self.path.suffix in COMPRESSED):
            raise ValueError(
                f"Parquet must be read from an uncompressed file; found {self.path}. Pipe text or "
                "JSON lines instead"
            )

    @property
    def kind(self) -> str:
        """The format: `format`, or the one for the suffix."""
        if self.format is not None:
            return self.format
        path = self.path.with_suffix("") if self.path.suffix in COMPRESSED else self.path
        return SUFFIXES.get(path.suffix, TEXT)

    @property
    def unit(self) -> str:
        """The name of a record in messages: "line" or "row"."""
        return "row" if self.kind == PARQUET else "line"

    def records(self) -> Iterator[bytes]:
        """
        Yields the records, blank lines included.

        # Raises

        `FileNotFoundError` at once; `ValueError` for a damaged file or a missing column.
        """
        if self.path != PIPE and not self.path.exists():
            raise FileNotFoundError(f"There is no file {self.path}")
        return self._rows() if self.kind == PARQUET else self._lines()

    def count(self) -> Optional[int]:
        """Reads the file and returns the number of records; `None` for a pipe."""
        if not self.path.is_file():
            return None
        if self.kind == PARQUET:
            return table_of(self.path, str(self.path)).metadata.num_rows
        return sum(1 for _ in self.records())

    def parse(self, record: bytes) -> Sentence:
        """
        Returns the sentence of a record, which may have no tokens.

        # Raises

        `ValueError` for a malformed record.
        """
        if self.kind == TEXT:
            return sentence_of(_decoded(record), self._split)
        try:
            value = json.loads(_decoded(record) if record.strip() else '""')
        except RecursionError as error:
            raise ValueError("must not nest so deeply") from error
        except json.JSONDecodeError as error:
            raise ValueError(f"must be JSON: {error}") from error
        if isinstance(value, dict):
            name = chosen_field(self.field, value)
            if name is None:
                raise ValueError(
                    f"must have the key {self.field or ' or '.join(FIELDS)}; found "
                    f"{shown(', '.join(value))}"
                )
            value = value[name]
        return sentence_of(value, self._split)

    @cached_property
    def _split(self) -> Split:
        return split_of(self.tokenizer)

    def _lines(self) -> Iterator[bytes]:
        with _opened(self.path) as file:
            yield from lines_of(file, str(self.path))

    def _rows(self) -> Iterator[bytes]:
        yield from rows_of(table_of(self.path, str(self.path)), self.field, str(self.path))


def sentence_of(value: object, split: Split) -> Sentence:
    """
    Returns the sentence of a string, which `split` splits, or of a list of tokens.

    # Raises

    `ValueError` for another value, and for text that UTF-8 cannot encode.
    """
    if isinstance(value, str):
        found = Sentence(value.strip(), split(value))
    elif isinstance(value, list):
        wrong = [token for token in value if not isinstance(token, str)]
        if wrong:
            raise ValueError(f"must have strings for tokens; found {shown(wrong[0])}")
        found = Sentence(" ".join(value), value)
    else:
        raise ValueError(f"must be a string or a list of tokens; found {shown(value)}")
    try:
        # JSON can spell lone surrogates
        found.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"must be text that UTF-8 can encode: {error}") from error
    return found


def _opened(path: Path) -> IO[bytes]:
    # a second file object, so that closing it leaves standard input open
    return open(sys.stdin.fileno(), "rb", closefd=False) if path == PIPE else open_shard(path)


def _decoded(record: bytes) -> str:
    try:
        return record.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"must be UTF-8: {error}") from error
