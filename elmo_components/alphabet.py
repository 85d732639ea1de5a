"""The texts that say which characters and words have vectors: alphabets and word tables."""

import reprlib
from collections import Counter

# 256 bytes, two sentence marks, two word marks, padding; every id is one higher than in bilm-tf,
# so that 0 can be the mask: 261 ids in the weights, 262 at inference.
NUM_CHARACTERS = 262
MAX_CHARACTERS = 50
# What fills up a word, as all ids one higher than in bilm-tf.
PADDING_ID = 261
# Ids are kept as int16, and one number beyond them all must fit too.
MAX_ALPHABET = (1 << 15) - 1 - NUM_CHARACTERS
# With a word table, a word's number stands behind its characters in so many digits.
WORD_DIGITS = 2

BYTES = "bytes"
CODE_POINTS = "code_points"
UNITS = (BYTES, CODE_POINTS)
# What stands for every word that a table does not have, as ELMoForManyLangs writes it.
UNKNOWN_WORD = "<oov>"


def read_alphabet(text: str, *, units: str = BYTES) -> str:
    """
    Returns the characters of an alphabet in the order of their ids: those of a text, such as a file
    of one a line, in which white space does not count; with code points, line ends alone do not.

    # Raises

    `ValueError` for a character that comes twice or that UTF-8 cannot encode, for too many, and for
    other units.
    """
    _check_units(units)
    alphabet = "".join(text.split()) if units == BYTES else text.replace("\n", "")
    if len(alphabet) > MAX_ALPHABET:
        raise ValueError(
            f"An alphabet must have at most {MAX_ALPHABET} characters; found {len(alphabet)}"
        )
    again = [character for character, count in Counter(alphabet).items() if count > 1]
    if again:
        raise ValueError(f"An alphabet must have each character once; found more of {shown(again)}")
    try:
        alphabet.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"An alphabet must be text that UTF-8 can encode: {error}") from error
    return alphabet


def read_words(text: str, *, units: str) -> str:
    """
    Returns the words of a word table, one a line in the order of their rows, from such a text,
    whose last line may end.

    # Raises

    `ValueError` for a word that is empty or comes twice or that UTF-8 cannot encode, for words
    without "<oov>", and for words with other units than code points.
    """
    _check_units(units)
    if not text:
        return text
    if units != CODE_POINTS:
        raise ValueError(f"Where there are words, units must be {CODE_POINTS!r}; found {units!r}")
    text = text.removesuffix("\n")
    words = text.split("\n")
    known = set(words)
    if len(known) != len(words):
        again = [word for word, count in Counter(words).items() if count > 1]
        raise ValueError(f"A word table must have each word once; found more of {shown(again)}")
    if "" in known or UNKNOWN_WORD not in known:
        raise ValueError(f"A word table must have {UNKNOWN_WORD} in it, and no empty word")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"A word table must be text that UTF-8 can encode: {error}") from error
    return text


def _check_units(units: str) -> None:
    if units not in UNITS:
        raise ValueError(f"units must be one of {', '.join(UNITS)}; found {shown(units)}")


def shown(value: object) -> str:
    """Returns a value for an error, as short as can be read, whatever it is."""
    shorter = reprlib.Repr()
    shorter.maxstring = shorter.maxother = shorter.maxlong = 60
    return shorter.repr(value)
