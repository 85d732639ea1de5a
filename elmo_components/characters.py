"""Words to character ids: bilm-tf's UTF-8 bytes, with or without an alphabet, or code points."""

import codecs
from collections.abc import Iterable, Mapping, Sequence, Sized
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
    shown,
)
from elmo_components.config import CharCnnConfig

__all__ = ["CharacterMapper", "check_tokens", "join_ids", "sentence_marks", "word_numbers"]

# bilm-tf's numbers. All ids that this module returns are one higher, so that 0 can be the mask.
BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PADDING = range(256, 261)

BOS_TOKEN, EOS_TOKEN = "<S>", "</S>"

# With code points: the sentence marks, and the id of a character that is not in the alphabet.
CODE_POINT_MARKS = {"<bos>": chr(BEGIN_SENTENCE + 1), "<eos>": chr(END_SENTENCE + 1)}
UNKNOWN_ID = 1

# The number of ids between the begin-word and the end-word mark.
MAX_LENGTH = MAX_CHARACTERS - 2
# The number of words whose ids are cached, in at most about 30 MB.
CACHE_SIZE = 1 << 16
# UTF-16 encodes the code points up to 0xD7FF as these integers.
ID_TYPE = numpy.dtype("<i2")
# The base of the digits of a word's number.
WORD_BASE = 1 << 15
# For each byte the character whose code point is the byte's id.
ONE_HIGHER = "".join(chr(byte + 1) for byte in range(256))


def _frame(characters: str, *, digits: str = "") -> numpy.ndarray:
    """Returns the ids of a word. `characters` and `digits` have ids as code points."""
    word = f"{chr(BEGIN_WORD + 1)}{characters}{chr(END_WORD + 1)}"
    padded = word.ljust(MAX_CHARACTERS, chr(PADDING + 1)) + digits
    # (characters,), read-only because all tokens of a word share it
    return numpy.frombuffer(padded.encode("utf-16-le"), dtype=ID_TYPE)


SENTENCE_MARKS = {
    BOS_TOKEN: _frame(chr(BEGIN_SENTENCE + 1)),
    EOS_TOKEN: _frame(chr(END_SENTENCE + 1)),
}


