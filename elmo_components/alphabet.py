"""Alphabets and word tables: the characters and the words that have their own ids."""

import reprlib
from collections import Counter
from collections.abc import Sequence

# The number of sentence marks: a biLM adds one at each end of a sentence.
MARKS = 2
# 256 bytes, two sentence marks, two word marks, padding, and 0 for the mask. All other ids are one
# higher than in bilm-tf, whose weights have 261.
NUM_CHARACTERS = 262
MAX_CHARACTERS = 50
# Ids are stored as int16, and one number above them all must fit too.
MAX_ALPHABET = (1 << 15) - 1 - NUM_CHARACTERS
# With a word table, this many digits of a word's number follow its character ids.
WORD_DIGITS = 2

BYTES = "bytes"
CODE_POINTS = "code_points"
UNITS = (BYTES, CODE_POINTS)
# The row of all words that are not in the table, as ELMoForManyLangs names it.
UNKNOWN_WORD = "<oov>"

# How many problems an error lists, and how many characters of each.
MAX_LISTED = 100
MAX_PROBLEM = 300


def read_alphabet(text: str, *, units: str = BYTES) -> str:
    """
    Returns the characters of an alphabet in the order of their ids.

    # Parameters

    text : `str`
        The characters, such as the text of a file with one character per line. All white space is
        ignored; with code points, only line ends are.

    # Raises

    `ValueError` for repeated characters, for characters that UTF-8 cannot encode, for too many
    characters, and for unknown units.
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
    _check_encodable("An alphabet", alphabet)
    return alphabet


def read_words(text: str, *, units: str) -> str:
    """
    Returns the words of a word table, one per line in the order of their rows.

    # Parameters

    text : `str`
        The words, one per line. A line end after the last word is removed.

    # Raises

    `ValueError` for a word that is empty, repeated or that UTF-8 cannot encode, for words without
    "<oov>", and for words with units other than code points.
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
    _check_encodable("A word table", text)
    return text


def _check_units(units: str) -> None:
    if units not in UNITS:
        raise ValueError(f"units must be one of {', '.join(UNITS)}; found {shown(units)}")


def _check_encodable(what: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} must be text that UTF-8 can encode: {error}") from error


def shown(value: object) -> str:
    """Returns the `repr` of any value, shortened for an error message."""
    shorter = reprlib.Repr()
    shorter.maxstring = shorter.maxother = shorter.maxlong = 60
    return shorter.repr(value)


def listed(problems: Sequence[str]) -> str:
    """Returns the problems of a file as one printable text of limited length."""
    shortened = [
        problem if len(problem) <= MAX_PROBLEM else f"{problem[:MAX_PROBLEM]}..."
        for problem in problems[:MAX_LISTED]
    ]
    more = len(problems) - len(shortened)
    text = "; ".join(shortened + ([f"and {more:,} more"] if more else []))
    # names in a file may have control characters
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
