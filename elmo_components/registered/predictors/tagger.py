"""`Predictor`s that take raw text, or tokens, and download nothing."""

import json
from typing import Any, Optional, cast

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict, sanitize
from allennlp.data import DatasetReader, Instance, Token, Tokenizer
from allennlp.data.dataset_readers.dataset_utils.span_utils import (
    bio_tags_to_spans,
    bioul_tags_to_spans,
    bmes_tags_to_spans,
    iob1_tags_to_spans,
)
from allennlp.data.fields import TextField
from allennlp.models import Model
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.labelled_lines import LabelledLinesReader
from elmo_components.registered.tokenizers.spacy_blank import SpacyBlankTokenizer

__all__ = ["ElmoClassifierPredictor", "ElmoTaggerPredictor", "TextPredictor"]

SPANS = {
    "BIO": bio_tags_to_spans,
    "BIOUL": bioul_tags_to_spans,
    "BMES": bmes_tags_to_spans,
    "IOB1": iob1_tags_to_spans,
}


class TextPredictor(Predictor):
    """
    Reads lines of raw text, or JSON objects with a "sentence" or with "tokens".

    # Parameters

    language : `str`
        Whose rules split a sentence into tokens. See `SpacyBlankTokenizer`.
    """

    # what the reader calls the field of a text
    text_field = "tokens"

    def __init__(self, model: Model, dataset_reader: DatasetReader, language: str = "en") -> None:
        super().__init__(model, dataset_reader)
        self._tokenizer: Tokenizer = SpacyBlankTokenizer(language)

    def load_line(self, line: str) -> JsonDict:
        """Returns a line's contents: a JSON object where it begins with a brace, else text."""
        if not line.lstrip().startswith("{"):
            return {"sentence": line.rstrip("\r\n")}
        try:
            return json.loads(line)
        except ValueError as error:
            raise ConfigurationError(
                f"A line that begins with a brace must be a JSON object: {error}; found {line!r}"
            ) from error

    def predict(self, sentence: str) -> JsonDict:
        """Returns the prediction for one sentence of raw text."""
        return self.predict_json({"sentence": sentence})

    def predict_instance(self, instance: Instance) -> JsonDict:
        """Returns the prediction for one instance."""
        return self.predict_batch_instance([instance])[0]

    def predict_batch_instance(self, instances: list[Instance]) -> list[JsonDict]:
        """Returns the predictions for instances; no model sees those without tokens."""
        for instance in instances:
            self._dataset_reader.apply_token_indexers(instance)
        filled = [instance for instance in instances if self._words(instance)]
        outputs = iter(self._model.forward_on_instances(filled) if filled else [])
        return [
            self._readable(self._words(instance), sanitize(next(outputs)))
            if self._words(instance)
            else self._of_nothing()
            for instance in instances
        ]

    def _words(self, instance: Instance) -> list[Token]:
        return cast(TextField, instance[self.text_field]).tokens

    def _readable(self, tokens: list[Token], output: JsonDict) -> JsonDict:
        raise NotImplementedError

    def _of_nothing(self) -> JsonDict:
        raise NotImplementedError

    def _tokens(self, inputs: JsonDict) -> list[Token]:
        sentence, tokens = inputs.get("sentence"), inputs.get("tokens")
        if isinstance(sentence, str) and tokens is None:
            return self._tokenizer.tokenize(sentence)
        if (
            sentence is None
            and isinstance(tokens, list)
            and all(isinstance(token, str) for token in tokens)
        ):
            return [Token(token, idx=start) for token, start in zip(tokens, _places(tokens))]
        raise ConfigurationError(
            'An input must have either a "sentence", a string, or "tokens", a list of strings; '
            f"found {inputs!r}"
        )


