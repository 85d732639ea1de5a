"""A `Predictor` of surprisal and of likely words, with a language model."""

import math
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict
from allennlp.data import Batch, DatasetReader, Instance
from allennlp.models import Model
from allennlp.nn.util import move_to_device
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.corpus import CorpusReader
from elmo_components.registered.models.language_model import ElmoLanguageModel
from elmo_components.registered.predictors.text import parse_line, text_of

__all__ = ["ElmoLanguageModelPredictor"]


@Predictor.register("elmo_language_model")
class ElmoLanguageModelPredictor(Predictor):
    """
    Measures how well a language model predicts each token of a sentence, and lists likely words.

    Input: `{"sentence": "..."}`, `{"tokens": ["...", ...]}`, or a line of raw text. The reader's
    tokenizer splits text. Output:

    * "tokens": each token's "word", whether the vocabulary has it ("known"), and its surprisal in
      bits, -log2 p, given all words before it ("forward") and after it ("backward"). An unknown
      word has the surprisal of the vocabulary's unknown word;
    * "sentence_end" and "sentence_start": the surprisal of the sentence marks;
    * "next_words" and "previous_words": the most likely words after the last token and before the
      first one, each with its "word" and "probability", sentence marks included.

    Registered as a `Predictor` with name "elmo_language_model".

    # Parameters

    num_words : `int`
        The length of "next_words" and of "previous_words".

    # Raises

    `ConfigurationError` for another model or reader, and for an invalid input.
    """

    def __init__(self, model: Model, dataset_reader: DatasetReader, num_words: int = 10) -> None:
        super().__init__(model, dataset_reader)
        if not isinstance(model, ElmoLanguageModel) or not isinstance(dataset_reader, CorpusReader):
            raise ConfigurationError(
                "The predictor elmo_language_model needs the model elmo_language_model and the "
                "reader elmo_corpus; found "
                f"{type(model).__name__} and {type(dataset_reader).__name__}"
            )
        if num_words < 1:
            raise ConfigurationError(f"num_words must be 1 or more; found {num_words}")
        self._language_model = model
        self._num_words = num_words

    def load_line(self, line: str) -> JsonDict:
        """Returns the JSON object of a line that begins with a brace, else its text."""
        return parse_line(line)

    def predict_instance(self, instance: Instance) -> JsonDict:
        """Returns the prediction for one instance."""
        return self.predict_batch_instance([instance])[0]

    def predict_batch_instance(self, instances: list[Instance]) -> list[JsonDict]:
        """Returns the predictions for instances."""
        model = self._language_model
        for instance in instances:
            self._dataset_reader.apply_token_indexers(instance)
        batch = Batch(instances)
        batch.index_instances(model.vocab)
        tensors: Any = move_to_device(batch.as_tensor_dict(), next(model.parameters()).device)
        with torch.no_grad():
            # (batch, time, 2), in bits
            surprisals = model(**tensors)["token_losses"] / math.log(2.0)
            # (2, batch, num_words)
            probabilities = model.next_words(tensors["inputs"], tensors["backward_inputs"]).exp()
        top = probabilities.topk(min(self._num_words, probabilities.size(-1)))
        return [
            {
                **self._tokens(instance, surprisals[row]),
                "next_words": self._words(top.values[0, row], top.indices[0, row]),
                "previous_words": self._words(top.values[1, row], top.indices[1, row]),
            }
            for row, instance in enumerate(instances)
        ]

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(text_of(json_dict))

    def _tokens(self, instance: Instance, surprisals: torch.Tensor) -> JsonDict:
        # the words, then the sentence's end
        words: Any = [token.text for token in instance["targets"][:-1]]  # type: ignore[index]
        model = self._language_model
        known = model.vocab.get_token_to_index_vocabulary(model.target_namespace)
        # the backward direction reads from the last word to the first
        forward, backward = (surprisals[: len(words) + 1, column].tolist() for column in (0, 1))
        tokens = [
            {"word": word, "known": word in known, "forward": after, "backward": before}
            for word, after, before in zip(words, forward, backward[-2::-1])
        ]
        return {"tokens": tokens, "sentence_end": forward[-1], "sentence_start": backward[-1]}

    def _words(self, probabilities: torch.Tensor, indices: torch.Tensor) -> list[JsonDict]:
        model = self._language_model
        return [
            {
                "word": model.vocab.get_token_from_index(index, model.target_namespace),
                "probability": probability,
            }
            for index, probability in zip(indices.tolist(), probabilities.tolist())
        ]