class CharacterMapper:
    """
    Maps words to character ids, as the published models were trained on them.

    A word is its UTF-8 bytes between a begin-word and an end-word mark, padded to 50 ids. Only its
    first 48 bytes are used, even if that cuts a character, and lone surrogates are ignored. "<S>"
    and "</S>" are the sentence marks. All ids are one higher than the bytes, so that 0 can be the
    mask (bilm-tf, `bilm/data.py`; 1 to 261 in all).

    >>> CharacterMapper().word_ids("cab")[:7].tolist()
    [259, 100, 98, 99, 260, 261, 261]

    With an alphabet, each of its characters has its own id: 262, 263, and so on. Any other
    character is spelt by its bytes as above, so that none is unknown. Only the first 48 ids are
    used.

    With code points, as in ELMoForManyLangs, a word is its first 48 characters. Those of the
    alphabet have their own ids, and all others the id 1. The sentence marks are "<bos>" and
    "<eos>". With a word table, two ids follow: the row of the word's first 48 characters plus one,
    in base 2^15, the higher digit first.

    # Parameters

    tokens_to_add : `Optional[Mapping[str, int]]`
        Tokens with a single id between their word marks, as in AllenNLP's indexer: the id minus
        one, from 0 to 260. The numbers 1 to 31 are best: text does not use them.
    alphabet : `str`
        The characters of an alphabet, as `read_alphabet` takes them; "" for the published scheme.
    units : `str`
        "bytes" or "code_points".
    words : `str`
        The words of a word table, as `read_words` takes them; "" for none.

    # Raises

    `ValueError` for an id out of range, for a bad alphabet or word table, and for `tokens_to_add`
    with code points, where no id is known to be unused.
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
            raise ValueError("tokens_to_add must be empty with code points. Remove it")
        for token, character in (tokens_to_add or {}).items():
            if not 0 <= character <= PADDING:
                raise ValueError(
                    f"The ids of tokens_to_add must be from 0 to {PADDING}; "
                    f"{token!r} has {character}"
                )
            self._added[token] = _frame(chr(character + 1))

    @classmethod
    def of(
        cls, config: CharCnnConfig, *, tokens_to_add: Optional[Mapping[str, int]] = None
    ) -> "CharacterMapper":
        """Returns the mapper for a configuration."""
        texts = {"alphabet": config.alphabet, "units": config.units, "words": config.words}
        return cls(tokens_to_add=tokens_to_add, **texts)

    def word_ids(self, word: str) -> numpy.ndarray:
        """Returns the ids of a word: a read-only int16 array of shape (ids_per_word,)."""
        return self._added[word] if word in self._added else self._ids(word)

    def sentence_ids(self, words: Iterable[str]) -> list[numpy.ndarray]:
        """Returns the ids of each word, for `join_ids`. Equal words share one array."""
        # without tokens_to_add, no Python runs per word
        return list(map(self.word_ids if self._added else self._ids, words))

    def batch_ids(self, sentences: Sequence[Sequence[str]]) -> torch.Tensor:
        """
        Returns the ids of sentences, padded with 0.

        >>> CharacterMapper().batch_ids([["The", "bank"], ["Banks"]]).shape
        torch.Size([2, 2, 50])

        # Returns

        `torch.Tensor`
            int64, (batch, time, ids_per_word); `ids_per_word` is 50, and with a word table 52.

        # Raises

        `TypeError` for a token that is not a string.
        """
        # (batch,)
        lengths = numpy.array([len(sentence) for sentence in sentences], dtype=numpy.int64)
        time = lengths.max(initial=0)
        # (batch, time, characters)
        ids = numpy.zeros((len(sentences), time, self.ids_per_word), dtype=numpy.int64)
        # (batch, time)
        is_word = numpy.arange(time) < lengths[:, None]
        try:
            words = self.sentence_ids(chain.from_iterable(sentences))
        except TypeError:
            for number, sentence in enumerate(sentences):
                check_tokens(sentence, f"sentences[{number}]")
            raise
        ids[is_word] = join_ids(words, ids_per_word=self.ids_per_word)
        return torch.from_numpy(ids)


def check_tokens(sentence: Sequence[str], name: str) -> None:
    """Raises a `TypeError` about `name` if the sentence is not a sequence of strings."""
    if isinstance(sentence, str):
        raise TypeError(f"{name} must be a sequence of tokens; found a string: split it")
    if not isinstance(sentence, Sized):
        raise TypeError(f"{name} must be a sequence of tokens; found {type(sentence).__name__}")
    for token in sentence:
        if not isinstance(token, str):
            advice = ": pass its text" if hasattr(token, "text") else ""
            raise TypeError(
                f"The tokens of {name} must be strings; found {type(token).__name__} "
                f"{shown(token)}{advice}"
            )


def join_ids(
    words: Sequence[numpy.ndarray], *, ids_per_word: int = MAX_CHARACTERS
) -> numpy.ndarray:
    """Returns the ids of words in one array: (words, ids_per_word), int16."""
    # several times as fast as numpy.stack; the cast is for type stubs before Python 3.12
    joined = b"".join(cast(Sequence[bytes], words))
    return numpy.frombuffer(joined, dtype=ID_TYPE).reshape(len(words), ids_per_word)


def sentence_marks(config: CharCnnConfig) -> list[numpy.ndarray]:
    """Returns the ids of the marks before and after a sentence: int64, (ids_per_word,) each."""
    mapper = CharacterMapper.of(config)
    marks = SENTENCE_MARKS if config.units == BYTES else CODE_POINT_MARKS
    # (ids_per_word,)
    return [mapper.word_ids(mark).astype(numpy.int64) for mark in marks]


def word_numbers(ids: torch.Tensor) -> torch.Tensor:
    """Returns the rows of words in the word table, (...), from ids, (..., 52); -1 for the mask."""
    return ids[..., -2] * WORD_BASE + ids[..., -1] - 1


@lru_cache(maxsize=CACHE_SIZE)
def _byte_ids(word: str) -> numpy.ndarray:
    if not isinstance(word, str):
        raise TypeError(f"A word must be a string; found {word!r}")
    if word in SENTENCE_MARKS:
        return SENTENCE_MARKS[word]
    return _frame(_spell(word.encode("utf-8", "ignore")[:MAX_LENGTH]))


def _spell(data: bytes) -> str:
    return codecs.charmap_decode(data, "strict", ONE_HIGHER)[0]


@lru_cache(maxsize=CACHE_SIZE)
def _alphabet_ids(alphabet: str, word: str) -> numpy.ndarray:
    if not isinstance(word, str) or word in SENTENCE_MARKS:
        return _byte_ids(word)
    return _frame(word.translate(_own_ids(alphabet))[:MAX_LENGTH])


class _OwnIds(dict[int, str]):
    """Translates an alphabet's characters to their ids and others to their bytes' ids."""

    def __init__(self, alphabet: str) -> None:
        super().__init__(
            (ord(character), chr(NUM_CHARACTERS + place))
            for place, character in enumerate(alphabet)
        )

    def __missing__(self, code_point: int) -> str:
        return _spell(chr(code_point).encode("utf-8", "ignore"))


_own_ids = lru_cache(maxsize=4)(_OwnIds)


class _OneUnknown(_OwnIds):
    """Translates an alphabet's characters to their ids and others to `UNKNOWN_ID`."""

    def __missing__(self, code_point: int) -> str:
        return chr(UNKNOWN_ID)


class _CodePoints:
    """The ids of words by code points. Use `_code_points`, which shares equal ones."""

    def __init__(self, alphabet: str, words: str) -> None:
        self._made_from = alphabet, words
        self._ids = _OneUnknown(alphabet)
        self._rows = {word: row for row, word in enumerate(words.split("\n"))} if words else None
        self._cached = lru_cache(maxsize=CACHE_SIZE)(self._word_ids)

    def __reduce__(self) -> tuple:
        return _code_points, self._made_from

    def __call__(self, word: str) -> numpy.ndarray:
        return self._cached(word)

    def _word_ids(self, word: str) -> numpy.ndarray:
        if not isinstance(word, str):
            raise TypeError(f"A word must be a string; found {word!r}")
        word = word[:MAX_LENGTH]
        characters = CODE_POINT_MARKS.get(word) or word.translate(self._ids)
        if self._rows is None:
            return _frame(characters)
        number = self._rows.get(word, self._rows[UNKNOWN_WORD]) + 1
        return _frame(characters, digits=chr(number // WORD_BASE) + chr(number % WORD_BASE))


@lru_cache(maxsize=4)
def _code_points(alphabet: str, words: str) -> _CodePoints:
    # a large word table takes long to build; a reader and its model share it
    return _CodePoints(alphabet, words)
