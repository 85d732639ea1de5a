"""Reads records, the bytes of one sentence each, from an open file: lines, or rows of a table."""

import gzip
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, Optional

__all__ = ["FIELDS", "chosen_field", "lines_of", "rows_of", "table_of"]

# The keys or columns of sentences, in order of preference.
FIELDS = ("tokens", "sentence", "text")

# Arrow's names of its text types.
STRINGS = ("string", "large_string", "string_view")

# The number of rows of a table that are read at once.
ROWS = 256


def lines_of(file: IO[bytes], name: str) -> Iterator[bytes]:
    """
    Yields the lines of an open file.

    # Parameters

    name : `str`
        The file's name for messages.

    # Raises

    `ValueError` for a damaged compressed file.
    """
    number = 0
    try:
        # bytes, in which only \n ends a line, not U+0085 or U+2028
        for line in file:
            # without a byte order mark
            yield line if number else line[3:] if line[:3] == b"\xef\xbb\xbf" else line
            number += 1
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(
            f"{name}, after line {number}: the compressed file is damaged; {error}"
        ) from error


def table_of(file: Any, name: str) -> Any:
    """
    Returns the `pyarrow.parquet.ParquetFile` of a path or an open file.

    # Raises

    `ValueError` for another kind of file, and without pyarrow.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow: pip install 'elmo_components[parquet]'") from error
    try:
        return ParquetFile(file)
    except (ArrowException, OSError) as error:
        raise ValueError(f"{name} must be a Parquet file: {error}") from error


def rows_of(
    table: Any, field: Optional[str], name: str, row_groups: Optional[Sequence[int]] = None
) -> Iterator[bytes]:
    """
    Yields the rows of a column as JSON.

    # Parameters

    table : `pyarrow.parquet.ParquetFile`
        See `table_of`.
    field : `Optional[str]`
        See `SentenceFile`.
    row_groups : `Optional[Sequence[int]]`
        The row groups to read; `None` for all.

    # Raises

    `ValueError` for a damaged table or a missing column.
    """
    from pyarrow import ArrowException

    schema = table.schema_arrow
    column = chosen_field(field, schema.names)
    if column is None or not _is_text(schema.field(column).type):
        raise ValueError(
            f"{name} must have the column {field or ' or '.join(FIELDS)}, of strings or lists of "
            f"strings; found {', '.join(f'{one.name}: {one.type}' for one in schema)}"
        )
    try:
        batches = table.iter_batches(batch_size=ROWS, columns=[column], row_groups=row_groups)
        for batch in batches:
            for value in batch.column(0).to_pylist():
                yield json.dumps(value).encode()
    except (ArrowException, OSError) as error:
        raise ValueError(f"{name}: the table is damaged; {error}") from error


def chosen_field(field: Optional[str], names: Any) -> Optional[str]:
    """Returns the field if it is one of `names`, or without one the first known name."""
    return next((name for name in ((field,) if field else FIELDS) if name in names), None)


def _is_text(kind: Any) -> bool:
    """Returns whether a column's type is string or list of strings, in any layout."""
    while str(kind) not in STRINGS and hasattr(kind, "value_type"):
        kind = kind.value_type
    return str(kind) in STRINGS
