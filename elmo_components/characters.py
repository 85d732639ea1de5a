"""
Words to character ids: the UTF-8 byte scheme of bilm-tf, and of every ELMo in English; its
extension by an alphabet, for writing systems of many characters; and the code points of
ELMoForManyLangs.
"""

import codecs
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Callable, Optional, cast

import numpy
import torch

from elmo_components.alphabet import (
    BYTES,
    CODE_POINTS,
    MAX_CHARACTERS,
    NUM_CHARACTERS,
    UNKNOWN_WORD,
    WORD_DIGITS,
    read_alphabet,
    read_words,
)
from elmo_components.config import CharCnnConfig

__all__ = [
    "BOS_IDS",
    "EOS_IDS",
    "UNKNOWN_ID",
    "CharacterMapper",
    "join_ids",
    "sentence_marks",
    "word_numbers",
]

# As bilm-tf numbers them; every id is one higher in what this module returns, 0 being the mask.
BEGIN_SENTENCE = 256
END_SENTENCE = 257
BEGIN_WORD = 258
END_WORD = 259
PADDING = 260

BOS_TOKEN = "<S>"
EOS_TOKEN = "</S>"

# The sentence marks of a model by code points, and what stands for each other character there.
CODE_POINT_MARKS = {"<bos>": chr(BEGIN_SENTENCE + 1), "<eos>": chr(END_SENTENCE + 1)}
UNKNOWN_ID = 1

# How much of a word lies between its marks.
MAX_LENGTH = MAX_CHARACTERS - 2

# Words come again: the last 65,536 are kept, in about 30 MB at most.
CACHE_SIZE = 1 << 16

# A word's ids are kept small; in UTF-16 the code points up to 0xD7FF are such numbers themselves.
ID_TYPE = numpy.dtype("<i2")

# A word's number is written in digits that are such numbers.
WORD_BASE = 1 << 15

# The character that stands for each byte: the one whose code point is one higher.
ONE_HIGHER = "".join(chr(byte + 1) for byte in range(256))


def _frame(characters: str, *, digits: str = "") -> numpy.ndarray:
    """Returns the ids of a word whose characters, and digits, have the ids for code points."""
    word = f"{chr(BEGIN_WORD + 1)}{characters}{chr(END_WORD + 1)}"
    padded = word.ljust(MAX_CHARACTERS, chr(PADDING + 1)) + digits
    # (characters,), read-only since a word's ids are shared by all its tokens
    return numpy.frombuffer(padded.encode("utf-16-le"), dtype=ID_TYPE)


SENTENCE_MARKS = {
    BOS_TOKEN: _frame(chr(BEGIN_SENTENCE + 1)),
    EOS_TOKEN: _frame(chr(END_SENTENCE + 1)),
}
# (characters,), as the biLM takes them
BOS_IDS = SENTENCE_MARKS[BOS_TOKEN].astype(numpy.int64)
# (characters,)
EOS_IDS = SENTENCE_MARKS[EOS_TOKEN].astype(numpy.int64)


