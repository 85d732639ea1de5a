"""The `Predictor` that says whether a word has the same sense in two sentences."""

from typing import Union

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict
from allennlp.data import Instance
from allennlp.predictors import Predictor

__all__ = ["WordInContextPredictor"]


@Predictor.register("elmo_word_in_context")
class WordInContextPredictor(Predictor):
    """
    Compares a word in two sentences with the model `elmo_word_in_context`.

    Input: `{"first": ..., "second": ..., "first_index": 2, "second_index": 0}`: sentences, as lists
    of tokens or as strings with white space between tokens, and the word's places in them, counted
    in tokens from 0. Output: "label", "T" for the same sense or "F", and "probability", of "T".

    Registered as a `Predictor` with name "elmo_word_in_context".
    """

    def predict_instance(self, instance: Instance) -> JsonDict:
        """Returns the prediction for one instance."""
        return _readable(super().predict_instance(instance))

    def predict_batch_instance(self, instances: list[Instance]) -> list[JsonDict]:
        """Returns the predictions for instances."""
        return [_readable(output) for output in super().predict_batch_instance(instances)]

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        first, second = (_tokens(json_dict.get(name)) for name in ("first", "second"))
        indices = [json_dict.get(name) for name in ("first_index", "second_index")]
        if not all(isinstance(index, int) for index in indices):
            raise ConfigurationError(
                'An input must have "first_index" and "second_index", the word\'s places counted '
                f"from 0; found {json_dict!r}"
            )
        return self._dataset_reader.text_to_instance(first, second, *indices)


def _tokens(sentence: Union[str, list[str], None]) -> list[str]:
    if isinstance(sentence, str):
        return sentence.split()
    if isinstance(sentence, list) and all(isinstance(token, str) for token in sentence):
        return sentence
    raise ConfigurationError(
        'An input must have "first" and "second", each a sentence or a list of tokens; '
        f"found {sentence!r}"
    )


def _readable(output: JsonDict) -> JsonDict:
    return {"label": output["label"], "probability": output["probabilities"]}
