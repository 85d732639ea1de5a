"""A `DatasetReader` of labelled texts, one a line: TSV files, question types, and the like."""

import codecs
from collections.abc import Iterable, Iterator
from typing import Optional, Union, cast

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path, open_compressed
from allennlp.data import DatasetReader, Instance, Token, TokenIndexer, Tokenizer
from allennlp.data.fields import Field, LabelField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer

__all__ = ["LabelledLinesReader"]


@DatasetReader.register("elmo_labelled_lines")
class LabelledLinesReader(DatasetReader):
    """
    Reads one text a line with its label in another column; lines of white space are passed over.

    Each instance has the fields "tokens" and "label", which AllenNLP's classifiers take. Files may
    be compressed (.gz, .bz2). Quotation marks are characters like all others.

    Registered as a `DatasetReader` with name "elmo_labelled_lines".

    # Parameters

    token_indexers : `Optional[Dict[str, TokenIndexer]]`
        How tokens are indexed; `None` for `{"tokens": SingleIdTokenIndexer()}`.
    tokenizer : `Optional[Tokenizer]`
        What splits a text into tokens; `None` for texts that are tokenised, at white space.
    text_column, label_column : `int`
        The columns, counted from 0, or with a negative number from the last.
    separator : `str`
        What stands between columns.
    num_columns : `Optional[int]`
        How many columns there are: in the last of them, separators are text. `None` where each
        separator ends a column.
    label_separator : `Optional[str]`
        What stands between the parts of a label; `None` where the whole counts. With ":", the label
        of "NUM:date" is "NUM".
    label_part : `int`
        Which part counts, from 0.
    header_lines : `int`
        How many lines at the beginning are passed over.
    encoding : `str`
        Python's name of the file's encoding. The default is UTF-8, with or without the mark that
        some programs begin a file with.

    # Raises

    `ConfigurationError` for a line without the columns, a text or a label that is empty, a file of
    another encoding, or one without a text.
    """

    def __init__(
        self,
        token_indexers: Optional[dict[str, TokenIndexer]] = None,
        tokenizer: Optional[Tokenizer] = None,
        text_column: int = 0,
        label_column: int = 1,
        separator: str = "\t",
        num_columns: Optional[int] = None,
        label_separator: Optional[str] = None,
        label_part: int = 0,
        header_lines: int = 0,
        encoding: str = "utf-8-sig",
        max_instances: Optional[int] = None,
    ) -> None:
        super().__init__(
            max_instances=max_instances,
            manual_distributed_sharding=True,
            manual_multiprocess_sharding=True,
        )
        if not separator or label_separator == "":
            raise ConfigurationError("separator and label_separator must not be empty")
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ConfigurationError(f"encoding must be one that Python knows: {error}") from error
        self._token_indexers = token_indexers or {"tokens": SingleIdTokenIndexer()}
        # where there is one, predictors leave the splitting to the reader, by this name
        self._tokenizer = tokenizer
        self._text_column = text_column
        self._label_column = label_column
        self._separator = separator
        self._max_splits = -1 if num_columns is None else num_columns - 1
        self._label_separator = label_separator
        self._label_part = label_part
        self._header_lines = header_lines
        self._encoding = encoding

    def text_to_instance(
        self, text: Union[str, list[Token]], label: Optional[str] = None
    ) -> Instance:
        """Returns an instance of a text, or of its tokens, and where it is known its label."""
        fields: dict[str, Field] = {
            "tokens": TextField(self._tokens(text) if isinstance(text, str) else text)
        }
        if label is not None:
            fields["label"] = LabelField(label)
        return Instance(fields)

    def apply_token_indexers(self, instance: Instance) -> None:
        """Gives the instance the indexers, after it came from another process."""
        cast(TextField, instance["tokens"]).token_indexers = self._token_indexers

    def _tokens(self, text: str) -> list[Token]:
        if self._tokenizer is None:
            return [Token(word) for word in text.split()]
        return self._tokenizer.tokenize(text)

    def _read(self, file_path: str) -> Iterator[Instance]:
        path = str(file_path)
        try:
            with open_compressed(cached_path(path), encoding=self._encoding) as lines:
                for place, text, label in self.shard_iterable(self._rows(lines, path)):
                    tokens = self._tokens(text)
                    if not tokens:
                        raise ConfigurationError(
                            f"{place}: a text must have tokens; found {text!r}"
                        )
                    yield self.text_to_instance(tokens, label)
        except UnicodeDecodeError as error:
            raise ConfigurationError(
                f"{path} must be encoded as `encoding` says, {self._encoding}: {error}"
            ) from error

    def _rows(self, lines: Iterable[str], path: str) -> Iterator[tuple[str, str, str]]:
        """Yields the place, the text and the label of each line."""
        found = False
        for number, line in enumerate(lines, start=1):
            if number > self._header_lines and not line.isspace():
                yield (f"{path}, line {number}", *self._row(line, f"{path}, line {number}"))
                found = True
        if not found:
            raise ConfigurationError(f"{path} holds no text")

    def _row(self, line: str, place: str) -> tuple[str, str]:
        columns = line.rstrip("\r\n").split(self._separator, self._max_splits)
        try:
            text, label = columns[self._text_column], columns[self._label_column].strip()
        except IndexError as error:
            raise ConfigurationError(
                f"{place}: a text must stand in column {self._text_column} and its label in column "
                f"{self._label_column}, with {self._separator!r} between columns; found {columns!r}"
            ) from error
        if self._label_separator is not None:
            parts = label.split(self._label_separator)
            if not -len(parts) <= self._label_part < len(parts):
                raise ConfigurationError(
                    f"{place}: a label must have a part {self._label_part}, with "
                    f"{self._label_separator!r} between parts; found {label!r}"
                )
            label = parts[self._label_part]
        if len(columns) < 2 or not label:
            raise ConfigurationError(f"{place}: a text and a label must stand here; {columns!r}")
        return text, label
