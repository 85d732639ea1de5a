"""A `Predictor` of tags and entities."""

from typing import Any, Optional, cast

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict
from allennlp.data import DatasetReader, Instance, Token
from allennlp.data.fields import FlagField, SequenceLabelField, TextField
from allennlp.models import Model
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.span_encodings import ENCODINGS, are_spans, spans_of
from elmo_components.registered.predictors.text import TextPredictor, word_starts

__all__ = ["ElmoTaggerPredictor"]


@Predictor.register("elmo_tagger")
class ElmoTaggerPredictor(TextPredictor):
    """
    Tags raw text with any model that predicts one tag a token, such as "crf_tagger".

    Input: `{"sentence": "..."}`, `{"tokens": ["...", ...]}`, or a line of raw text. Output:
    "words", "tags", and where the tags encode spans "entities": each one's "type", "text", and
    "start" and "end" in characters of the sentence, or of the tokens joined by single spaces. They
    are null where a tokenizer changed the text.

    Registered as a `Predictor` with name "elmo_tagger".

    # Parameters

    language : `Optional[str]`
        See `TextPredictor`.
    label_encoding : `Optional[str]`
        The tags' encoding of spans: "BIO", "BIOUL", "BMES" or "IOB1"; `None` for the model's, or
        as the model's tags look.
    """

    def __init__(
        self,
        model: Model,
        dataset_reader: DatasetReader,
        language: Optional[str] = None,
        label_encoding: Optional[str] = None,
    ) -> None:
        super().__init__(model, dataset_reader, language)
        encoding = label_encoding or getattr(model, "label_encoding", None)
        if encoding is not None and encoding not in ENCODINGS:
            raise ConfigurationError(
                f"label_encoding must be one of {', '.join(ENCODINGS)}; found {encoding!r}"
            )
        self._namespace = getattr(model, "label_namespace", "labels")
        labels = model.vocab.get_token_to_index_vocabulary(self._namespace)
        # a simple_tagger keeps its encoding to itself
        self._has_spans = encoding is not None or are_spans(labels)

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        """
        Returns an instance for each predicted entity, with its tags and "O" for other tokens, which
        have no loss. If tags do not encode spans, returns one instance with all tags.
        """
        tags = list(outputs["tags"])
        if not self._has_spans:
            return [self._labeled(instance, tags)]
        labeled = []
        for _, (first, last) in spans_of(tags):
            entity = [tag if first <= place <= last else "O" for place, tag in enumerate(tags)]
            labeled.append(self._labeled(instance, entity))
            labeled[-1].add_field("ignore_loss_on_o_tags", FlagField(True))
        return labeled

    def _labeled(self, instance: Instance, tags: list[str]) -> Instance:
        labeled = instance.duplicate()
        text = cast(TextField, labeled[self.text_field])
        field = SequenceLabelField(tags, text, label_namespace=self._namespace)
        labeled.add_field("tags", field, self._model.vocab)
        return labeled

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(self._tokens(json_dict))

    def _readable(self, tokens: list[Token], output: JsonDict, sentence: Optional[str]) -> JsonDict:
        words, tags = [token.ensure_text() for token in tokens], output["tags"]
        prediction: dict[str, Any] = {"words": words, "tags": tags}
        if self._has_spans:
            if sentence is None:
                sentence = " ".join(words)
                tokens = [Token(word, start) for word, start in zip(words, word_starts(words))]
            places = _places(tokens, sentence)
            prediction["entities"] = [
                _entity(label, sentence, places[first][0], places[last][1])
                for label, (first, last) in spans_of(tags)
            ]
        return prediction

    def _of_nothing(self) -> JsonDict:
        return self._readable([], {"tags": []}, "")


def _places(tokens: list[Token], sentence: str) -> list[tuple[Optional[int], Optional[int]]]:
    """Returns each token's start and end in its sentence; `None` if the sentence lacks it."""
    places: list[tuple[Optional[int], Optional[int]]] = []
    position = 0
    for token in tokens:
        text = token.ensure_text()
        # tokenizers such as AllenNLP's "character" give no positions
        start = sentence.find(text, position) if token.idx is None else token.idx
        end = start + len(text) if token.idx_end is None else token.idx_end
        # a mark that a tokenizer adds has a position, 0, and no end; words may be lower-cased
        is_mark = token.idx_end is None and sentence[start:end].lower() != text.lower()
        if start < 0 or is_mark:
            places.append((None, None))
            continue
        position = end
        places.append((start, end))
    return places


def _entity(label: str, sentence: str, start: Optional[int], end: Optional[int]) -> dict[str, Any]:
    text = None if start is None or end is None else sentence[start:end]
    return {"type": label, "text": text, "start": start, "end": end}
