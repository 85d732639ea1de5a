"""The character-id `TokenIndexer`."""

from operator import attrgetter
from typing import Any, Optional, cast

import numpy
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data.token_indexers.token_indexer import IndexedTokenList, TokenIndexer
from allennlp.data.tokenizers import Token
from allennlp.data.vocabulary import Vocabulary

from elmo_components.alphabet import BYTES, read_alphabet, read_words
from elmo_components.characters import CharacterMapper, WordIds

__all__ = ["ElmoCharacterIndexer"]

OUTPUT_KEY = "elmo_tokens"

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

    def count_vocab_items(self, token: Token, counter: dict[str, dict[str, int]]) -> None:
        """Counts nothing: character ids need no vocabulary."""

    def get_empty_token_list(self) -> IndexedTokenList:
        """Returns the indices of no tokens."""
        return _indices(WordIds([]))

    def tokens_to_indices(self, tokens: list[Token], vocabulary: Vocabulary) -> IndexedTokenList:
        """
        Returns, under "elmo_tokens", a sequence with an int64 array of shape (50,), with a word
        table (52,), for each token. See `WordIds`.
        """
        return _indices(self._mapper.sentence_ids(map(_text_of, tokens)))

    def as_padded_tensor_dict(
        self, tokens: IndexedTokenList, padding_lengths: dict[str, int]
    ) -> dict[str, torch.Tensor]:
        """Returns, under "elmo_tokens", an int64 tensor of shape (padding length, 50), or 52."""
        words = cast(WordIds, tokens[OUTPUT_KEY])
        # (time, characters)
        ids = words.joined(self._mapper.ids_per_word, length=padding_lengths[OUTPUT_KEY])
        return {OUTPUT_KEY: torch.from_numpy(ids.astype(numpy.int64))}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ElmoCharacterIndexer):
            return NotImplemented
        return (self._tokens_to_add, self._token_min_padding_length, self._scheme) == (
            other._tokens_to_add,
            other._token_min_padding_length,
            other._scheme,
        )


def _indices(ids: WordIds) -> IndexedTokenList:
    # AllenNLP's type says list, but any sequence will do
    return {OUTPUT_KEY: cast(list[Any], ids)}
