"""Words to character ids: the UTF-8 byte scheme of bilm-tf, and of every ELMo in English."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Optional

import numpy
import torch

from elmo_components.config import MAX_CHARACTERS

__all__ = ["BOS_IDS", "EOS_IDS", "CharacterMapper"]

# As bilm-tf numbers them; every id is one higher in what this module returns, 0 being the mask.
BEGIN_SENTENCE = 256
END_SENTENCE = 257
BEGIN_WORD = 258
END_WORD = 259
PADDING = 260

BOS_TOKEN = "<S>"
EOS_TOKEN = "</S>"

# Words come again: the last 65,536 are kept, in about 45 MB at most.
CACHE_SIZE = 1 << 16


def _frame(characters: Iterable[int]) -> numpy.ndarray:
    framed = [BEGIN_WORD, *characters, END_WORD]
    # (characters,)
    ids = numpy.full(MAX_CHARACTERS, PADDING + 1, dtype=numpy.int64)
    ids[: len(framed)] = framed
    ids[: len(framed)] += 1
    # a word's ids are shared by all its tokens
    ids.setflags(write=False)
    return ids


BOS_IDS = _frame([BEGIN_SENTENCE])
EOS_IDS = _frame([END_SENTENCE])


class CharacterMapper:
    """
    Maps words to character ids, as the published models were trained on them.

    A word is its UTF-8 bytes between a begin-word and an end-word mark, padded to 50 ids: its
    first 48 bytes count, a cut may fall within a character, and what UTF-8 cannot encode (lone
    surrogates) is left out. "<S>" and "</S>" stand for the sentence marks. All ids are one higher
    than the bytes, so that 0 can be the mask (bilm-tf, `bilm/data.py`; 1 to 262 in all).

    # Parameters

    tokens_to_add : `Optional[Mapping[str, int]]`
        Chosen tokens and the id, before the one is added, that stands for each between the word
        marks: from 0 to 260. Ids that text does not use, 1 to 31, are best.

    # Raises

    `ValueError` when an id is out of range.
    """

    def __init__(self, *, tokens_to_add: Optional[Mapping[str, int]] = None) -> None:
        self._chosen = {BOS_TOKEN: BOS_IDS, EOS_TOKEN: EOS_IDS}
        for token, character in (tokens_to_add or {}).items():
            if not 0 <= character <= PADDING:
                raise ValueError(
                    f"The id of an added token must be from 0 to {PADDING}; "
                    f"{token!r} has {character}"
                )
            self._chosen[token] = _frame([character])

    def word_ids(self, word: str) -> numpy.ndarray:
        """Returns the ids of a word: a read-only int64 array of shape (50,)."""
        chosen = self._chosen.get(word)
        return _byte_ids(word) if chosen is None else chosen

    def batch_ids(self, sentences: Sequence[Sequence[str]]) -> torch.Tensor:
        """
        Returns the ids of sentences, padded with 0.

        # Returns

        `torch.Tensor`
            int64, of shape (batch, time, 50), where time is the longest sentence's.
        """
        time = max((len(sentence) for sentence in sentences), default=0)
        # (batch, time, characters)
        ids = numpy.zeros((len(sentences), time, MAX_CHARACTERS), dtype=numpy.int64)
        for row, sentence in zip(ids, sentences):
            for column, word in enumerate(sentence):
                row[column] = self.word_ids(word)
        return torch.from_numpy(ids)


@lru_cache(maxsize=CACHE_SIZE)
def _byte_ids(word: str) -> numpy.ndarray:
    return _frame(word.encode("utf-8", "ignore")[: MAX_CHARACTERS - 2])
