"""Words to character ids: bilm-tf's UTF-8 bytes, with or without an alphabet, or code points."""

import codecs
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from functools import lru_cache
from itertools import chain
from typing import Any, Optional, Union, overload

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

__all__ = ["CharacterMapper", "WordIds", "check_tokens", "sentence_marks", "word_numbers"]

# bilm-tf's numbers. All ids that this module returns are one higher, so that 0 can be the mask.
BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PADDING = range(256, 261)

BOS_TOKEN, EOS_TOKEN = "<S>", "</S>"

# With code points: the sentence marks, and the id of a character that is not in the alphabet.
CODE_POINT_MARKS = {"<bos>": chr(BEGIN_SENTENCE + 1), "<eos>": chr(END_SENTENCE + 1)}
UNKNOWN_ID = 1

# The number of ids between the begin-word and the end-word mark.
MAX_LENGTH = MAX_CHARACTERS - 2
# The number of words whose ids are cached, in about 20 MB.
CACHE_SIZE = 1 << 16
# UTF-16 encodes the code points up to 0xD7FF as these integers.
ID_TYPE = numpy.dtype("<i2")
# The base of the digits of a word's number.
WORD_BASE = 1 << 15
# For each byte the character whose code point is the byte's id.
ONE_HIGHER = "".join(chr(byte + 1) for byte in range(256))

# What begins a word, and for each number of characters what ends it, as code points.
BEGIN = chr(BEGIN_WORD + 1)
ENDS = [chr(END_WORD + 1) + chr(PADDING + 1) * (MAX_LENGTH - n) for n in range(MAX_LENGTH + 1)]


def _frame(characters: str) -> str:
    """Returns the ids of a word as code points; `characters` are such ids too."""
    return BEGIN + characters + ENDS[len(characters)]


SENTENCE_MARKS = {
    BOS_TOKEN: _frame(chr(BEGIN_SENTENCE + 1)),
    EOS_TOKEN: _frame(chr(END_SENTENCE + 1)),
}


def _as_ids(spelling: str) -> numpy.ndarray:
    # (characters,), read-only
    return numpy.frombuffer(spelling.encode("utf-16-le"), dtype=ID_TYPE)


class WordIds(Sequence[numpy.ndarray]):
    """
    The ids of a sentence's words: a sequence of int64 arrays, (ids_per_word,), made when read.

    Equal words share their memory here.

    # Parameters

    spellings : `list[str]`
        Each word's ids as code points.
    """

    __slots__ = ("_spellings",)

    def __init__(self, spellings: list[str]) -> None:
        self._spellings = spellings

    def __len__(self) -> int:
        return len(self._spellings)

    @overload
    def __getitem__(self, place: int) -> numpy.ndarray: ...
    @overload
    def __getitem__(self, place: slice) -> "WordIds": ...

    def __getitem__(self, place: Union[int, slice]) -> Union[numpy.ndarray, "WordIds"]:
        if isinstance(place, slice):
            return WordIds(self._spellings[place])
        return _as_ids(self._spellings[place]).astype(numpy.int64)

    def joined(self, ids_per_word: int, *, length: Optional[int] = None) -> numpy.ndarray:
        """
        Returns the ids in one array: int16, (words, ids_per_word).

        # Parameters

        length : `Optional[int]`
            The number of rows: that many words at most, and rows of 0 after them. `None` for all.
        """
        # one string for all words is several times as fast as an array for each
        data = "".join(self._spellings[:length]).encode("utf-16-le")
        if length is not None:
            data = data.ljust(length * ids_per_word * ID_TYPE.itemsize, b"\0")
        # (words, ids_per_word)
        return numpy.frombuffer(data, dtype=ID_TYPE).reshape(-1, ids_per_word)


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
        if tokens_to_add and units == CODE_POINTS:
            raise ValueError("tokens_to_add must be empty with code points. Remove it")
        for token, character in (tokens_to_add or {}).items():
            if not 0 <= character <= PADDING:
                raise ValueError(
                    f"The ids of tokens_to_add must be from 0 to {PADDING}; "
                    f"{token!r} has {character}"
                )
        added = tuple((tokens_to_add or {}).items())
        self._spellings = _spellings(alphabet, units, words, added)

    @classmethod
    def of(
        cls, config: CharCnnConfig, *, tokens_to_add: Optional[Mapping[str, int]] = None
    ) -> "CharacterMapper":
        """Returns the mapper for a configuration."""
        texts = {"alphabet": config.alphabet, "units": config.units, "words": config.words}
        return cls(tokens_to_add=tokens_to_add, **texts)

    def word_ids(self, word: str) -> numpy.ndarray:
        """Returns the ids of a word: a read-only int16 array of shape (ids_per_word,)."""
        return _as_ids(self._spellings[word])

    def sentence_ids(self, words: Iterable[str]) -> WordIds:
        """
        Returns the ids of each word.

        # Raises

        `TypeError` for a word that is not a string.
        """
        # no Python runs for a word that is cached
        return WordIds(list(map(self._spellings.__getitem__, words)))

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
        ids[is_word] = words.joined(self.ids_per_word)
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


