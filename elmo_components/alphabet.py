"""Alphabets and word tables: the characters and the words that have their own ids."""

import reprlib
from collections import Counter

# The number of marks that a biLM adds to each sentence, one at each end.
MARKS = 2
# 256 bytes, two sentence marks, two word marks, padding, and 0 for the mask. All other ids are one
# higher than in bilm-tf, whose weights have 261.
NUM_CHARACTERS = 262
MAX_CHARACTERS = 50
# The padding of a word.
PADDING_ID = 261
# Ids are stored as int16, and one number above them all must fit too.
MAX_ALPHABET = (1 << 15) - 1 - NUM_CHARACTERS
# With a word table, so many digits of the word's number follow its characters.
WORD_DIGITS = 2

BYTES = "bytes"
CODE_POINTS = "code_points"
UNITS = (BYTES, CODE_POINTS)
# Every word that is not in a table, as ELMoForManyLangs writes it.
UNKNOWN_WORD = "<oov>"


def read_alphabet(text: str, *, units: str = BYTES) -> str:
    """
    Returns the characters of an alphabet in the order of their ids.

    # Parameters

    text : `str`
        The characters, as in a file of one a line: white space is ignored, and with code points
        line ends alone.

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
    Returns the words of a word table, one a line in the order of their rows.

    # Parameters

    text : `str`
        The same, or with a line end after the last word.

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
    """Returns the `repr` of any value, shortened for an error message."""
    shorter = reprlib.Repr()
    shorter.maxstring = shorter.maxother = shorter.maxlong = 60
    return shorter.repr(value)
