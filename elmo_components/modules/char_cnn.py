"""The character encoder: a word's characters to its context-independent vector."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union, cast

import numpy
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from elmo_components.alphabet import WORD_DIGITS
from elmo_components.caching.word_cache import WordCache, is_frozen
from elmo_components.characters import word_numbers
from elmo_components.config import CharCnnConfig
from elmo_components.modules.highway import Highway

__all__ = ["CACHE_SIZE", "CharCnn"]

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}

# The number of word vectors to keep: 64 MB at the published 512 numbers a word.
CACHE_SIZE = 1 << 15

# Windows of characters computed together: on a CPU few enough for the scores of the published
# 2,048 filters, 8 MB, to stay in its caches; elsewhere enough to fill the device.
_WINDOWS = 1024
_WINDOWS_ON_DEVICE = 1 << 15
# Beyond all characters' ids, and the largest digit of a word's number.
_LARGEST_ID = (1 << 15) - 1


class CharCnn(nn.Module):
    """
    Convolutions over a word's characters, the maximum over positions, highways, a projection
    (Peters et al. 2018, section 3.4; Kim et al. 2016, equations 5 to 8):

        e = character_embedding[ids]
        w = concatenation over filters of activation(max over positions of convolution(e))
        w = highway(w), for each highway layer
        w = word_embedding[word] and w after it, with a word table
        x = projection(w), which is absent where w has the wanted size already

    The maximum runs over the padding of a word too, as in the original. A word that comes several
    times in a batch is computed once. On a CPU, while nothing here is trained (no parameter
    requires a gradient, or gradients are off), the vectors of words are kept for later batches.

    # Parameters

    config : `CharCnnConfig`
        The sizes.
    hidden_size : `int`
        The size of a word's vector, which is one direction's of the LSTM.
    cache_size : `int`
        How many words' vectors to keep at most, the last used ones; 0 for none.
    """

    def __init__(
        self, config: CharCnnConfig, *, hidden_size: int, cache_size: int = CACHE_SIZE
    ) -> None:
        super().__init__()
        self.config = config
        self._widest = max((width for width, _ in config.filters), default=1)
        self._cache: Optional[WordCache] = WordCache(cache_size) if cache_size else None
        # the mask, id 0, has a vector that no published file holds and that is not trained
        self.character_embedding = nn.Embedding(
            config.num_characters, config.embedding_size, padding_idx=0
        )
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding_size, number, width) for width, number in config.filters
        )
        self.highways = nn.ModuleList(
            Highway(config.num_filters) for _ in range(config.num_highway_layers)
        )
        self.word_embedding = (
            nn.Embedding(config.num_words, config.word_size) if config.words else None
        )
        self.projection = (
            nn.Linear(config.word_size + config.num_filters, hidden_size)
            if config.has_projection(hidden_size)
            else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters as bilm-tf does (`bilm/training.py`), which has no word table."""
        with torch.no_grad():
            nn.init.uniform_(self.character_embedding.weight, -1.0, 1.0)
            self.character_embedding.weight[0] = 0.0
        if self.word_embedding is not None:
            # of about length 1
            nn.init.normal_(self.word_embedding.weight, std=1.0 / math.sqrt(self.config.word_size))
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
            int64, of shape (..., characters), from 0 and below `config.num_characters`; with a
            word table the last two are a word's number, see `CharacterMapper`.

        # Returns

        `torch.Tensor`
            Of shape (..., hidden_size).

        # Raises

        `ValueError` for ids that are not int64, or words shorter than the widest filter.
        """
        *leading, characters = character_ids.shape
        if character_ids.dtype != torch.int64 or characters < self._widest:
            raise ValueError(
                f"Character ids must be int64, {self._widest} or more a word; "
                f"found {character_ids.dtype}, {characters}"
            )
        # (tokens, characters)
        tokens = character_ids.reshape(-1, characters)
        if torch.jit.is_tracing():
            # a trace serves other words too, so nothing in it may rest on these
            return self._projected(tokens, self._filtered(tokens)).reshape(*leading, -1)
        if tokens.device.type == "cpu":
            vectors, places = self._distinct_on_cpu(tokens)
        else:
            # (words, characters), where words are the different ones; (tokens,)
            words, places = torch.unique(tokens, dim=0, return_inverse=True)
            vectors = self._computed(words)
        # the gradients of a frequent word's many places would be lost in a sum of autocast's type
        wide = vectors.to(self.character_embedding.weight.dtype)
        # (..., hidden_size)
        return wide[places].to(vectors.dtype).reshape(*leading, vectors.size(-1))

    def save_cache(self, path: Union[str, Path]) -> None:
        """
        Writes the word vectors held at present to `path`; see `WordCache.save`.

        # Raises

        `ValueError` where `cache_size` is 0.
        """
        self._needed_cache().save(path, list(self.parameters()))

    def load_cache(self, path: Union[str, Path]) -> None:
        """
        Adds the word vectors of a file that `save_cache` wrote; see `WordCache.load`.

        # Raises

        `ValueError` where `cache_size` is 0, or the file is broken or of other weights.
        """
        self._needed_cache().load(path, list(self.parameters()))

    def clear_cache(self) -> None:
        """
        Forgets all word vectors, so that what is computed next depends, to the last bit, on no
        earlier call.
        """
        if self._cache is not None:
            self._cache = WordCache(self._cache.size)

    def _needed_cache(self) -> WordCache:
        if self._cache is None:
            raise ValueError("The character encoder has no cache: its cache_size must be above 0")
        return self._cache

    def _distinct_on_cpu(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns (words, hidden_size), of the different ones, and each token's place therein."""
        characters = tokens.size(1)
        # an id out of range stays so, for the embedding to refuse
        rows = tokens.clamp(-1, _LARGEST_ID).to(torch.int16).numpy()
        numbers: dict[bytes, int] = {}
        # a dict over rows' bytes takes a third of the time of torch.unique
        places = [
            numbers.setdefault(row, len(numbers))
            for row in rows.view(f"V{rows.itemsize * characters}").ravel().tolist()
        ]
        weights = list(self.parameters())

        def compute(words: Sequence[bytes]) -> torch.Tensor:
            ids = numpy.frombuffer(b"".join(words), dtype=numpy.int16).reshape(-1, characters)
            return self._computed(torch.from_numpy(ids.astype(numpy.int64)))

        if self._cache is not None and is_frozen(weights):
            vectors = self._cache.vectors(list(numbers), weights, compute)
        else:
            vectors = compute(list(numbers))
        return vectors, torch.tensor(places, dtype=torch.int64)

    def _computed(self, words: torch.Tensor) -> torch.Tensor:
        """Returns (words, hidden_size); words of like length are computed together."""
        if not self.config.filters:
            return self._projected(words, self._filtered(words))
        numbered, words = words, self._characters(words)
        # the last character fills up a word: past its first window all others are the same
        filling = words == words[:, -1:]
        # (words,)
        lengths = words.size(1) - filling.flip(1).long().cumprod(dim=1).sum(dim=1)
        order = lengths.argsort()
        words = words[order]
        weight = self._filter_weight()
        windows = _WINDOWS if words.device.type == "cpu" else _WINDOWS_ON_DEVICE
        maxima = [
            self._maxima(words[first:end], positions, weight)
            for first, end, positions in _groups(lengths[order].tolist(), windows)
        ]
        # (words,), each word's place in that order
        places = torch.empty_like(order)
        places[order] = torch.arange(order.numel(), device=order.device)
        return self._projected(numbered, self._from_maxima(torch.cat(maxima))[places])

    def _characters(self, words: torch.Tensor) -> torch.Tensor:
        return words if self.word_embedding is None else words[:, :-WORD_DIGITS]

    def _filtered(self, words: torch.Tensor) -> torch.Tensor:
        """Returns (words, num_filters) in one computation."""
        if not self.config.filters:
            # (words, 0)
            return self.character_embedding.weight.new_empty(words.size(0), 0)
        characters = self._characters(words)
        return self._from_maxima(
            self._maxima(characters, characters.size(1), self._filter_weight())
        )

    def _filter_weight(self) -> torch.Tensor:
        """All filters as one, 0 where they are narrower: (num_filters, widest * embedding_size)."""
        return (
            torch.cat(
                [
                    # (number, embedding_size, widest)
                    nn.functional.pad(
                        convolution.get_parameter("weight"), (0, self._widest - width)
                    )
                    for convolution, (width, _) in zip(self.convolutions, self.config.filters)
                ]
            )
            .permute(0, 2, 1)
            .flatten(1)
        )

    def _maxima(self, words: torch.Tensor, positions: int, weight: torch.Tensor) -> torch.Tensor:
        """Returns the filters' maxima over windows from the first `positions`."""
        characters = words.size(1)
        # (words, positions + widest - 1)
        words = nn.functional.pad(words, (0, self._widest - 1))[:, : positions + self._widest - 1]
        # (words, positions, widest * embedding_size)
        windows = self.character_embedding(words.unfold(1, self._widest, 1)).flatten(2)
        # (words, positions, num_filters)
        scores = windows @ weight.t()
        if words.size(1) > characters:
            widths, numbers = torch.tensor(self.config.filters, device=words.device).t()
            # (positions, num_filters)
            starts = torch.arange(positions, device=words.device).unsqueeze(1)
            outside = starts + widths.repeat_interleave(numbers) > characters
            scores = scores.masked_fill(outside, -math.inf)
        # (words, num_filters)
        return _Maximum.apply(scores)

    def _from_maxima(self, maxima: torch.Tensor) -> torch.Tensor:
        bias = torch.cat([layer.get_parameter("bias") for layer in self.convolutions])
        # (words, num_filters)
        words = _ACTIVATIONS[self.config.activation](maxima + bias)
        for highway in self.highways:
            words = highway(words)
        return words

    def _projected(self, words: torch.Tensor, filtered: torch.Tensor) -> torch.Tensor:
        """Returns (words, hidden_size) of words by their ids and what the filters give."""
        if self.word_embedding is not None:
            # the mask has no number, and its vector does not count
            numbers = word_numbers(words).clamp(min=0)
            # (words, word_size + num_filters)
            filtered = torch.cat([self.word_embedding(numbers), filtered], dim=-1)
        # (words, hidden_size)
        return filtered if self.projection is None else self.projection(filtered)


def _groups(lengths: Sequence[int], windows: int) -> Iterator[tuple[int, int, int]]:
    """
    Cuts words, shortest first, into groups of at most so many windows, or of one word. Yields a
    group's first word, its end, and the positions of its windows, the filling's first among them.
    """
    first = 0
    for end, length in enumerate(lengths):
        if end > first and (end + 1 - first) * (length + 1) > windows:
            yield first, end, lengths[end - 1] + 1
            first = end
    yield first, len(lengths), lengths[-1] + 1 if lengths else 1


class _Maximum(torch.autograd.Function):
    """`amax(1)`, whose gradient, shared by equals too, takes half the passes over memory."""

    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor) -> torch.Tensor:
        # (words, num_filters)
        maxima = scores.amax(1)
        ctx.save_for_backward(scores, maxima)
        return maxima

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        scores, maxima = ctx.saved_tensors
        # (words, positions, num_filters), 1 where the maximum is
        shares = torch.empty_like(scores)
        torch.eq(scores, maxima.unsqueeze(1), out=shares)
        return shares.mul_((gradient / shares.sum(1)).unsqueeze(1))
