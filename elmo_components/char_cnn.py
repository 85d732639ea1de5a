"""The character encoder: a word's characters to its context-independent vector."""

import math
from typing import cast

import torch
from torch import nn

from elmo_components.config import NUM_CHARACTERS, PADDING_ID, CharCnnConfig

__all__ = ["CharCnn", "Highway"]

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}

# bilm-tf starts the highways mostly closed, so that words pass through at first
CARRY_BIAS = -2.0


class CharCnn(nn.Module):
    """
    Convolutions over a word's characters, the maximum over positions, highways, a projection
    (Peters et al. 2018, section 3.4; Kim et al. 2016, equations 5 to 8):

        e = character_embedding[ids]
        w = concatenation over filters of activation(max over positions of convolution(e))
        w = highway(w), for each highway layer
        x = projection(w), which is absent where w has the wanted size already

    The maximum runs over the padding of a word too, as in the original. A word that comes several
    times in a batch is computed once.

    # Parameters

    config : `CharCnnConfig`
        The sizes.
    hidden_size : `int`
        The size of a word's vector, which is one direction's of the LSTM.
    """

    def __init__(self, config: CharCnnConfig, *, hidden_size: int) -> None:
        super().__init__()
        self.config = config
        # the mask, id 0, has a vector that no published file holds and that is not trained
        self.character_embedding = nn.Embedding(
            NUM_CHARACTERS, config.embedding_size, padding_idx=0
        )
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding_size, number, width) for width, number in config.filters
        )
        self.highways = nn.ModuleList(
            Highway(config.num_filters) for _ in range(config.num_highway_layers)
        )
        self.projection = (
            None
            if config.num_filters == hidden_size
            else nn.Linear(config.num_filters, hidden_size)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters as bilm-tf does (`bilm/training.py`)."""
        with torch.no_grad():
            nn.init.uniform_(self.character_embedding.weight, -1.0, 1.0)
            self.character_embedding.weight[0] = 0.0
        for convolution, (width, _) in zip(self.convolutions, self.config.filters):
            weight = convolution.get_parameter("weight")
            if self.config.activation == "relu":
                nn.init.uniform_(weight, -0.05, 0.05)
            else:
                fan_in = width * self.config.embedding_size
                nn.init.normal_(weight, std=1.0 / math.sqrt(fan_in))
            nn.init.zeros_(convolution.get_parameter("bias"))
        for highway in self.highways:
            cast(Highway, highway).reset_parameters()
        if self.projection is not None:
            nn.init.normal_(
                self.projection.weight, std=1.0 / math.sqrt(self.projection.in_features)
            )
            nn.init.zeros_(self.projection.bias)

    def forward(self, character_ids: torch.Tensor) -> torch.Tensor:
        """
        # Parameters

        character_ids : `torch.Tensor`
            int64, of shape (..., characters), from 0 to 261.

        # Returns

        `torch.Tensor`
            Of shape (..., hidden_size).
        """
        *leading, characters = character_ids.shape
        # (words, characters), where words are the different ones; (tokens,)
        ids, places = torch.unique(
            character_ids.reshape(-1, characters), dim=0, return_inverse=True
        )
        ids = self._without_needless_padding(ids)
        # (words, embedding_size, characters)
        embedded = self.character_embedding(ids).transpose(1, 2)
        activation = _ACTIVATIONS[self.config.activation]
        # (words, num_filters)
        words = torch.cat(
            [activation(convolution(embedded).amax(-1)) for convolution in self.convolutions],
            dim=-1,
        )
        for highway in self.highways:
            words = highway(words)
        if self.projection is not None:
            # (words, hidden_size)
            words = self.projection(words)
        return words[places].reshape(*leading, words.size(-1))

    def _without_needless_padding(self, ids: torch.Tensor) -> torch.Tensor:
        """Cuts words where every filter has seen one window of padding: all others are the same."""
        widest = max(width for width, _ in self.config.filters)
        used = ((ids != PADDING_ID) & (ids != 0)).any(dim=0)
        longest = int(used.nonzero().max()) + 1 if used.any() else 0
        return ids[:, : longest + widest]


class Highway(nn.Module):
    """
    A highway layer (Srivastava et al. 2015) with the gate's sign as in bilm-tf:

        g = sigmoid(carry(x))
        y = g * relu(transform(x)) + (1 - g) * x

    # Parameters

    size : `int`
        The size of its input and output.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.carry = nn.Linear(size, size)
        self.transform = nn.Linear(size, size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters as bilm-tf does (`bilm/training.py`)."""
        for layer, bias in ((self.carry, CARRY_BIAS), (self.transform, 0.0)):
            nn.init.normal_(layer.weight, std=1.0 / math.sqrt(layer.in_features))
            nn.init.constant_(layer.bias, bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the layer's output, of the same shape as `inputs`: (..., size)."""
        gate = torch.sigmoid(self.carry(inputs))
        return gate * torch.relu(self.transform(inputs)) + (1.0 - gate) * inputs
