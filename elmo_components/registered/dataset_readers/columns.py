"""A `DatasetReader` of tagged text in columns: CoNLL files of all kinds."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Optional, cast

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path, open_compressed
from allennlp.data import DatasetReader, Instance, Token, TokenIndexer
from allennlp.data.fields import Field, MetadataField, SequenceLabelField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer

__all__ = ["ColumnReader"]

# How tags that encode spans begin, by AllenNLP's names of the encodings.
TAG_BEGINNINGS = {"BIO": "BIO", "IOB1": "BIO", "BIOUL": "BIOUL", "BMES": "BMESO"}


@DatasetReader.register("elmo_columns")
class ColumnReader(DatasetReader):
    """
    Reads one token a line with its tag in another column; a line of white space ends a sentence.

    Each instance has the fields "tokens", "tags" and "metadata" (whose "words" are the tokens'
    texts), which AllenNLP's taggers take. Files may be compressed (.gz, .bz2).

    Registered as a `DatasetReader` with name "elmo_columns".

    # Parameters

    token_indexers : `Optional[Dict[str, TokenIndexer]]`
        How tokens are indexed; `None` for `{"tokens": SingleIdTokenIndexer()}`.
    token_column, tag_column : `int`
        The columns, counted from 0, or with a negative number from the last.
    separator : `Optional[str]`
        What stands between columns; `None` for white space.
    tag_separator : `Optional[str]`
        What stands between several tags of one token, the first of which counts; `None` where a
        token has one tag.
    skip : `Optional[str]`
        A regular expression: lines that begin with a match are passed over. For CoNLL-U it is
        "#|\\d+[-.]", which are comments, multi-word tokens and empty nodes.
    token_suffix : `Optional[str]`
        A regular expression: what matches it at the end of a token is taken off. "(?<=.)\\d+"
        leaves the first character of tokens such as "医0", which have its place in a word after it.
    label_encoding : `Optional[str]`
        How tags must encode spans: "BIO", "IOB1", "BIOUL" or "BMES", as a tagger is told too, which
        would fail only after an epoch; `None` for any tags.

    # Raises

    `ConfigurationError` for a line without the columns or with another tag, for a file without a
    sentence or in IOB1 where "BIO" is said, and for another encoding.
    """

    def __init__(
        self,
        token_indexers: Optional[dict[str, TokenIndexer]] = None,
        token_column: int = 0,
        tag_column: int = -1,
        separator: Optional[str] = None,
        tag_separator: Optional[str] = None,
        skip: Optional[str] = None,
        token_suffix: Optional[str] = None,
        label_encoding: Optional[str] = None,
        max_instances: Optional[int] = None,
    ) -> None:
        super().__init__(
            max_instances=max_instances,
            manual_distributed_sharding=True,
            manual_multiprocess_sharding=True,
        )
        self._token_indexers = token_indexers or {"tokens": SingleIdTokenIndexer()}
        self._token_column = token_column
        self._tag_column = tag_column
        self._separator = separator
        self._tag_separator = tag_separator
        self._skip = None if skip is None else re.compile(skip)
        if label_encoding is not None and label_encoding not in TAG_BEGINNINGS:
            raise ConfigurationError(
                f"label_encoding must be one of {', '.join(TAG_BEGINNINGS)}, or null; "
                f"found {label_encoding!r}"
            )
        self._label_encoding = label_encoding
        self._suffix = None if token_suffix is None else re.compile(f"(?:{token_suffix})$")

    def text_to_instance(self, tokens: list[Token], tags: Optional[list[str]] = None) -> Instance:
        """Returns an instance of tokens and, where they are known, their tags."""
        text = TextField(tokens)
        fields: dict[str, Field] = {
            "tokens": text,
            "metadata": MetadataField({"words": [token.text for token in tokens]}),
        }
        if tags is not None:
            fields["tags"] = SequenceLabelField(tags, text)
        return Instance(fields)

    def apply_token_indexers(self, instance: Instance) -> None:
        """Gives the instance the indexers, after it came from another process."""
        cast(TextField, instance["tokens"]).token_indexers = self._token_indexers

    def _read(self, file_path: str) -> Iterator[Instance]:
        with open_compressed(cached_path(file_path), encoding="utf-8-sig") as lines:
            sentences = self._sentences(lines, str(file_path))
            if self._label_encoding == "BIO":
                sentences = _in_bio(sentences, str(file_path))
            for rows in self.shard_iterable(sentences):
                tokens, tags = zip(*rows)
                yield self.text_to_instance([Token(token) for token in tokens], list(tags))

    def _sentences(self, lines: Iterable[str], path: str) -> Iterator[list[tuple[str, str]]]:
        rows: list[tuple[str, str]] = []
        found = False
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                if rows:
                    yield rows
                rows = []
            elif self._skip is None or not self._skip.match(line):
                rows.append(self._row(line, f"{path}, line {number}"))
                found = True
        if rows:
            yield rows
        if not found:
            raise ConfigurationError(f"{path} holds no sentence")

    def _row(self, line: str, place: str) -> tuple[str, str]:
        columns = line.rstrip("\r\n").split(self._separator)
        try:
            token, tag = columns[self._token_column], columns[self._tag_column]
        except IndexError as error:
            raise ConfigurationError(
                f"{place}: a token must stand in column {self._token_column} and its tag in "
                f"column {self._tag_column}; found {columns!r}"
            ) from error
        if self._suffix is not None:
            token = self._suffix.sub("", token)
        if len(columns) < 2 or not token or not tag:
            raise ConfigurationError(f"{place}: a token and a tag must stand here; {columns!r}")
        if self._tag_separator is not None:
            tag = tag.split(self._tag_separator)[0]
        self._check(tag, place)
        return token, tag

    def _check(self, tag: str, place: str) -> None:
        if self._label_encoding is None:
            return
        kind = tag.partition("-")[0]
        if len(kind) != 1 or kind not in TAG_BEGINNINGS[self._label_encoding]:
            raise ConfigurationError(
                f"{place}: {tag!r} is no tag of the encoding {self._label_encoding}, such as 'O' "
                "or 'B-person'. Set label_encoding to that of the file, or to null for tags "
                "that do not encode spans, such as parts of speech"
            )


def _in_bio(
    sentences: Iterable[list[tuple[str, str]]], path: str
) -> Iterator[list[tuple[str, str]]]:
    """Yields tagged sentences, after the last of which the file must not have been in IOB1."""
    beginnings: Counter[str] = Counter()
    for rows in sentences:
        yield rows
        tags = [tag for _, tag in rows]
        beginnings.update(map(_beginning, ["O", *tags], tags))
    # a few are mistakes
    if beginnings["I"] > beginnings["B"]:
        raise ConfigurationError(
            f"{path}: more spans begin with I- ({beginnings['I']:,}) than with B- "
            f"({beginnings['B']:,}), which is the encoding IOB1; set label_encoding to it, or a "
            "tagger will find none of them"
        )


def _beginning(last: str, tag: str) -> str:
    """Returns the letter of a tag that begins a span, in BIO "B" and in IOB1 either, else ""."""
    kind, _, label = tag.partition("-")
    last_kind, _, last_label = last.partition("-")
    goes_on = kind == "I" and last_kind in ("B", "I") and last_label == label
    return "" if kind == "O" or goes_on else kind