@Predictor.register("elmo_tagger")
class ElmoTaggerPredictor(TextPredictor):
    """
    Tags raw text with any model that gives one tag a token, such as "crf_tagger".

    Input: `{"sentence": "..."}`, `{"tokens": ["...", ...]}`, or a line of raw text. Output:
    "words", "tags", and where the tags encode spans "entities": each one's "type", "text", and
    "start" and "end" in characters of the sentence, or of the tokens joined by single spaces.

    Registered as a `Predictor` with name "elmo_tagger".

    # Parameters

    language : `str`
        Whose rules split a sentence into tokens. See `SpacyBlankTokenizer`.
    label_encoding : `Optional[str]`
        How tags encode spans: "BIO", "BIOUL", "BMES" or "IOB1"; `None` for what the model says.
    """

    def __init__(
        self,
        model: Model,
        dataset_reader: DatasetReader,
        language: str = "en",
        label_encoding: Optional[str] = None,
    ) -> None:
        super().__init__(model, dataset_reader, language)
        self._label_encoding = label_encoding or getattr(model, "label_encoding", None)
        if self._label_encoding is not None and self._label_encoding not in SPANS:
            raise ConfigurationError(
                f"label_encoding must be one of {', '.join(SPANS)}; found {self._label_encoding!r}"
            )

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(self._tokens(json_dict))

    def _readable(self, tokens: list[Token], output: JsonDict) -> JsonDict:
        words, tags = [token.ensure_text() for token in tokens], output["tags"]
        prediction: dict[str, Any] = {"words": words, "tags": tags}
        if self._label_encoding is not None:
            # tokens that a reader made do not know their place
            starts = [token.idx for token in tokens if token.idx is not None]
            if len(starts) < len(words):
                starts = _places(words)
            spans = SPANS[self._label_encoding](tags)
            prediction["entities"] = [
                _entity(label, words[first : last + 1], starts[first : last + 1])
                for label, (first, last) in sorted(spans, key=lambda span: span[1])
            ]
        return prediction

    def _of_nothing(self) -> JsonDict:
        return self._readable([], {"tags": []})


@Predictor.register("elmo_classifier")
class ElmoClassifierPredictor(TextPredictor):
    """
    Classifies raw text with any model that gives one label a text, such as "basic_classifier".

    Input: `{"sentence": "..."}`, `{"tokens": ["...", ...]}`, or a line of raw text. Output:
    "label", and "probabilities" of all labels, which add up to 1; for a text without tokens, which
    no model takes, the label is null and there are none.

    Registered as a `Predictor` with name "elmo_classifier".

    # Parameters

    language : `str`
        Whose rules split a sentence into tokens, where the reader has no tokenizer. See
        `SpacyBlankTokenizer`.
    """

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        tokens = self._tokens(json_dict)
        reader = self._dataset_reader
        if "tokens" in json_dict and isinstance(reader, LabelledLinesReader):
            return reader.text_to_instance(tokens)
        # text_classification_json, and readers like it, split the text themselves
        if getattr(reader, "_tokenizer", None) or getattr(reader, "tokenizer", None):
            return reader.text_to_instance(
                json_dict.get("sentence", " ".join(json_dict.get("tokens", [])))
            )
        return reader.text_to_instance(tokens)

    def _readable(self, tokens: list[Token], output: JsonDict) -> JsonDict:
        # "probs" is AllenNLP's name, "class_probabilities" that of allennlp-models
        probabilities = output["probs"] if "probs" in output else output["class_probabilities"]
        namespace = getattr(self._model, "_label_namespace", "labels")
        labels = self._model.vocab.get_index_to_token_vocabulary(namespace)
        return {
            "label": output["label"],
            "probabilities": {
                labels[index]: probability for index, probability in enumerate(probabilities)
            },
        }

    def _of_nothing(self) -> JsonDict:
        return {"label": None, "probabilities": {}}


def _places(words: list[str]) -> list[int]:
    """Returns where each word begins when single spaces join them."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return starts[:-1]


def _entity(label: str, words: list[str], starts: list[int]) -> dict[str, Any]:
    text = ""
    for word, start in zip(words, starts):
        text = text.ljust(start - starts[0]) + word
    return {"type": label, "text": text, "start": starts[0], "end": starts[0] + len(text)}
