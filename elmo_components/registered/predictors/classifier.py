"""A `Predictor` of a text's label."""

from typing import Any, Optional

import numpy
from allennlp.common.util import JsonDict
from allennlp.data import Instance, Token
from allennlp.data.fields import LabelField
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.labelled_lines import LabelledLinesReader
from elmo_components.registered.predictors.text import TextPredictor, text_of

__all__ = ["ElmoClassifierPredictor"]


@Predictor.register("elmo_classifier")
class ElmoClassifierPredictor(TextPredictor):
    """
    Classifies raw text with any model that predicts one label a text, such as "basic_classifier".

    Input: `{"sentence": "..."}`, `{"tokens": ["...", ...]}`, or a line of raw text. Output:
    "label", and "probabilities" of all labels, which sum to 1. For a text without tokens "label"
    is null and "probabilities" is empty.

    Registered as a `Predictor` with name "elmo_classifier".

    # Parameters

    language : `Optional[str]`
        See `TextPredictor`.
    """

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        """Returns one instance, with the most probable label."""
        labeled = instance.duplicate()
        label = int(numpy.argmax(_probabilities(outputs)))
        labeled.add_field("label", LabelField(label, skip_indexing=True))
        return [labeled]

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        tokens = self._tokens(json_dict)
        reader = self._dataset_reader
        # text_classification_json, and readers like it, take text only
        takes_text = getattr(reader, "_tokenizer", None) or getattr(reader, "tokenizer", None)
        if takes_text and not isinstance(reader, LabelledLinesReader):
            text = text_of(json_dict)
            return reader.text_to_instance(text if isinstance(text, str) else " ".join(text))
        return reader.text_to_instance(tokens)

    def _readable(self, tokens: list[Token], output: JsonDict, sentence: Optional[str]) -> JsonDict:
        namespace = getattr(self._model, "_label_namespace", "labels")
        labels = self._model.vocab.get_index_to_token_vocabulary(namespace)
        return {
            "label": output["label"],
            "probabilities": {
                # the vocabulary lacks labels that are numbers in the data
                labels.get(index, str(index)): probability
                for index, probability in enumerate(_probabilities(output))
            },
        }

    def _of_nothing(self) -> JsonDict:
        return {"label": None, "probabilities": {}}


def _probabilities(output: dict[str, Any]) -> Any:
    # "probs" is AllenNLP's name, "class_probabilities" that of allennlp-models
    return output["probs"] if "probs" in output else output["class_probabilities"]
