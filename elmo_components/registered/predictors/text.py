"""What `Predictor`s of raw text share."""

import json
from typing import Optional, Union, cast

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict, sanitize
from allennlp.data import DatasetReader, Instance, Token, Tokenizer
from allennlp.data.fields import TextField
from allennlp.models import Model
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.labelled_lines import LabelledLinesReader
from elmo_components.registered.dataset_readers.text import BYTE_ORDER_MARK, as_tokens
from elmo_components.registered.tokenizers.spacy_blank import SpacyBlankTokenizer

__all__ = ["TextPredictor", "parse_line", "text_of", "word_starts"]


class TextPredictor(Predictor):
    """
    Reads lines of raw text, or JSON objects with a "sentence" or with "tokens".

    # Parameters

    language : `Optional[str]`
        spaCy's code of the language, whose rules split a sentence into tokens. `None` for the
        dataset reader's `tokenizer`; without one, English, or white space as in training if the
        reader is "elmo_labelled_lines".
    """

    # the instances' field of tokens
    text_field = "tokens"

    def __init__(
        self, model: Model, dataset_reader: DatasetReader, language: Optional[str] = None
    ) -> None:
        super().__init__(model, dataset_reader)
        tokenizer: Optional[Tokenizer] = getattr(dataset_reader, "tokenizer", None)
        if tokenizer is None and not isinstance(dataset_reader, LabelledLinesReader):
            language = language or "en"
        if language is not None:
            tokenizer = SpacyBlankTokenizer(language)
        self._tokenizer = tokenizer

    def load_line(self, line: str) -> JsonDict:
        """Returns the JSON object of a line that begins with a brace, else its text."""
        return parse_line(line)

    def predict(self, sentence: str) -> JsonDict:
        """Returns the prediction for one sentence of raw text."""
        return self.predict_json({"sentence": sentence})

    def predict_json(self, inputs: JsonDict) -> JsonDict:
        """Returns the prediction for one input."""
        return self.predict_batch_json([inputs])[0]

    def predict_batch_json(self, inputs: list[JsonDict]) -> list[JsonDict]:
        """Returns the predictions for inputs."""
        instances = self._batch_json_to_instances(inputs)
        return self._predict(instances, [one.get("sentence") for one in inputs])

    def predict_instance(self, instance: Instance) -> JsonDict:
        """Returns the prediction for one instance."""
        return self.predict_batch_instance([instance])[0]

    def predict_batch_instance(self, instances: list[Instance]) -> list[JsonDict]:
        """Returns the predictions for instances."""
        return self._predict(instances, [None] * len(instances))

    def _predict(self, instances: list[Instance], sentences: list[Optional[str]]) -> list[JsonDict]:
        for instance in instances:
            self._dataset_reader.apply_token_indexers(instance)
        # models cannot take instances without tokens
        filled = [instance for instance in instances if self._words(instance)]
        outputs = iter(self._model.forward_on_instances(filled) if filled else [])
        return [
            self._readable(self._words(instance), sanitize(next(outputs)), sentence)
            if self._words(instance)
            else self._of_nothing()
            for instance, sentence in zip(instances, sentences)
        ]

    def _words(self, instance: Instance) -> list[Token]:
        return cast(TextField, instance[self.text_field]).tokens

    def _readable(self, tokens: list[Token], output: JsonDict, sentence: Optional[str]) -> JsonDict:
        raise NotImplementedError

    def _of_nothing(self) -> JsonDict:
        raise NotImplementedError

    def _tokens(self, inputs: JsonDict) -> list[Token]:
        """Returns the tokens of an input, with their positions if the tokenizer sets them."""
        text = text_of(inputs)
        if isinstance(text, str):
            return as_tokens(text, self._tokenizer)
        return [Token(word, idx=start) for word, start in zip(text, word_starts(text))]


def parse_line(line: str) -> JsonDict:
    """Returns the JSON object of a line that begins with a brace, else its text."""
    line = line.removeprefix(BYTE_ORDER_MARK)
    if not line.lstrip().startswith("{"):
        return {"sentence": line.rstrip("\r\n")}
    try:
        return json.loads(line)
    except ValueError as error:
        raise ConfigurationError(
            f"A line that begins with a brace must be a JSON object: {error}; found {line!r}"
        ) from error


def text_of(inputs: JsonDict) -> Union[str, list[str]]:
    """Returns the "sentence" or the "tokens" of an input."""
    sentence, tokens = inputs.get("sentence"), inputs.get("tokens")
    if isinstance(sentence, str) and tokens is None:
        return sentence
    is_list = isinstance(tokens, list) and all(isinstance(token, str) for token in tokens)
    if sentence is None and tokens is not None and is_list:
        return tokens
    raise ConfigurationError(
        'An input must have either a "sentence", a string, or "tokens", a list of strings; '
        f"found {inputs!r}"
    )


def word_starts(words: list[str]) -> list[int]:
    """Returns where each word begins when single spaces join them."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return starts[:-1]
