"""The `TokenEmbedder` of a lexicon's marks."""

import torch
from allennlp.data import Vocabulary
from allennlp.modules.token_embedders import TokenEmbedder
from torch import nn

from elmo_components.registered.token_indexers.lexicon import NAMESPACE, lexicon_types

__all__ = ["LexiconEmbedder"]


@TokenEmbedder.register("elmo_lexicon")
class LexiconEmbedder(TokenEmbedder):
    """
    The sum of trained vectors of a token's marks: one for the first token of a phrase of each type,
    and one for the tokens after it. A token outside all phrases has the vector 0. The indexer must
    be "elmo_lexicon".

    Registered as a `TokenEmbedder` with name "elmo_lexicon".

    # Parameters

    vocab : `Vocabulary`
        Has the lexicon, see `LexiconIndexer`.
    embedding_dim : `int`
        The size of the vectors.
    namespace : `str`
        The indexer's namespace.

    # Raises

    `ConfigurationError` for a vocabulary without a lexicon.
    """

    def __init__(
        self, vocab: Vocabulary, embedding_dim: int = 32, namespace: str = NAMESPACE
    ) -> None:
        super().__init__()
        self._marks = nn.Linear(2 * len(lexicon_types(vocab, namespace)), embedding_dim, bias=False)
        nn.init.normal_(self._marks.weight)

    def get_output_dim(self) -> int:
        """Returns the size of the vectors."""
        return self._marks.out_features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """
        # Parameters

        features : `torch.Tensor`
            float32, (batch, time, 2 * types + 1): the indexer's marks, and 1 for each token.

        # Returns

        `torch.Tensor`
            (batch, time, embedding_dim).
        """
        return self._marks(features[..., :-1])
