"""A `Predictor` that translates raw text, or tokens."""

from typing import Optional

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict
from allennlp.data import DatasetReader, Instance, Token
from allennlp.models import Model
from allennlp.predictors import Predictor

from elmo_components.registered.predictors.text import TextPredictor
from elmo_components.registered.translation.parallel_reader import ParallelReader

__all__ = ["ElmoTranslatorPredictor"]


@Predictor.register("elmo_translator")
class ElmoTranslatorPredictor(TextPredictor):
    """
    Translates raw text with the model "elmo_seq2seq" and its reader "elmo_parallel".

    Input: `{"sentence": "..."}`, `{"tokens": ["...", ...]}`, or a line of raw text. Output:
    "words", the tokens of the reader's tokenizer; "translation", a text; and "score", by which the
    beam search ranked it: its log probability, divided by its number of tokens in this package's
    configurations. An empty text has an empty translation, and the score null.

    Registered as a `Predictor` with name "elmo_translator".

    # Raises

    `ConfigurationError` for an archive with another reader.
    """

    text_field = "source_tokens"

    def __init__(self, model: Model, dataset_reader: DatasetReader) -> None:
        super().__init__(model, dataset_reader)
        if not isinstance(dataset_reader, ParallelReader):
            raise ConfigurationError(
                'elmo_translator needs the reader "elmo_parallel"; '
                f"found {type(dataset_reader).__name__}"
            )
        self._tokenizer = dataset_reader.source_tokenizer

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(self._tokens(json_dict))

    def _readable(self, tokens: list[Token], output: JsonDict, sentence: Optional[str]) -> JsonDict:
        return {
            "words": [token.ensure_text() for token in tokens],
            "translation": output["translation"],
            "score": output["class_log_probabilities"][0],
        }

    def _of_nothing(self) -> JsonDict:
        return {"words": [], "translation": "", "score": None}
