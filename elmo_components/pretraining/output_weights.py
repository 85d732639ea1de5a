"""The word vectors and biases of a softmax: trained ones, or the character encoder's."""

import math
from typing import Optional

import torch
from torch import nn

from elmo_components.modules.char_cnn import CharCnn

__all__ = ["OwnWeights", "TiedWeights"]


class OwnWeights(nn.Module):
    """
    A vector and a bias for each word, as in bilm-tf (`bilm/training.py`): `weight` (num_words,
    hidden_size) and `bias` (num_words,).

    # Parameters

    num_words : `int`
        The size of the vocabulary.
    hidden_size : `int`
        The size of a word's vector.
    sparse : `bool`
        Whether `weight` has sparse gradients, with rows only for the words of a step. The optimizer
        must support them.
    """

    def __init__(self, num_words: int, hidden_size: int, *, sparse: bool = False) -> None:
        super().__init__()
        self._sparse = sparse
        self.weight = nn.Parameter(torch.empty(num_words, hidden_size))
        self.bias = nn.Parameter(torch.empty(num_words))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters as bilm-tf does."""
        nn.init.normal_(self.weight, std=1.0 / math.sqrt(self.weight.size(1)))
        nn.init.zeros_(self.bias)

    def forward(self, words: Optional[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns vectors (words, hidden_size) and biases (words,); of all words for `None`."""
        if words is None:
            return self.weight, self.bias
        return nn.functional.embedding(words, self.weight, sparse=self._sparse), self.bias[words]


class TiedWeights(nn.Module):
    """
    Word vectors from the character encoder, which the biLM's input shares (Press and Wolf 2017;
    Jozefowicz et al. 2016, section 3.3, without their correction). Only `bias`, (num_words,), is
    its own.

    # Parameters

    char_cnn : `CharCnn`
        The biLM's character encoder.
    character_ids : `torch.Tensor`
        int64, (num_words, characters), of each word of the vocabulary.
    """

    def __init__(self, char_cnn: CharCnn, character_ids: torch.Tensor) -> None:
        super().__init__()
        # A tuple hides the module, whose parameters are the biLM's. A copy of the whole model has
        # the copied one.
        self._char_cnn = (char_cnn,)
        # no buffer: to_empty() would lose it, and no checkpoint restores it
        self.character_ids = character_ids
        self.bias = nn.Parameter(torch.zeros(len(character_ids)))

    def forward(self, words: Optional[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """See `OwnWeights.forward`."""
        (char_cnn,) = self._char_cnn
        self.character_ids = self.character_ids.to(self.bias.device)
        if words is None:
            return char_cnn(self.character_ids), self.bias
        return char_cnn(self.character_ids[words]), self.bias[words]
