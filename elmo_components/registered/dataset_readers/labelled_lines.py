"""A `DatasetReader` of labelled texts, one a line: CSV, TSV and the like."""

import csv
from collections.abc import Iterator
from typing import Any, Optional, cast

from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance, TokenIndexer, Tokenizer
from allennlp.data.fields import Field, LabelField, TextField

from elmo_components.registered.dataset_readers.sharding import shard
from elmo_components.registered.dataset_readers.text import (
    Text,
    TextFileReader,
    as_tokens,
    numbered_lines,
    pick_columns,
)

__all__ = ["LabelledLinesReader"]

# With these separators a column may be in quotation marks.
QUOTED = ",;"


@DatasetReader.register("elmo_labelled_lines")
class LabelledLinesReader(TextFileReader):
    """
    Reads a text and its label from each line. Skips blank lines.

    Each instance has the fields "tokens" and "label", which AllenNLP's classifiers take.

    Registered as a `DatasetReader` with name "elmo_labelled_lines".

    # Parameters

    token_indexers, tokenizer, **kwargs
        See `TextFileReader`, which also has `encoding` and `max_instances`.
    text_column, label_column : `int`
        The columns, counted from 0, or with a negative number from the last.
    separator : `str`
        Separates columns.
    num_columns : `Optional[int]`
        The number of columns; separators in the last one are text. `None` where each separator ends
        a column.
    quoted : `Optional[bool]`
        Whether a column may be in quotation marks, as in CSV, and contain separators and line ends.
        `None` for true where a comma or a semicolon separates columns.
    label_separator : `Optional[str]`
        Separates the parts of a label; `None` reads the whole. With ":", the label of "NUM:date" is
        "NUM".
    label_part : `int`
        The part to read, counted from 0.
    header_lines : `int`
        The number of lines to skip at the beginning.
    label_namespace : `str`
        The vocabulary's namespace of the labels.

    # Raises

    `ConfigurationError`, with the file and the line, for a line with another number of columns than
    the first or an empty text or label; and for a file without a text.
    """

    def __init__(
        self,
        token_indexers: Optional[dict[str, TokenIndexer]] = None,
        tokenizer: Optional[Tokenizer] = None,
        text_column: int = 0,
        label_column: int = 1,
        separator: str = "\t",
        num_columns: Optional[int] = None,
        quoted: Optional[bool] = None,
        label_separator: Optional[str] = None,
        label_part: int = 0,
        header_lines: int = 0,
        label_namespace: str = "labels",
        **kwargs: Any,
    ) -> None:
        super().__init__(token_indexers, tokenizer, **kwargs)
        if not separator or label_separator == "":
            raise ConfigurationError("separator and label_separator must not be empty")
        if quoted is None:
            quoted = separator in QUOTED and num_columns is None
        if quoted and (len(separator) > 1 or num_columns is not None):
            raise ConfigurationError(
                "quoted needs a separator of one character and no num_columns; "
                f"found {separator!r} and {num_columns}"
            )
        self._text_column = text_column
        self._label_column = label_column
        self._separator = separator
        self._num_columns = num_columns
        self._quoted = quoted
        self._label_separator = label_separator
        self._label_part = label_part
        self._header_lines = header_lines
        self._label_namespace = label_namespace

    def text_to_instance(self, text: Text, label: Optional[str] = None) -> Instance:
        """Returns an instance of a text, words or tokens, and of the label where known."""
        fields: dict[str, Field] = {"tokens": TextField(as_tokens(text, self.tokenizer))}
        if label is not None:
            fields["label"] = LabelField(label, self._label_namespace)
        return Instance(fields)

    def _read(self, file_path: str) -> Iterator[Instance]:
        path = str(file_path)
        for place, text, label in shard(self, self._texts(path)):
            instance = self.text_to_instance(text, label)
            if not cast(TextField, instance["tokens"]).tokens:
                raise ConfigurationError(f"{place}: a text must have tokens; found {text!r}")
            yield instance

    def _texts(self, path: str) -> Iterator[tuple[str, str, str]]:
        """Yields the place, the text and the label of each line."""
        num_columns = self._num_columns or 0
        found = False
        for number, columns in self._rows(path):
            place = f"{path}, line {number}"
            num_columns = num_columns or len(columns)
            if len(columns) != num_columns:
                raise ConfigurationError(
                    f"{place}: there must be {num_columns} columns, with {self._separator!r} "
                    f"between them; found {len(columns)}: {columns!r}"
                )
            yield (place, *self._text_and_label(columns, place))
            found = True
        if not found:
            raise ConfigurationError(f"{path} has no text")

    def _rows(self, path: str) -> Iterator[tuple[int, list[str]]]:
        """Yields the number and the columns of each line that is not blank, after the header."""
        lines = (
            (number, line)
            for number, line in numbered_lines(path, self._encoding)
            if number > self._header_lines
        )
        if not self._quoted:
            splits = -1 if self._num_columns is None else self._num_columns - 1
            for number, line in lines:
                if not line.isspace():
                    yield number, line.rstrip("\r\n").split(self._separator, splits)
            return
        rows = csv.reader((line for _, line in lines), delimiter=self._separator, strict=True)
        while True:
            number = self._header_lines + rows.line_num + 1
            try:
                columns = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise ConfigurationError(f"{path}, line {number}: {error}") from error
            if len(columns) > 1 or "".join(columns).strip():
                yield number, columns

    def _text_and_label(self, columns: list[str], place: str) -> tuple[str, str]:
        text, label = pick_columns(columns, [self._text_column, self._label_column], place)
        label = label.strip()
        if self._label_separator is not None:
            parts = label.split(self._label_separator)
            if not -len(parts) <= self._label_part < len(parts):
                raise ConfigurationError(
                    f"{place}: a label must have a part {self._label_part}, with "
                    f"{self._label_separator!r} between parts; found {label!r}"
                )
            label = parts[self._label_part]
        if len(columns) < 2 or not label:
            raise ConfigurationError(f"{place}: a line must have a text and a label; {columns!r}")
        return text, label
