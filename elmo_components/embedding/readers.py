"""
Reads sentences from a file or a pipe: text, JSON lines or Parquet.

A record is the bytes of one sentence. It is parsed after it is read, so that a malformed record
does not stop the reading.
"""

import gzip
import json
import lzma
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Optional

from elmo_components.alphabet import shown
from elmo_components.pretraining.corpus import open_shard

__all__ = ["FORMATS", "PIPE", "Sentence", "SentenceFile"]

PIPE = Path("-")

TEXT, JSONL, PARQUET = "text", "jsonl", "parquet"
FORMATS = (TEXT, JSONL, PARQUET)
SUFFIXES = {".jsonl": JSONL, ".ndjson": JSONL, ".parquet": PARQUET, ".pq": PARQUET}
COMPRESSED = (".gz", ".xz")

# The keys or columns of sentences, in order of preference.
FIELDS = ("tokens", "sentence", "text")

# Arrow's names of its text types.
STRINGS = ("string", "large_string", "string_view")

# The number of rows of a table that are read at once.
ROWS = 256


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

    # Raises

    `ValueError` for an unknown format, and for a compressed or piped table.
    """

    path: Path
    format: Optional[str] = None
    field: Optional[str] = None

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
            return self._table().metadata.num_rows
        return sum(1 for _ in self.records())

    def parse(self, record: bytes) -> Sentence:
        """
        Returns the sentence of a record, which may have no tokens.

        # Raises

        `ValueError` for a malformed record.
        """
        if self.kind == TEXT:
            return _sentence(_decoded(record))
        try:
            value = json.loads(_decoded(record) if record.strip() else '""')
        except RecursionError as error:
            raise ValueError("must not nest so deeply") from error
        except json.JSONDecodeError as error:
            raise ValueError(f"must be JSON: {error}") from error
        if isinstance(value, dict):
            name = _chosen(self.field, value)
            if name is None:
                raise ValueError(
                    f"must have the key {self.field or ' or '.join(FIELDS)}; found "
                    f"{shown(', '.join(value))}"
                )
            value = value[name]
        return _sentence(value)

    def _lines(self) -> Iterator[bytes]:
        number = 0
        try:
            with _opened(self.path) as file:
                # bytes, in which only \n ends a line, not U+0085 or U+2028
                for line in file:
                    # without a byte order mark
                    yield line if number else line[3:] if line[:3] == b"\xef\xbb\xbf" else line
                    number += 1
        except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
            raise ValueError(
                f"{self.path}, after line {number}: the compressed file is damaged; {error}"
            ) from error

    def _rows(self) -> Iterator[bytes]:
        table = self._table()
        from pyarrow import ArrowException

        schema = table.schema_arrow
        name = _chosen(self.field, schema.names)
        if name is None or not _is_text(schema.field(name).type):
            raise ValueError(
                f"{self.path} must have the column {self.field or ' or '.join(FIELDS)}, of strings "
                f"or lists of strings; found "
                f"{', '.join(f'{field.name}: {field.type}' for field in schema)}"
            )
        try:
            for batch in table.iter_batches(batch_size=ROWS, columns=[name]):
                for value in batch.column(0).to_pylist():
                    yield json.dumps(value).encode()
        except (ArrowException, OSError) as error:
            raise ValueError(f"{self.path}: the table is damaged; {error}") from error

    def _table(self) -> Any:
        try:
            from pyarrow import ArrowException
            from pyarrow.parquet import ParquetFile
        except ImportError as error:
            raise ValueError(
                "Parquet needs pyarrow: pip install 'elmo_components[parquet]'"
            ) from error
        try:
            return ParquetFile(self.path)
        except (ArrowException, OSError) as error:
            raise ValueError(f"{self.path} must be a Parquet file: {error}") from error


def _is_text(kind: Any) -> bool:
    """Returns whether a column's type is string or list of strings, in any layout."""
    while str(kind) not in STRINGS and hasattr(kind, "value_type"):
        kind = kind.value_type
    return str(kind) in STRINGS


def _opened(path: Path) -> IO[bytes]:
    # a second file object, so that closing it leaves standard input open
    return open(sys.stdin.fileno(), "rb", closefd=False) if path == PIPE else open_shard(path)


def _decoded(record: bytes) -> str:
    try:
        return record.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"must be UTF-8: {error}") from error


def _chosen(field: Optional[str], names: Any) -> Optional[str]:
    return next((name for name in ((field,) if field else FIELDS) if name in names), None)


def _sentence(value: object) -> Sentence:
    if isinstance(value, str):
        found = Sentence(value.strip(), value.split())
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
