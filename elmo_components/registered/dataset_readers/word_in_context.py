"""A `DatasetReader` of pairs of sentences that share a word: the data set Word in Context."""

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance
from allennlp.data.fields import Field, IndexField, LabelField, MetadataField, TextField

from elmo_components.registered.dataset_readers.sharding import shard
from elmo_components.registered.dataset_readers.text import (
    Text,
    TextFileReader,
    as_tokens,
    numbered_lines,
)

__all__ = ["WordInContextReader"]

# A label is one more.
NUM_COLUMNS = 5
LABELS = {"F": 0, "T": 1}


@DatasetReader.register("elmo_word_in_context")
class WordInContextReader(TextFileReader):
    """
    Reads Word in Context (Pilehvar and Camacho-Collados 2019): a line has, separated by tabs, a
    word, its part of speech, its positions "i-j" in the two sentences, counted in tokens from 0,
    and the sentences.

    The label, "T" for the same sense or "F", is a sixth column, or in the same line of a second
    file, as published: that of `train.data.txt` is `train.gold.txt`.

    Each instance has the fields "first", "second", "first_index", "second_index", "metadata" (whose
    "word" is the word) and "label", 1 for the same sense.

    Registered as a `DatasetReader` with name "elmo_word_in_context".

    # Parameters

    See `TextFileReader`.

    # Raises

    `ConfigurationError`, with the file and the line, for a line of another form, a position outside
    its sentence, or a label that is neither "T" nor "F"; and for a file without a pair, or without
    as many labels.
    """

    text_fields = ("first", "second")

    def text_to_instance(
        self,
        first: Text,
        second: Text,
        first_index: int,
        second_index: int,
        same: Optional[bool] = None,
        word: Optional[str] = None,
    ) -> Instance:
        """
        Returns an instance of two sentences (text, words or tokens), the word's positions in them,
        counted in tokens from 0, and whether the senses are the same, `None` if unknown.
        """
        fields: dict[str, Field] = {}
        for name, sentence, index in (
            ("first", first, first_index),
            ("second", second, second_index),
        ):
            text = TextField(as_tokens(sentence, self.tokenizer))
            if not 0 <= index < len(text.tokens):
                raise ConfigurationError(
                    f"{name}_index must be at least 0 and less than {len(text.tokens)}, the number "
                    f"of tokens of the {name} sentence; found {index}"
                )
            fields[name] = text
            fields[f"{name}_index"] = IndexField(index, text)
            word = word or text.tokens[index].text
        fields["metadata"] = MetadataField({"word": word})
        if same is not None:
            fields["label"] = LabelField(int(same), skip_indexing=True)
        return Instance(fields)

    def _read(self, file_path: str) -> Iterator[Instance]:
        path = str(file_path)
        rows = [line.rstrip("\r\n").split("\t") for _, line in numbered_lines(path, self._encoding)]
        while rows and rows[-1] == [""]:
            rows.pop()
        if not rows:
            raise ConfigurationError(f"{path} has no pair of sentences")
        if all(len(columns) == NUM_COLUMNS for columns in rows):
            for columns, label in zip(rows, self._gold_labels(path, len(rows))):
                columns.append(label)
        for number, columns in shard(self, enumerate(rows, start=1)):
            yield self._instance(columns, f"{path}, line {number}")

    def _instance(self, columns: list[str], place: str) -> Instance:
        if len(columns) != NUM_COLUMNS + 1:
            raise ConfigurationError(
                f"{place}: a line must have a word, its part of speech, its positions, two "
                f"sentences and, in all lines or in none, a label; found {columns!r}"
            )
        word, _, positions, first, second, label = columns
        indices = positions.split("-")
        if len(indices) != 2 or not all(index.isdecimal() for index in indices):
            raise ConfigurationError(
                f'{place}: the positions must be two numbers as in "2-3"; found {positions!r}'
            )
        if label not in LABELS:
            raise ConfigurationError(f"{place}: the label must be T or F; found {label!r}")
        first_index, second_index = map(int, indices)
        try:
            return self.text_to_instance(
                first, second, first_index, second_index, same=bool(LABELS[label]), word=word
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error.message}") from error

    def _gold_labels(self, path: str, num_rows: int) -> list[str]:
        """Returns the labels in the file of labels of a file of pairs."""
        name = Path(path).name.replace(".data.", ".gold.")
        gold = Path(path).with_name(name)
        if name == Path(path).name or not gold.is_file():
            raise ConfigurationError(
                f"{path} has no labels. Put them in a sixth column, or in a file with the same "
                'name but ".gold." for ".data."'
            )
        labels = [line.strip() for _, line in numbered_lines(str(gold), self._encoding)]
        labels = list(filter(None, labels))
        if len(labels) != num_rows:
            raise ConfigurationError(
                f"{gold} must have a label for each line of {path}: {num_rows}; found {len(labels)}"
            )
        return labels
