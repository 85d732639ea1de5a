"""A `Constraint` that limits beam search to words."""

from typing import Optional

import torch
from allennlp.common.util import START_SYMBOL
from allennlp.data import Vocabulary
from allennlp.nn.beam_search import Constraint
from allennlp.nn.util import min_value_of_dtype

__all__ = ["KnownWords"]


@Constraint.register("elmo_known_words")
class KnownWords(Constraint):
    """
    Bans the tokens of padding, of an unknown word and of the start from a beam.

    Registered as a `Constraint` with name "elmo_known_words".

    # Parameters

    namespace : `str`
        The vocabulary's namespace of the output.
    """

    def __init__(
        self, vocab: Optional[Vocabulary] = None, namespace: str = "target_tokens"
    ) -> None:
        super().__init__(vocab)
        assert vocab is not None, "BeamSearch gives a constraint the vocabulary"
        known = vocab.get_token_to_index_vocabulary(namespace)
        not_words = (vocab._padding_token, vocab._oov_token, START_SYMBOL)
        self._banned = [known[token] for token in not_words if token in known]

    def init_state(self, batch_size: int) -> list:
        """Returns an empty state: the banned tokens are always the same."""
        return []

    def apply(self, state: list, class_log_probabilities: torch.Tensor) -> torch.Tensor:
        """
        # Parameters

        class_log_probabilities : `torch.Tensor`
            (batch, beam, words)

        # Returns

        `torch.Tensor`
            The same, with the dtype's minimum for banned tokens.
        """
        least = min_value_of_dtype(class_log_probabilities.dtype)
        class_log_probabilities[..., self._banned] = least
        return class_log_probabilities

    def update_state(
        self,
        state: list,
        last_prediction: torch.Tensor,
        last_backpointer: Optional[torch.Tensor] = None,
    ) -> list:
        """Returns the state unchanged."""
        return state
