"""A `DatasetReader` of sentence pairs, for translation."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Optional, cast
from zlib import crc32

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import END_SYMBOL, START_SYMBOL
from allennlp.data import DatasetReader, Instance, Token, TokenIndexer, Tokenizer
from allennlp.data.fields import Field, MetadataField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer

from elmo_components.registered.dataset_readers.sharding import shard
from elmo_components.registered.dataset_readers.text import (
    Text,
    as_tokens,
    check_encoding,
    numbered_lines,
    pick_columns,
)
from elmo_components.registered.tokenizers.spacy_blank import JoinedTokenizer, SpacyBlankTokenizer

__all__ = ["ParallelReader"]

# One pair in 20 is for development, and one for the test.
NUM_SHARES = 20
SHARES = {"dev": range(1), "test": range(1, 2), "train": range(2, NUM_SHARES)}


@DatasetReader.register("elmo_parallel")
class ParallelReader(DatasetReader):
    """
    Reads sentence pairs, one a row, as a sentence and its translation.

    A row is a line of one file with tabs between the columns; or, with `suffixes`, the lines of the
    same number of several files. The reader skips pairs with an empty side. Files may be compressed
    (.gz, .bz2).

    Each instance has the fields "source_tokens"; "target_tokens", with the start and end symbols of
    AllenNLP's decoders; and "metadata", whose "target" is the translation's text in the file, which
    BLEU needs.

    Registered as a `DatasetReader` with name "elmo_parallel".

    # Parameters

    source_tokenizer : `Optional[Tokenizer]`
        `None` for `SpacyBlankTokenizer()`.
    target_tokenizer : `Optional[Tokenizer]`
        `None` for `JoinedTokenizer()`, whose tokens `join_tokens` turns into text again.
    source_token_indexers, target_token_indexers : `Optional[Dict[str, TokenIndexer]]`
        The tokens' indexers; `None` for `{"tokens": SingleIdTokenIndexer()}` with the namespaces
        "source_tokens" and "target_tokens". A decoder takes one target indexer only.
    suffixes : `Optional[Tuple[str, ...]]`
        The endings of parallel files' names, in the order of their columns: with `[".en", ".de"]`
        the path "data/train" stands for data/train.en and data/train.de. `None` for one file.
    source_column, target_column : `int`
        The columns, counted from 0.
    split_column : `Optional[int]`
        The column by which the reader splits one file into three: the path "pairs.txt#train" stands
        for 90% of the pairs, "pairs.txt#dev" and "pairs.txt#test" for 5% each. Pairs with the same
        text in this column, but for casing, spaces and punctuation, are in the same part. `None`
        for paths without "#".
    encoding : `str`
        Python's name of the files' encoding.
    **kwargs
        See `DatasetReader`: `max_instances`.

    # Raises

    `ConfigurationError` for a row without the columns, parallel files of different lengths, an
    unknown part, a file without pairs, or bytes of another encoding.
    """

    def __init__(
        self,
        source_tokenizer: Optional[Tokenizer] = None,
        target_tokenizer: Optional[Tokenizer] = None,
        source_token_indexers: Optional[dict[str, TokenIndexer]] = None,
        target_token_indexers: Optional[dict[str, TokenIndexer]] = None,
        suffixes: Optional[tuple[str, ...]] = None,
        source_column: int = 0,
        target_column: int = 1,
        split_column: Optional[int] = None,
        encoding: str = "utf-8",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            manual_distributed_sharding=True, manual_multiprocess_sharding=True, **kwargs
        )
        check_encoding(encoding)
        self.source_tokenizer = source_tokenizer or SpacyBlankTokenizer()
        self._target_tokenizer = target_tokenizer or JoinedTokenizer()
        self._source_token_indexers = source_token_indexers or {
            "tokens": SingleIdTokenIndexer(namespace="source_tokens")
        }
        self._target_token_indexers = target_token_indexers or {
            "tokens": SingleIdTokenIndexer(namespace="target_tokens")
        }
        self._suffixes = suffixes
        self._source_column = source_column
        self._target_column = target_column
        self._split_column = split_column
        self._encoding = encoding

    def text_to_instance(self, source: Text, target: Optional[str] = None) -> Instance:
        """Returns an instance of a sentence (text, words or tokens) and its translation."""
        fields: dict[str, Field] = {
            "source_tokens": TextField(as_tokens(source, self.source_tokenizer))
        }
        if target is not None:
            fields["target_tokens"] = TextField(
                [Token(START_SYMBOL), *self._target_tokenizer.tokenize(target), Token(END_SYMBOL)]
            )
            fields["metadata"] = MetadataField({"target": target})
        return Instance(fields)

    def apply_token_indexers(self, instance: Instance) -> None:
        """Sets the instance's token indexers."""
        cast(TextField, instance["source_tokens"]).token_indexers = self._source_token_indexers
        if "target_tokens" in instance:
            cast(TextField, instance["target_tokens"]).token_indexers = self._target_token_indexers

    def _read(self, file_path: str) -> Iterator[Instance]:
        for source, target in shard(self, self._pairs(str(file_path))):
            yield self.text_to_instance(source, target)

    def _pairs(self, file_path: str) -> Iterator[tuple[str, str]]:
        path, part = self._path_and_part(file_path)
        columns = [self._source_column, self._target_column]
        if self._split_column is not None:
            columns.append(self._split_column)
        found = False
        for number, row in enumerate(self._rows(path), start=1):
            picked = pick_columns(row, columns, f"{path}, line {number}")
            source, target = picked[0].strip(), picked[1].strip()
            if part is not None and _share(picked[-1]) not in SHARES[part]:
                continue
            if source and target:
                found = True
                yield source, target
        if not found:
            raise ConfigurationError(f"{file_path} has no pair of sentences")

    def _rows(self, path: str) -> Iterator[list[str]]:
        if self._suffixes is None:
            for _, line in numbered_lines(path, self._encoding):
                yield line.rstrip("\r\n").split("\t")
            return
        files = [numbered_lines(path + suffix, self._encoding) for suffix in self._suffixes]
        for number, row in enumerate(zip_longest(*files), start=1):
            if None in row:
                raise ConfigurationError(
                    f"The files {path} with {' and '.join(self._suffixes)} must have the same "
                    f"number of lines; one ends before line {number}"
                )
            yield [line.rstrip("\r\n") for _, line in row]

    def _path_and_part(self, path: str) -> tuple[str, Optional[str]]:
        if self._split_column is None or "#" not in path:
            return path, None
        path, _, part = path.rpartition("#")
        if part not in SHARES:
            raise ConfigurationError(
                f'After "#" a path must have one of {", ".join(SHARES)}; found {part!r}'
            )
        return path, part


def _share(text: str) -> int:
    """Returns a text's share, which does not depend on its casing and punctuation."""
    letters = "".join(filter(str.isalnum, text.casefold()))
    return crc32(letters.encode("utf-8")) % NUM_SHARES
