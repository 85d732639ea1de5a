"""Tags the sentences of a partition of a corpus: entities or tags as columns of Parquet."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError

from elmo_components.embedding.batches import batches_by_length
from elmo_components.embedding.intake import Intake
from elmo_components.embedding.readers import Sentence
from elmo_components.embedding.settings import EmbedSettings
from elmo_components.embedding.windows import Window, windows_of
from elmo_components.registered.scored_tagger import ScoredTagger, Tagged
from elmo_components.registered.spacy_tagger import FILE, check_archive, load_tagger

__all__ = ["TagWork", "check_tagger", "load_tag_work"]


def check_tagger(archive: Path) -> None:
    """Raises a `ValueError` if a file is no archive of a tagger. Its weights are not read."""
    try:
        check_archive(archive)
    except ConfigurationError as error:
        raise ValueError(" ".join(str(error).split())) from error


def load_tag_work(archive: bytes, *, settings: EmbedSettings, cuda_device: int) -> "TagWork":
    """Returns the work of a process that has received an archive."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        path.write_bytes(archive)
        tagger = load_tagger(path, cuda_device=cuda_device)
    return TagWork(tagger, settings)


class TagWork:
    """
    Writes what a tagger finds in sentences, one row for each.

    The columns are `line`, `sentence`, `words`, and for a tagger of spans `entities`, lists of
    structs with the fields `type`, `text`, `start` and `end` in characters of the sentence,
    `first` and `last` in words, and `score`, the probability under the model, null for a model
    without logits; see `ElmoTagger`. For another tagger the columns are `tags` and `scores`, with
    one element for each word.

    # Parameters

    tagger : `ScoredTagger`
        The model.
    settings : `EmbedSettings`
        How sentences are batched; the vectors' settings are not used.
    """

    def __init__(self, tagger: ScoredTagger, settings: EmbedSettings) -> None:
        self._tagger = tagger
        self._settings = settings

    def write(self, records: Iterator[bytes], intake: Intake, sink: Any, *, number: int) -> int:
        """See `Work.write`."""
        import pyarrow
        from pyarrow import parquet

        schema = self._schema()
        sentences = 0
        with parquet.ParquetWriter(sink, schema, compression="zstd") as file:
            for window in windows_of(records, intake, self._settings, number=number):
                rows = self._rows(window)
                sentences += len(rows)
                if rows:
                    file.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
        return sentences

    def _schema(self) -> Any:
        import pyarrow

        text, number = pyarrow.string(), pyarrow.int32()
        entity = {"type": text, "text": text, "start": number, "end": number}
        entity |= {"first": number, "last": number, "score": pyarrow.float32()}
        fields = {"line": pyarrow.int64(), "sentence": text, "words": pyarrow.list_(text)}
        if self._tagger.has_spans:
            fields["entities"] = pyarrow.list_(pyarrow.struct(list(entity.items())))
        else:
            fields["tags"] = pyarrow.list_(text)
            fields["scores"] = pyarrow.list_(pyarrow.float32())
        return pyarrow.schema(list(fields.items()))

    def _rows(self, window: Window) -> list[dict[str, Any]]:
        # models cannot take sentences without words
        filled = [sentence.tokens for _, sentence in window.sentences if sentence.tokens]
        tagged: list[list[Tagged]] = [[] for _ in filled]
        for chosen in batches_by_length([len(one) for one in filled], self._settings.batch_size):
            for place, found in zip(chosen, self._tagger.predict([filled[one] for one in chosen])):
                tagged[place] = found
        left = iter(tagged)
        return [
            {
                "line": number,
                "sentence": sentence.text,
                "words": sentence.tokens,
                **self._columns(sentence, next(left) if sentence.tokens else []),
            }
            for number, sentence in window.sentences
        ]

    def _columns(self, sentence: Sentence, found: list[Tagged]) -> dict[str, Any]:
        if not self._tagger.has_spans:
            return {"tags": [one.label for one in found], "scores": [one.score for one in found]}
        places = _places(sentence)
        entities = []
        for one in sorted(found, key=lambda one: one.first):
            start, end = places[one.first][0], places[one.last][1]
            entities.append(
                {
                    "type": one.label,
                    "text": sentence.text[start:end],
                    "start": start,
                    "end": end,
                    "first": one.first,
                    "last": one.last,
                    "score": one.score,
                }
            )
        return {"entities": entities}


def _places(sentence: Sentence) -> list[tuple[int, int]]:
    """Returns each token's start and end in its sentence, which has all of them in order."""
    places = []
    end = 0
    for token in sentence.tokens:
        start = sentence.text.index(token, end)
        end = start + len(token)
        places.append((start, end))
    return places
