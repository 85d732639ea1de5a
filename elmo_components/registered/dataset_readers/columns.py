"""A `DatasetReader` of tagged text in columns: CoNLL files of all kinds."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance, TokenIndexer, Tokenizer
from allennlp.data.fields import Field, MetadataField, SequenceLabelField, TextField

from elmo_components.registered.dataset_readers.sharding import shard
from elmo_components.registered.dataset_readers.span_encodings import ENCODINGS, encode, is_tag
from elmo_components.registered.dataset_readers.text import (
    Text,
    TextFileReader,
    as_tokens,
    numbered_lines,
    pick_columns,
)
from elmo_components.registered.tokenizers.spacy_blank import SpacyBlankTokenizer

__all__ = ["ColumnReader"]

# A token and its tag.
Row = tuple[str, str]

BLANKS = " \t\r\n"


@DatasetReader.register("elmo_columns")
class ColumnReader(TextFileReader):
    """
    Reads one token and its tag from each line. Blank lines end sentences.

    Each instance has the fields "tokens", "tags" and "metadata" (whose "words" are the tokens'
    texts), which AllenNLP's taggers take.

    Registered as a `DatasetReader` with name "elmo_columns".

    # Parameters

    token_indexers : `Optional[Dict[str, TokenIndexer]]`
        See `TextFileReader`.
    tokenizer : `Optional[Tokenizer]`
        Splits raw text for prediction, and must split as the file does. `None` for spaCy's English
        rules.
    token_column, tag_column : `int`
        The columns, counted from 0, or with a negative number from the last.
    separator : `Optional[str]`
        Separates columns; `None` for spaces and tabs.
    tag_separator : `Optional[str]`
        Separates several tags of one token, of which the first is read; `None` for one tag.
    skip : `Optional[str]`
        A regular expression for the beginning of lines to skip. For CoNLL-U it is "#|\\d+[-.]":
        comments, multi-word tokens and empty nodes. `None` skips no line.
    token_suffix : `Optional[str]`
        A regular expression for the end of tokens to remove. "(?<=.)\\d+" removes the position
        in "医0".
    label_encoding : `Optional[str]`
        The file's encoding of spans: "BIO", "IOB1", "BIOUL" or "BMES"; `None` for any tags.
    convert_to_coding_scheme : `Optional[str]`
        The instances' encoding of spans, to which the reader converts any other; `None` for the
        file's tags.
    label_namespace : `str`
        The vocabulary's namespace of the tags.
    **kwargs
        See `TextFileReader`: `encoding`, `max_instances`.

    # Raises

    `ConfigurationError`, with the file and the line, for a row with another number of columns than
    the first or a tag of another encoding; and for a file without a sentence, or in IOB1 where
    `label_encoding` is "BIO".
    """

    def __init__(
        self,
        token_indexers: Optional[dict[str, TokenIndexer]] = None,
        tokenizer: Optional[Tokenizer] = None,
        token_column: int = 0,
        tag_column: int = -1,
        separator: Optional[str] = None,
        tag_separator: Optional[str] = None,
        skip: Optional[str] = "-DOCSTART-",
        token_suffix: Optional[str] = None,
        label_encoding: Optional[str] = None,
        convert_to_coding_scheme: Optional[str] = None,
        label_namespace: str = "labels",
        **kwargs: Any,
    ) -> None:
        super().__init__(token_indexers, tokenizer or SpacyBlankTokenizer(), **kwargs)
        for name, value in (
            ("label_encoding", label_encoding),
            ("convert_to_coding_scheme", convert_to_coding_scheme),
        ):
            if value is not None and value not in ENCODINGS:
                raise ConfigurationError(
                    f"{name} must be one of {', '.join(ENCODINGS)}, or null; found {value!r}"
                )
        self._token_column = token_column
        self._tag_column = tag_column
        self._separator = separator
        self._tag_separator = tag_separator
        self._skip = None if skip is None else re.compile(skip)
        self._suffix = None if token_suffix is None else re.compile(f"(?:{token_suffix})$")
        self._label_encoding = label_encoding
        self._coding_scheme = convert_to_coding_scheme
        self._label_namespace = label_namespace

    def text_to_instance(self, tokens: Text, tags: Optional[list[str]] = None) -> Instance:
        """Returns an instance of raw text, words or tokens, and of their tags where known."""
        text = TextField(as_tokens(tokens, self.tokenizer))
        fields: dict[str, Field] = {
            "tokens": text,
            "metadata": MetadataField({"words": [token.text for token in text.tokens]}),
        }
        if tags is not None:
            if self._coding_scheme is not None:
                tags = encode(tags, self._coding_scheme)
            fields["tags"] = SequenceLabelField(tags, text, self._label_namespace)
        return Instance(fields)

    def _read(self, file_path: str) -> Iterator[Instance]:
        path = str(file_path)
        sentences = self._sentences(path)
        if self._label_encoding == "BIO":
            sentences = _check_bio(sentences, path)
        for rows in shard(self, sentences):
            tokens, tags = zip(*rows)
            yield self.text_to_instance(tokens, list(tags))

    def _sentences(self, path: str) -> Iterator[list[Row]]:
        rows: list[Row] = []
        num_columns = 0
        for number, line in numbered_lines(path, self._encoding):
            if not line.strip(BLANKS):
                if rows:
                    yield rows
                rows = []
            elif self._skip is None or not self._skip.match(line):
                columns = self._columns(line)
                num_columns = num_columns or len(columns)
                place = f"{path}, line {number}"
                if len(columns) != num_columns:
                    raise ConfigurationError(
                        f"{place}: found {len(columns)} columns and in the first row "
                        f"{num_columns}: {columns!r}. Set separator, or skip for lines without a "
                        "token"
                    )
                rows.append(self._row(columns, place))
        if rows:
            yield rows
        if not num_columns:
            raise ConfigurationError(f"{path} has no sentence")

    def _columns(self, line: str) -> list[str]:
        if self._separator is None:
            # str.split would also split at a no-break space in a token
            return re.split("[ \t]+", line.strip(BLANKS))
        return line.rstrip("\r\n").split(self._separator)

    def _row(self, columns: list[str], place: str) -> Row:
        token, tag = pick_columns(columns, [self._token_column, self._tag_column], place)
        if self._suffix is not None:
            token = self._suffix.sub("", token)
        if len(columns) < 2 or not token or not tag:
            raise ConfigurationError(f"{place}: a row must have a token and a tag; {columns!r}")
        if self._tag_separator is not None:
            tag = tag.split(self._tag_separator)[0]
        expected = self._label_encoding or (self._coding_scheme and "any")
        if expected and not is_tag(tag, expected):
            raise ConfigurationError(
                f"{place}: {tag!r} is not a tag of the encoding {expected}, such as 'O' or "
                "'B-person'. Set label_encoding to the file's, or to null for tags that do not "
                "encode spans, such as parts of speech"
            )
        return token, tag


def _check_bio(sentences: Iterable[list[Row]], path: str) -> Iterator[list[Row]]:
    """Yields sentences, and raises after the last one if their tags are in IOB1."""
    beginnings: Counter[str] = Counter()
    for rows in sentences:
        yield rows
        tags = [tag for _, tag in rows]
        beginnings.update(map(_beginning, ["O", *tags], tags))
    # a few I- may be mistakes
    if beginnings["I"] > beginnings["B"]:
        raise ConfigurationError(
            f"{path}: more spans begin with I- ({beginnings['I']:,}) than with B- "
            f"({beginnings['B']:,}), so the encoding is IOB1. Set label_encoding to it, or "
            "convert_to_coding_scheme to the tagger's"
        )


def _beginning(last: str, tag: str) -> str:
    """Returns "B" or "I" for a tag that begins a span, else ""."""
    kind, _, label = tag.partition("-")
    last_kind, _, last_label = last.partition("-")
    continues = kind == "I" and last_kind in ("B", "I") and last_label == label
    return "" if kind == "O" or continues else kind