class CharacterMapper:
    """
    Maps words to character ids, as the published models were trained on them.

    A word is its UTF-8 bytes between a begin-word and an end-word mark, padded to 50 ids: its
    first 48 bytes count, a cut may fall within a character, and what UTF-8 cannot encode (lone
    surrogates) is left out. "<S>" and "</S>" stand for the sentence marks. All ids are one higher
    than the bytes, so that 0 can be the mask (bilm-tf, `bilm/data.py`; 1 to 261 in all).

    With an alphabet, each character in it has an id of its own: 262 for the first, 263 for the
    second, and so on. Any other is spelt by its bytes as before, so that none is unknown, and the
    first 48 ids of a word count.

    By code points, as in ELMoForManyLangs, a word is its first 48 characters. Those of the alphabet
    have their ids, and all others one, 1. The sentence marks are "<bos>" and "<eos>". With a word
    table, the number of the word, cut likewise, stands behind its 50 ids: its row and one, in two
    digits to the base 2^15, of which the higher comes first.

    # Parameters

    tokens_to_add : `Optional[Mapping[str, int]]`
        Chosen tokens and the id, before the one is added, that stands for each between the word
        marks: from 0 to 260. Ids that text does not use, 1 to 31, are best.
    alphabet : `str`
        The characters of an alphabet, as `read_alphabet` takes them; "" for the published scheme.
    units : `str`
        "bytes" or "code_points".
    words : `str`
        The words of a word table, as `read_words` takes them; "" for none.

    # Raises

    `ValueError` when an id is out of range, for what is no alphabet or no word table, and for
    added tokens by code points, where ids that text does not use are not known.
    """

    def __init__(
        self,
        *,
        tokens_to_add: Optional[Mapping[str, int]] = None,
        alphabet: str = "",
        units: str = BYTES,
        words: str = "",
    ) -> None:
        alphabet = read_alphabet(alphabet, units=units)
        words = read_words(words, units=units)
        self.ids_per_word = MAX_CHARACTERS + (WORD_DIGITS if words else 0)
        self._ids: Callable[[str], numpy.ndarray] = _byte_ids
        if units == CODE_POINTS:
            self._ids = _code_points(alphabet, words)
        elif alphabet:
            self._ids = partial(_alphabet_ids, alphabet)
        self._added: dict[str, numpy.ndarray] = {}
        if tokens_to_add and units == CODE_POINTS:
            raise ValueError(f"By code points no tokens may be added; found {len(tokens_to_add)}")
        for token, character in (tokens_to_add or {}).items():
            if not 0 <= character <= PADDING:
                raise ValueError(
                    f"The id of an added token must be from 0 to {PADDING}; "
                    f"{token!r} has {character}"
                )
            self._added[token] = _frame(chr(character + 1))

    @classmethod
    def of(cls, config: CharCnnConfig) -> "CharacterMapper":
        """Returns the mapper whose ids a character encoder with these numbers takes."""
        return cls(alphabet=config.alphabet, units=config.units, words=config.words)

    def word_ids(self, word: str) -> numpy.ndarray:
        """Returns the ids of a word: a read-only int16 array of shape (ids_per_word,)."""
        return self._added[word] if word in self._added else self._ids(word)

    def sentence_ids(self, words: Iterable[str]) -> list[numpy.ndarray]:
        """Returns the ids of each word; equal words share one array. `join_ids` takes them."""
        # the usual case has no Python of ours for each word
        return list(map(self.word_ids if self._added else self._ids, words))

    def batch_ids(self, sentences: Sequence[Sequence[str]]) -> torch.Tensor:
        """
        Returns the ids of sentences, padded with 0.

        # Returns

        `torch.Tensor`
            int64, of shape (batch, time, ids_per_word), where time is the longest sentence's;
            `ids_per_word` is 50, and with a word table 52.
        """
        # (batch,)
        lengths = numpy.array([len(sentence) for sentence in sentences], dtype=numpy.int64)
        time = lengths.max(initial=0)
        # (batch, time, characters)
        ids = numpy.zeros((len(sentences), time, self.ids_per_word), dtype=numpy.int64)
        # (batch, time)
        is_word = numpy.arange(time) < lengths[:, None]
        ids[is_word] = join_ids(
            self.sentence_ids(chain.from_iterable(sentences)), ids_per_word=self.ids_per_word
        )
        return torch.from_numpy(ids)


def join_ids(
    words: Sequence[numpy.ndarray], *, ids_per_word: int = MAX_CHARACTERS
) -> numpy.ndarray:
    """Returns the ids of words, of a `CharacterMapper`, as one: (words, ids_per_word), int16."""
    # several times as fast as numpy.stack; an array is a buffer, as its stubs say from Python 3.12
    joined = b"".join(cast(Sequence[bytes], words))
    return numpy.frombuffer(joined, dtype=ID_TYPE).reshape(len(words), ids_per_word)


