"""The character-id `TokenIndexer`."""

from functools import lru_cache
from operator import attrgetter
from typing import Any, Optional

import numpy
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data.token_indexers.token_indexer import IndexedTokenList, TokenIndexer
from allennlp.data.tokenizers import Token
from allennlp.data.vocabulary import Vocabulary

from elmo_components.alphabet import BYTES, read_alphabet, read_words
from elmo_components.characters import CharacterMapper

__all__ = ["ElmoCharacterIndexer"]

OUTPUT_KEY = "elmo_tokens"
# The last 65,536 words' ids are cached, in about 35 MB at most.
CACHE_SIZE = 1 << 16

# AllenNLP's tokens and spaCy's alike
_text_of = attrgetter("text")


@TokenIndexer.register("elmo_character_ids")
class ElmoCharacterIndexer(TokenIndexer):
    """
    Maps each token to the 50 character ids that ELMo reads: 1 to 261, more with an alphabet, and 0
    for padding. With a word table two more ids follow. Tokens may be AllenNLP's or spaCy's.

    Registered as a `TokenIndexer` with name "elmo_character_ids".

    # Parameters

    tokens_to_add : `Optional[Dict[str, int]]`
        Special tokens and the id, from 0 to 260, of each. See `CharacterMapper`.
    token_min_padding_length : `int`
        See `TokenIndexer`.
    alphabet : `str`
        The biLM's `char_cnn.alphabet`: Jsonnet's `importstr` of an `alphabet.txt`, or from the
        options. It is text, not a path, so that an archive needs no other file.
    units : `str`
        The biLM's `char_cnn.units`: "bytes" or "code_points". See `CharacterMapper`.
    words : `str`
        The biLM's `char_cnn.words`, one a line; "" for none.
    """

    def __init__(
        self,
        tokens_to_add: Optional[dict[str, int]] = None,
        token_min_padding_length: int = 0,
        alphabet: str = "",
        units: str = BYTES,
        words: str = "",
    ) -> None:
        super().__init__(token_min_padding_length)
        try:
            self._mapper = CharacterMapper(
                tokens_to_add=tokens_to_add, alphabet=alphabet, units=units, words=words
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        self._tokens_to_add = tokens_to_add
        self._scheme = units, read_alphabet(alphabet, units=units), read_words(words, units=units)
        self._cached_ids = lru_cache(maxsize=CACHE_SIZE)(self._word_ids)

    def count_vocab_items(self, token: Token, counter: dict[str, dict[str, int]]) -> None:
        """Counts nothing: character ids need no vocabulary."""

    def get_empty_token_list(self) -> IndexedTokenList:
        """Returns the indices of no tokens."""
        return {OUTPUT_KEY: []}

    def tokens_to_indices(self, tokens: list[Token], vocabulary: Vocabulary) -> IndexedTokenList:
        """
        Returns, under "elmo_tokens", an int64 array of shape (50,), with a word table (52,), for
        each token. Equal tokens share one, which is read-only.
        """
        return {OUTPUT_KEY: list(map(self._cached_ids, map(_text_of, tokens)))}

    def as_padded_tensor_dict(
        self, tokens: IndexedTokenList, padding_lengths: dict[str, int]
    ) -> dict[str, torch.Tensor]:
        """Returns, under "elmo_tokens", an int64 tensor of shape (padding length, 50), or 52."""
        length = padding_lengths[OUTPUT_KEY]
        # (time, characters)
        ids = numpy.zeros((length, self._mapper.ids_per_word), dtype=numpy.int64)
        for row, word_ids in zip(ids, tokens[OUTPUT_KEY]):
            row[:] = word_ids
        return {OUTPUT_KEY: torch.from_numpy(ids)}

    def _word_ids(self, word: str) -> numpy.ndarray:
        # (characters,)
        ids = self._mapper.word_ids(word).astype(numpy.int64)
        ids.flags.writeable = False
        return ids

    def __getstate__(self) -> dict[str, Any]:
        # another process has a cache of its own
        return {name: value for name, value in vars(self).items() if name != "_cached_ids"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._cached_ids = lru_cache(maxsize=CACHE_SIZE)(self._word_ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ElmoCharacterIndexer):
            return NotImplemented
        return (self._tokens_to_add, self._token_min_padding_length, self._scheme) == (
            other._tokens_to_add,
            other._token_min_padding_length,
            other._scheme,
        )
