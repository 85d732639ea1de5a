"""A `DatasetReader` of pairs of sentences that share a word: the data set Word in Context."""

from collections.abc import Iterator
from pathlib import Path
from typing import Optional, cast

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path, open_compressed
from allennlp.data import DatasetReader, Instance, Token, TokenIndexer
from allennlp.data.fields import Field, IndexField, LabelField, MetadataField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer

__all__ = ["WordInContextReader"]

# What a line without a label has; a label comes after it.
NUM_COLUMNS = 5
LABELS = {"F": 0, "T": 1}


@DatasetReader.register("elmo_word_in_context")
class WordInContextReader(DatasetReader):
    """
    Reads Word in Context (Pilehvar and Camacho-Collados 2019): a line has, with tabs between, a
    word, its part of speech, its places "i-j" in the two sentences, counted in tokens from 0, and
    the sentences, with white space between tokens.

    The label, "T" for the same sense or "F", is either a sixth column, or stands in the same line
    of a file beside the first, as published: that of `train.data.txt` is `train.gold.txt`.

    Each instance has the fields "first", "second", "first_index", "second_index", "metadata" (whose
    "word" is the word) and "label", 1 for the same sense. Files may be compressed (.gz, .bz2).

    Registered as a `DatasetReader` with name "elmo_word_in_context".

    # Parameters

    token_indexers : `Optional[Dict[str, TokenIndexer]]`
        How tokens are indexed; `None` for `{"tokens": SingleIdTokenIndexer()}`.

    # Raises

    `ConfigurationError` for a line of another form, a place outside its sentence, labels that are
    not there or are too few or too many, or a file without a pair.
    """

    def __init__(
        self,
        token_indexers: Optional[dict[str, TokenIndexer]] = None,
        max_instances: Optional[int] = None,
    ) -> None:
        super().__init__(
            max_instances=max_instances,
            manual_distributed_sharding=True,
            manual_multiprocess_sharding=True,
        )
        self._token_indexers = token_indexers or {"tokens": SingleIdTokenIndexer()}

    def text_to_instance(
        self,
        first: list[str],
        second: list[str],
        first_index: int,
        second_index: int,
        same: Optional[bool] = None,
        word: Optional[str] = None,
    ) -> Instance:
        """
        Returns an instance of two sentences' tokens and the places of the word in them, and where
        it is known whether the word has one sense in both.
        """
        fields: dict[str, Field] = {}
        sentences = (("first", first, first_index), ("second", second, second_index))
        for name, tokens, index in sentences:
            if not 0 <= index < len(tokens):
                raise ConfigurationError(
                    f"The word's place must be one of the {len(tokens)} tokens of the {name} "
                    f"sentence, counted from 0; found {index}"
                )
            text = TextField([Token(token) for token in tokens])
            fields[name] = text
            fields[f"{name}_index"] = IndexField(index, text)
        fields["metadata"] = MetadataField({"word": word or first[first_index]})
        if same is not None:
            fields["label"] = LabelField(int(same), skip_indexing=True)
        return Instance(fields)

    def apply_token_indexers(self, instance: Instance) -> None:
        """Gives the instance the indexers, after it came from another process."""
        for name in ("first", "second"):
            cast(TextField, instance[name]).token_indexers = self._token_indexers

    def _read(self, file_path: str) -> Iterator[Instance]:
        path = str(file_path)
        with open_compressed(cached_path(path), encoding="utf-8-sig") as file:
            lines = [line.rstrip("\r\n").split("\t") for line in file]
        # an empty line at the end is none
        while lines and lines[-1] == [""]:
            lines.pop()
        if not lines:
            raise ConfigurationError(f"{path} holds no pair of sentences")
        if all(len(columns) == NUM_COLUMNS for columns in lines):
            for columns, label in zip(lines, _labels_beside(path, len(lines))):
                columns.append(label)
        for number, columns in self.shard_iterable(enumerate(lines, start=1)):
            yield self._instance(columns, f"{path}, line {number}")

    def _instance(self, columns: list[str], place: str) -> Instance:
        if len(columns) != NUM_COLUMNS + 1:
            raise ConfigurationError(
                f"{place}: a word, its part of speech, its places and two sentences must stand "
                f"here, and in all lines of a file or in none a label; found {columns!r}"
            )
        word, _, places, first, second, label = columns
        indices = places.split("-")
        if len(indices) != 2 or not all(index.isdecimal() for index in indices):
            raise ConfigurationError(
                f'{place}: the places must be two numbers as in "2-3"; found {places!r}'
            )
        if label not in LABELS:
            raise ConfigurationError(f"{place}: the label must be T or F; found {label!r}")
        first_index, second_index = map(int, indices)
        try:
            return self.text_to_instance(
                first.split(),
                second.split(),
                first_index,
                second_index,
                same=bool(LABELS[label]),
                word=word,
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error.message}") from error


def _labels_beside(path: str, num_lines: int) -> list[str]:
    """Returns the labels of a file's lines, from the file beside it that has them."""
    name = Path(path).name.replace(".data.", ".gold.")
    beside = Path(path).with_name(name)
    if name == Path(path).name or not beside.is_file():
        raise ConfigurationError(
            f"{path} has no labels: they must be its sixth column, or stand in a file beside it, "
            'which is named like it with ".gold." for ".data."'
        )
    with open_compressed(beside, encoding="utf-8-sig") as file:
        labels = file.read().split()
    if len(labels) != num_lines:
        raise ConfigurationError(
            f"{beside} must have a label for each line of {path}: {num_lines}; found {len(labels)}"
        )
    return labels