def sentence_marks(config: CharCnnConfig) -> list[numpy.ndarray]:
    """Returns the ids of the marks before and after a sentence: int64, (ids_per_word,) each."""
    mapper = CharacterMapper.of(config)
    marks = SENTENCE_MARKS if config.units == BYTES else CODE_POINT_MARKS
    # (ids_per_word,)
    return [mapper.word_ids(mark).astype(numpy.int64) for mark in marks]


def word_numbers(ids: torch.Tensor) -> torch.Tensor:
    """Returns the rows of words in the word table, (...), from ids, (..., 52); -1 for the mask."""
    return ids[..., -2] * WORD_BASE + ids[..., -1] - 1


class _Spellings(dict[str, str]):
    """
    The ids of words as code points, computed when first asked for. Use `_spellings`, which shares
    equal ones. At `CACHE_SIZE` words it starts again with none.
    """

    def __init__(self, spell: Callable[[str], str], made_from: tuple) -> None:
        super().__init__()
        self._spell = spell
        self._made_from = made_from

    def __missing__(self, word: str) -> str:
        if not isinstance(word, str):
            raise TypeError(f"A word must be a string; found {word!r}")
        spelling = self._spell(word)
        if len(self) >= CACHE_SIZE:
            self.clear()
        self[word] = spelling
        return spelling

    def __reduce__(self) -> tuple[Any, ...]:
        # another process has a cache of its own
        return _spellings, self._made_from


# a large word table takes long to build; a reader and its model share it
@lru_cache(maxsize=8)
def _spellings(
    alphabet: str, units: str, words: str, added: tuple[tuple[str, int], ...]
) -> _Spellings:
    spell: Callable[[str], str] = _spell_bytes
    if units == CODE_POINTS:
        spell = _by_code_points(alphabet, words)
    elif alphabet or added:
        spell = _by_alphabet(alphabet, added)
    return _Spellings(spell, (alphabet, units, words, added))


def _spell_bytes(word: str) -> str:
    if word in SENTENCE_MARKS:
        return SENTENCE_MARKS[word]
    # in one step, because each new word takes this time
    data = word.encode("utf-8", "ignore")[:MAX_LENGTH]
    characters, length = codecs.charmap_decode(data, "strict", ONE_HIGHER)
    return BEGIN + characters + ENDS[length]


def _by_alphabet(alphabet: str, added: tuple[tuple[str, int], ...]) -> Callable[[str], str]:
    special = SENTENCE_MARKS | {token: _frame(chr(number + 1)) for token, number in added}
    ids = _OwnIds(alphabet)

    def spell(word: str) -> str:
        if word in special:
            return special[word]
        return _frame(word.translate(ids)[:MAX_LENGTH])

    return spell


def _by_code_points(alphabet: str, words: str) -> Callable[[str], str]:
    ids = _OneUnknown(alphabet)
    rows = {word: row for row, word in enumerate(words.split("\n"))} if words else None

    def spell(word: str) -> str:
        word = word[:MAX_LENGTH]
        characters = CODE_POINT_MARKS.get(word) or word.translate(ids)
        if rows is None:
            return _frame(characters)
        number = rows.get(word, rows[UNKNOWN_WORD]) + 1
        return _frame(characters) + chr(number // WORD_BASE) + chr(number % WORD_BASE)

    return spell


class _OwnIds(dict[int, str]):
    """Translates an alphabet's characters to their ids and others to their bytes' ids."""

    def __init__(self, alphabet: str) -> None:
        super().__init__(
            (ord(character), chr(NUM_CHARACTERS + place))
            for place, character in enumerate(alphabet)
        )

    def __missing__(self, code_point: int) -> str:
        data = chr(code_point).encode("utf-8", "ignore")
        return codecs.charmap_decode(data, "strict", ONE_HIGHER)[0]


class _OneUnknown(_OwnIds):
    """Translates an alphabet's characters to their ids and others to `UNKNOWN_ID`."""

    def __missing__(self, code_point: int) -> str:
        return chr(UNKNOWN_ID)
