"""An AllenNLP tagger that gives each tag or span its probability."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Token
from allennlp.models import Model
from spacy.parts_of_speech import IDS  # type: ignore[import-not-found]

from elmo_components.registered.dataset_readers.span_encodings import are_spans, spans_of
from elmo_components.registered.predictors.text import word_starts
from elmo_components.registered.tag_probabilities import TagProbabilities, Transitions

__all__ = ["ScoredTagger", "Tagged", "check_model", "continuations"]


def check_model(model: type[Model], path: Path) -> None:
    """Raises a `ConfigurationError` unless a model's only required input is `tokens`, for tags."""
    inputs = inspect.signature(model.forward).parameters.values()
    required = {
        one.name
        for one in inputs
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    }
    if required != {"self", "tokens"} or "tags" not in {one.name for one in inputs}:
        raise ConfigurationError(
            f"{path} must have a tagger, such as AllenNLP's crf_tagger or simple_tagger; found a "
            f"{model.__name__}"
        )


def continuations(tags: Sequence[str]) -> numpy.ndarray:
    """Returns bool, (tags, tags): whether the column's tag continues a span with the row's."""
    return numpy.array(
        [
            [any(first < last for _, (first, last) in spans_of([tag, other])) for other in tags]
            for tag in tags
        ]
    )


@dataclass(frozen=True)
class Tagged:
    """A tag of one token, or a label of a span."""

    label: str
    first: int
    last: int
    score: Optional[float]


class ScoredTagger:
    """Predicts the spans or the tags of words."""

    def __init__(self, model: Model, reader: DatasetReader) -> None:
        self._model = model.eval()
        self._reader = reader
        namespace = getattr(model, "label_namespace", "labels")
        ids = model.vocab.get_index_to_token_vocabulary(namespace)
        self._tags = [ids[index] for index in range(len(ids))]
        self._ids = {tag: index for index, tag in enumerate(self._tags)}
        self._transitions = Transitions.of(model, len(self._tags))
        # (tags, tags)
        self._continues = continuations(self._tags)
        self.has_spans = are_spans(self._tags)
        self.is_universal = set(IDS).issuperset(self._tags)

    def predict(self, sentences: list[list[str]]) -> list[list[Tagged]]:
        """Returns what is found in each sentence, which has at least one word."""
        instances = [
            self._reader.text_to_instance(
                [Token(word, start) for word, start in zip(words, word_starts(words))]
            )
            for words in sentences
        ]
        for instance in instances:
            self._reader.apply_token_indexers(instance)
        outputs = self._model.forward_on_instances(instances)
        return [
            self._found(list(output["tags"])[: len(words)], output.get("logits"))
            for words, output in zip(sentences, outputs)
        ]

    def _found(self, tags: list[str], logits: Optional[numpy.ndarray]) -> list[Tagged]:
        ids = [self._ids[tag] for tag in tags]
        probabilities = None
        if logits is not None:
            # padded to the longest sentence
            probabilities = TagProbabilities(logits[: len(tags)], self._transitions)
        if not self.has_spans:
            return [
                Tagged(
                    tag,
                    place,
                    place,
                    None if probabilities is None else probabilities.tag(place, ids[place]),
                )
                for place, tag in enumerate(tags)
            ]
        found = []
        for label, (first, last) in spans_of(tags):
            score = None
            if probabilities is not None:
                score = probabilities.span(
                    first,
                    ids[first : last + 1],
                    # neighbours that would make the span longer
                    before=~self._continues[:, ids[first]],
                    after=~self._continues[ids[last]],
                )
            found.append(Tagged(label, first, last, score))
        return found
