"""Writes vectors of sentences as the columns of an Arrow table, and such a table to Parquet."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy

from elmo_components.embedding.selection import VectorChoice

__all__ = ["Entry", "vector_columns", "vector_fields", "write_table"]

# A row group of a table has at least this many bytes, or this many sentences.
GROUP_BYTES = 32 << 20
GROUP_SENTENCES = 4096


class Entry(NamedTuple):
    """A sentence's line (from 0), its text, and its vectors from `VectorChoice.choose`."""

    line: int
    text: str
    vectors: numpy.ndarray


def write_table(
    sink: Any,
    entries: Iterable[Entry],
    *,
    choice: VectorChoice,
    num_layers: int,
    size: int,
    has_text: bool,
) -> None:
    """
    Writes a Parquet file one row group at a time: the columns `line`, `sentence` where `has_text`,
    and those of `vector_fields`.

    # Parameters

    sink : `Any`
        A path, or a file of pyarrow that is open for writing.

    # Raises

    `ValueError` if pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow: pip install 'elmo_components[parquet]'") from error
    fields = [pyarrow.field("line", pyarrow.int64())]
    if has_text:
        fields.append(pyarrow.field("sentence", pyarrow.string()))
    schema = pyarrow.schema(
        [*fields, *vector_fields("vectors", choice, num_layers=num_layers, size=size)]
    )
    # vectors rarely have equal values
    with parquet.ParquetWriter(
        sink, schema, compression="none", use_dictionary=False, write_statistics=False
    ) as file:
        for group in _groups(entries):
            columns = [pyarrow.array([entry.line for entry in group], pyarrow.int64())]
            if has_text:
                columns.append(pyarrow.array([entry.text for entry in group], pyarrow.string()))
            vectors = [entry.vectors for entry in group]
            columns += vector_columns(vectors, choice, num_layers=num_layers, size=size)
            file.write_table(pyarrow.Table.from_arrays(columns, schema=schema))


def vector_fields(name: str, choice: VectorChoice, *, num_layers: int, size: int) -> list[Any]:
    """
    Returns the `pyarrow.Field`s of vectors: `name`, or `layer_0`, `layer_1`, ... for all layers.

    A row has a fixed-size list with pooling, and else a list of them, one for each token.
    """
    import pyarrow

    kind = pyarrow.list_(pyarrow.from_numpy_dtype(choice.dtype), size)
    if not choice.pooling:
        kind = pyarrow.list_(kind)
    names = (
        [f"layer_{number}" for number in range(num_layers)] if choice.layers == "all" else [name]
    )
    return [pyarrow.field(one, kind) for one in names]


def vector_columns(
    vectors: Sequence[numpy.ndarray], choice: VectorChoice, *, num_layers: int, size: int
) -> list[Any]:
    """
    Returns the `pyarrow.Array`s of the fields of `vector_fields`.

    # Parameters

    vectors : `Sequence[numpy.ndarray]`
        Of each sentence, from `VectorChoice.choose`.
    """
    import pyarrow

    columns = []
    for number in range(num_layers if choice.layers == "all" else 1):
        arrays = [one[number] if choice.layers == "all" else one for one in vectors]
        # (sentences * size,) or (tokens of all sentences * size,)
        numbers = numpy.concatenate(
            [numpy.empty(0, choice.dtype), *(array.reshape(-1) for array in arrays)]
        )
        column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(numbers), size)
        if not choice.pooling:
            # (sentences + 1,)
            starts = numpy.cumsum([0, *(len(array) for array in arrays)], dtype=numpy.int32)
            column = pyarrow.ListArray.from_arrays(pyarrow.array(starts), column)
        columns.append(column)
    return columns


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += entry.vectors.nbytes
        if size >= GROUP_BYTES or len(group) == GROUP_SENTENCES:
            yield group
            group, size = [], 0
    if group:
        yield group