def sentence_marks(config: CharCnnConfig) -> list[numpy.ndarray]:
    """Returns the ids of the marks before and after a sentence, as a biLM takes them: int64."""
    if config.units == BYTES:
        return [BOS_IDS, EOS_IDS]
    mapper = CharacterMapper.of(config)
    # (ids_per_word,)
    return [mapper.word_ids(mark).astype(numpy.int64) for mark in CODE_POINT_MARKS]


def word_numbers(ids: torch.Tensor) -> torch.Tensor:
    """Returns the rows of words in the word table, (...), of ids, (..., 52); -1 for a mask."""
    return ids[..., -2] * WORD_BASE + ids[..., -1] - 1


@lru_cache(maxsize=CACHE_SIZE)
def _byte_ids(word: str) -> numpy.ndarray:
    if not isinstance(word, str):
        raise TypeError(f"A word must be a string; found {word!r}")
    if word in SENTENCE_MARKS:
        return SENTENCE_MARKS[word]
    kept = word.encode("utf-8", "ignore")[:MAX_LENGTH]
    return _frame(codecs.charmap_decode(kept, "strict", ONE_HIGHER)[0])


@lru_cache(maxsize=CACHE_SIZE)
def _alphabet_ids(alphabet: str, word: str) -> numpy.ndarray:
    if not isinstance(word, str) or word in SENTENCE_MARKS:
        return _byte_ids(word)
    own = _own_ids(alphabet)
    ids: list[str] = []
    for character in word:
        if character in own:
            ids.append(own[character])
        else:
            ids += codecs.charmap_decode(character.encode("utf-8", "ignore"), "strict", ONE_HIGHER)[
                0
            ]
        if len(ids) >= MAX_LENGTH:
            break
    return _frame("".join(ids[:MAX_LENGTH]))


@lru_cache(maxsize=4)
def _own_ids(alphabet: str) -> dict[str, str]:
    """Returns the characters whose code points are the ids of an alphabet's."""
    return {character: chr(NUM_CHARACTERS + place) for place, character in enumerate(alphabet)}


class _CodePoints:
    """The ids of words by code points; made by `_code_points`, so that equal ones are one."""

    def __init__(self, alphabet: str, words: str) -> None:
        self._made_from = alphabet, words
        own = {character: NUM_CHARACTERS + place for place, character in enumerate(alphabet)}
        # str.translate asks for code points
        self._ids = _OneUnknown({ord(character): chr(number) for character, number in own.items()})
        self._rows = {word: row for row, word in enumerate(words.split("\n"))} if words else None
        self._cached = lru_cache(maxsize=CACHE_SIZE)(self._word_ids)

    def __reduce__(self) -> tuple:
        return _code_points, self._made_from

    def __call__(self, word: str) -> numpy.ndarray:
        return self._cached(word)

    def _word_ids(self, word: str) -> numpy.ndarray:
        if not isinstance(word, str):
            raise TypeError(f"A word must be a string; found {word!r}")
        kept = word[:MAX_LENGTH]
        characters = CODE_POINT_MARKS.get(kept) or kept.translate(self._ids)
        if self._rows is None:
            return _frame(characters)
        number = self._rows.get(kept, self._rows[UNKNOWN_WORD]) + 1
        return _frame(characters, digits=chr(number // WORD_BASE) + chr(number % WORD_BASE))


class _OneUnknown(dict[int, str]):
    """Of a character that is not in it, the id is `UNKNOWN_ID`."""

    def __missing__(self, key: int) -> str:
        return chr(UNKNOWN_ID)


@lru_cache(maxsize=4)
def _code_points(alphabet: str, words: str) -> _CodePoints:
    # making one of a large word table takes long, and a reader's and a model's are alike
    return _CodePoints(alphabet, words)
