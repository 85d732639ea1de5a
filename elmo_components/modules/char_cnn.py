"""The character encoder: from a word's characters to its context-independent vector."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Optional, cast

import numpy
import torch
from torch import nn

from elmo_components.alphabet import WORD_DIGITS
from elmo_components.caching.fingerprint import frozen_weights
from elmo_components.caching.word_cache import WordCache
from elmo_components.characters import word_numbers
from elmo_components.config import CharCnnConfig
from elmo_components.kernels import (
    EncoderWeights,
    Linear,
    PackedEncoder,
    PackedWeights,
    has_encoder,
)
from elmo_components.modules.eager import eager
from elmo_components.modules.highway import Highway

__all__ = ["CACHE_SIZE", "CharCnn"]

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}

# The number of cached word vectors: 64 MB at the published size of 512.
CACHE_SIZE = 1 << 15

# The number of windows of characters per computation. On a CPU the scores of the published 2,048
# filters, 8 MB, must fit in its caches; on other devices there must be enough work.
_WINDOWS = 1024
_WINDOWS_ON_DEVICE = 1 << 15
# Above the ids of all characters; the largest digit of a word's number.
_LARGEST_ID = (1 << 15) - 1


class _Filters(nn.Conv1d):
    """A convolution that returns its parameters: `CharCnn` computes all widths at once."""

    def forward(self) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        # a call runs the hooks of `torch.nn.utils.prune` and of the older `weight_norm`
        assert self.bias is not None
        return self.weight, self.bias


class CharCnn(nn.Module):
    """
    Convolutions over a word's characters, the maximum over positions, highways, a projection.

    Peters et al. 2018, section 3.4; Kim et al. 2016, equations 5 to 8:

        e = character_embedding[ids]
        w = concatenation over filters of activation(max over positions of convolution(e))
        w = highway(w), for each highway layer
        w = concatenation of word_embedding[word] and w, with a word table
        x = projection(w), unless w has the hidden size already

    The maximum includes the padding of a word, as in the original. A word is computed once per
    batch. On a CPU, while the encoder is frozen (see `frozen_weights`), the vectors of words are
    cached across batches, and the backend `native` computes them.

    # Parameters

    config : `CharCnnConfig`
        The sizes.
    hidden_size : `int`
        The size of a word's vector and of one direction of the LSTM.
    cache_size : `int`
        The number of word vectors to cache; 0 for none. Those used last are cached.
    """

    def __init__(
        self, config: CharCnnConfig, *, hidden_size: int, cache_size: int = CACHE_SIZE
    ) -> None:
        super().__init__()
        self.config = config
        self._widest = max((width for width, _ in config.filters), default=1)
        self._cache: Optional[WordCache] = WordCache(cache_size) if cache_size else None
        self._packed = PackedWeights()
        # the vector of the mask, id 0, is in no published file and is not trained
        self.character_embedding = nn.Embedding(
            config.num_characters, config.embedding_size, padding_idx=0
        )
        self.convolutions = nn.ModuleList(
            _Filters(config.embedding_size, number, width) for width, number in config.filters
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
        """Draws new parameters as `bilm/training.py` of bilm-tf does."""
        with torch.no_grad():
            nn.init.uniform_(self.character_embedding.weight, -1.0, 1.0)
            self.character_embedding.weight[0] = 0.0
        if self.word_embedding is not None:
            # norms of about 1
            nn.init.normal_(self.word_embedding.weight, std=self.config.word_size**-0.5)
        for convolution, (width, _) in zip(self.convolutions, self.config.filters):
            weight, bias = convolution()
            if self.config.activation == "relu":
                nn.init.uniform_(weight, -0.05, 0.05)
            else:
                nn.init.normal_(weight, std=1.0 / math.sqrt(width * self.config.embedding_size))
            nn.init.zeros_(bias)
        for highway in self.highways:
            cast(Highway, highway).reset_parameters()
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=self.projection.in_features**-0.5)
            nn.init.zeros_(self.projection.bias)

    def forward(self, character_ids: torch.Tensor) -> torch.Tensor:
        """
        # Parameters

        character_ids : `torch.Tensor`
            int64, (..., characters), from 0 to `config.num_characters` - 1; with a word table the
            last two are a word's number, see `CharacterMapper`.

        # Returns

        `torch.Tensor`
            Of shape (..., hidden_size).

        # Raises

        `ValueError` for ids that are not int64, or words shorter than the widest filter.
        """
        *leading, characters = character_ids.shape or (0,)
        if character_ids.dtype != torch.int64 or characters < self._widest:
            raise ValueError(
                f"Character ids must be int64, {self._widest} or more a word; "
                f"found {character_ids.dtype}, {characters}"
            )
        vectors = self._vectors(character_ids.reshape(-1, characters))
        return vectors.reshape(*leading, vectors.size(-1))

    def clear_cache(self) -> None:
        """Empties the cache, so that no bit of later results depends on earlier calls."""
        if self._cache is not None:
            self._cache = WordCache(self._cache.size)

    @eager
    def _vectors(self, tokens: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_tracing():
            # a trace must work for other words, so nothing in it may depend on these
            return self._projected(tokens, self._filtered(tokens))
        if tokens.device.type == "cpu":
            vectors, places = self._distinct_on_cpu(tokens)
        else:
            # (words, characters), the distinct ones; (tokens,)
            words, places = torch.unique(tokens, dim=0, return_inverse=True)
            vectors = self._computed(words)
        # autocast's dtype is too inexact for the sum of a frequent word's gradients
        wide = vectors.to(self.character_embedding.weight.dtype)
        return wide[places].to(vectors.dtype)

    def _distinct_on_cpu(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the vectors of distinct words, (words, hidden_size), and each token's row."""
        characters = tokens.size(1)
        # an id out of range stays out of range, and the embedding refuses it
        rows = tokens.clamp(-1, _LARGEST_ID).to(torch.int16).contiguous().numpy()
        numbers: dict[bytes, int] = {}
        # a dict of the rows' bytes takes a third of the time of torch.unique
        places = [
            numbers.setdefault(row, len(numbers))
            for row in rows.view(f"V{rows.itemsize * characters}").ravel().tolist()
        ]

        weights = frozen_weights(self._parts())

        def compute(words: Sequence[bytes]) -> torch.Tensor:
            ids = numpy.frombuffer(b"".join(words), dtype=numpy.int16).reshape(-1, characters)
            return self._computed(torch.from_numpy(ids.astype(numpy.int64)), weights)

        words = list(numbers)
        if self._cache is None or weights is None:
            vectors = compute(words)
        else:
            vectors = self._cache.vectors(words, weights, compute)
        return vectors, torch.tensor(places, dtype=torch.int64, device=tokens.device)

    def _computed(
        self, words: torch.Tensor, weights: Optional[Sequence[torch.Tensor]] = None
    ) -> torch.Tensor:
        """
        Returns (words, hidden_size).

        # Parameters

        words : `torch.Tensor`
            (words, characters)
        weights : `Optional[Sequence[torch.Tensor]]`
            All weights if they are frozen.
        """
        if not self.config.filters:
            return self._projected(words, self._filtered(words))
        characters = self._characters(words)
        encoder = self._encoder(characters, weights)
        if encoder is not None and encoder.has_tables:
            vectors = encoder.vectors(characters)
        else:
            weight, bias = self._filter_parameters()
            maxima = self._all_maxima(characters, weight)
            if encoder is None:
                return self._projected(words, self._transformed(maxima + bias))
            vectors = encoder.vectors_of_maxima(maxima)
        # with a word table they are not projected yet
        return vectors if self.word_embedding is None else self._projected(words, vectors)

    def _encoder(
        self, characters: torch.Tensor, weights: Optional[Sequence[torch.Tensor]]
    ) -> Optional[PackedEncoder]:
        """Returns the packed encoder if it can compute the words of (words, characters) ids."""
        if weights is None or not has_encoder() or not all(map(_is_known, self._parts())):
            return None
        if any(weight.dtype != torch.float32 or weight.device.type != "cpu" for weight in weights):
            return None
        # the embedding refuses other ids
        if len(characters) and not (
            0 <= characters.min() <= characters.max() < self.config.num_characters
        ):
            return None
        return self._packed.get("encoder", weights, lambda: PackedEncoder(self._weights()))

    def _parts(self) -> list[nn.Module]:
        # this module has no parameter of its own, and its own hooks run after `forward`
        return list(self.modules())[1:]

    def _weights(self) -> EncoderWeights:
        # a word's own vector is projected together with its features
        projection = self.projection if self.word_embedding is None else None
        return EncoderWeights(
            self.character_embedding.weight,
            [convolution() for convolution in self.convolutions],
            [cast(Highway, highway).linears() for highway in self.highways],
            None if projection is None else Linear(projection.weight, projection.bias),
            self.config.activation,
        )

    def _all_maxima(self, words: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Computes words of similar length together and returns (words, num_filters)."""
        # all windows that have only padding are equal, so one is enough
        filling = words == words[:, -1:]
        # (words,)
        lengths = words.size(1) - filling.flip(1).long().cumprod(dim=1).sum(dim=1)
        order = lengths.argsort()
        words = words[order]
        windows = _WINDOWS if words.device.type == "cpu" else _WINDOWS_ON_DEVICE
        maxima = [
            self._maxima(words[first:end], positions, weight)
            for first, end, positions in _groups(lengths[order].tolist(), windows)
        ]
        # (words,), each word's place in that order
        places = torch.empty_like(order)
        places[order] = torch.arange(order.numel(), device=order.device)
        return torch.cat(maxima)[places]

    def _characters(self, words: torch.Tensor) -> torch.Tensor:
        return words if self.word_embedding is None else words[:, :-WORD_DIGITS]

    def _filtered(self, words: torch.Tensor) -> torch.Tensor:
        """Returns (words, num_filters) in one computation."""
        if not self.config.filters:
            # (words, 0)
            return self.character_embedding.weight.new_empty(words.size(0), 0)
        characters = self._characters(words)
        weight, bias = self._filter_parameters()
        return self._transformed(self._maxima(characters, characters.size(1), weight) + bias)

    def _filter_parameters(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns all filters, zero-padded, (num_filters, widest * embedding_size), and biases."""
        weights, biases = zip(*(convolution() for convolution in self.convolutions))
        # (number, embedding_size, widest), each
        padded = [
            nn.functional.pad(weight, (0, self._widest - weight.size(2))) for weight in weights
        ]
        return torch.cat(padded).permute(0, 2, 1).flatten(1), torch.cat(biases)

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

    def _transformed(self, scores: torch.Tensor) -> torch.Tensor:
        """Applies the activation and the highways to scores, (words, num_filters)."""
        words = _ACTIVATIONS[self.config.activation](scores)
        for highway in self.highways:
            words = highway(words)
        return words

    def _projected(self, words: torch.Tensor, filtered: torch.Tensor) -> torch.Tensor:
        """Returns (words, hidden_size) of words' ids and features, (words, num_filters)."""
        if self.word_embedding is not None:
            # the mask has no number, and its vector is not used
            numbers = word_numbers(words).clamp(min=0)
            # (words, word_size + num_filters)
            filtered = torch.cat([self.word_embedding(numbers), filtered], dim=-1)
        # (words, hidden_size)
        return filtered if self.projection is None else self.projection(filtered)


def _is_known(module: nn.Module) -> bool:
    """Returns whether a module computes what the compiled backend does with its weights."""
    known = type(module) in (nn.Embedding, nn.Linear, nn.ModuleList, _Filters)
    has_bias = getattr(module, "bias", ...) is not None
    return (known and has_bias) or hasattr(module, "linears")


def _groups(lengths: Sequence[int], windows: int) -> Iterator[tuple[int, int, int]]:
    """
    Splits words, shortest first, into groups of at most `windows` windows, or of one word. Yields
    a group's first word, its end, and its number of positions, the first of the padding included.
    """
    first = 0
    for end, length in enumerate(lengths):
        if end > first and (end + 1 - first) * (length + 1) > windows:
            yield first, end, lengths[end - 1] + 1
            first = end
    yield first, len(lengths), lengths[-1] + 1 if lengths else 1


class _Maximum(torch.autograd.Function):
    """`amax(1)` with a faster gradient. Equal maxima share the gradient in both."""

    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor) -> torch.Tensor:
        # (words, num_filters)
        maxima = scores.amax(1)
        ctx.save_for_backward(scores, maxima)
        return maxima

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        scores, maxima = (tensor.detach() for tensor in ctx.saved_tensors)
        # (words, positions, num_filters), 1 where the maximum is
        shares = torch.empty_like(scores)
        torch.eq(scores, maxima.unsqueeze(1), out=shares)
        factors = (gradient / shares.sum(1)).unsqueeze(1)
        # out of place for a second derivative
        return shares * factors if torch.is_grad_enabled() else shares.mul_(factors)
