"""A `Predictor` of whether a word has the same sense in two sentences."""

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict
from allennlp.data import Instance
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.text import BYTE_ORDER_MARK

__all__ = ["WordInContextPredictor"]


@Predictor.register("elmo_word_in_context")
class WordInContextPredictor(Predictor):
    """
    Compares a word in two sentences with the model `elmo_word_in_context`.

    Input: `{"first": ..., "second": ..., "first_index": 2, "second_index": 0}`: sentences, each a
    list of tokens or a string, which the reader splits at white space unless it has a tokenizer,
    and the word's positions in them, counted in tokens from 0. Output: "label", "T" for the same
    sense or "F", and "probability", of "T".

    Registered as a `Predictor` with name "elmo_word_in_context".
    """

    def load_line(self, line: str) -> JsonDict:
        """Returns the JSON object of a line."""
        return super().load_line(line.removeprefix(BYTE_ORDER_MARK))

    def predict_instance(self, instance: Instance) -> JsonDict:
        """Returns the prediction for one instance."""
        return _readable(super().predict_instance(instance))

    def predict_batch_instance(self, instances: list[Instance]) -> list[JsonDict]:
        """Returns the predictions for instances."""
        return [_readable(output) for output in super().predict_batch_instance(instances)]

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        sentences = [json_dict.get(name) for name in ("first", "second")]
        for sentence in sentences:
            words = sentence if isinstance(sentence, list) else [sentence]
            if not all(isinstance(word, str) for word in words):
                raise ConfigurationError(
                    'An input must have "first" and "second", each a sentence or a list of tokens; '
                    f"found {sentence!r}"
                )
        indices = [json_dict.get(name) for name in ("first_index", "second_index")]
        if not all(isinstance(index, int) for index in indices):
            raise ConfigurationError(
                'An input must have "first_index" and "second_index", the word\'s positions '
                f"counted from 0; found {json_dict!r}"
            )
        return self._dataset_reader.text_to_instance(*sentences, *indices)


def _readable(output: JsonDict) -> JsonDict:
    return {"label": output["label"], "probability": output["probabilities"]}
