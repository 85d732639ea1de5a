"""Validates the sections of a published `options.json`."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from elmo_components.alphabet import (
    BYTES,
    MAX_CHARACTERS,
    NUM_CHARACTERS,
    UNITS,
    listed,
    read_alphabet,
    read_words,
    shown,
)

logger = logging.getLogger(__name__)

_NUMBER = (int, float, type(None))
_OPTIONAL = frozenset(
    {"n_highway", "cell_clip", "proj_clip", "use_skip_connections", "max_characters_per_token"}
    | {"n_characters", "alphabet", "units", "word_dim", "words"}
)
_CHAR_CNN_KEYS: dict[str, Any] = {
    "activation": str,
    "alphabet": str,
    "embedding": Mapping,
    "filters": (list, tuple),
    "max_characters_per_token": int,
    "n_characters": int,
    "n_highway": (int, type(None)),
    "units": str,
    "word_dim": int,
    "words": str,
}
_LSTM_KEYS: dict[str, Any] = {
    "use_skip_connections": (bool, type(None)),
    "projection_dim": int,
    "dim": int,
    "n_layers": int,
    "cell_clip": _NUMBER,
    "proj_clip": _NUMBER,
}


class Options(NamedTuple):
    """The valid sections of an `options.json`, and the texts in them."""

    char_cnn: Mapping[str, Any]
    embedding: Mapping[str, Any]
    lstm: Mapping[str, Any]
    units: str
    alphabet: str
    words: str


def check_options(options: Mapping[str, Any]) -> Options:
    """
    Returns the sections of an `options.json`; see `ElmoConfig.from_options`.

    # Raises

    `ValueError` that lists all keys that are missing, unknown or of a wrong type.
    """
    if not isinstance(options, Mapping):
        raise ValueError(f"The options must be an object; found {type(options).__name__}")
    problems: list[str] = []
    char_cnn = _section(options, "char_cnn", _CHAR_CNN_KEYS, problems)
    lstm = _section(options, "lstm", _LSTM_KEYS, problems)
    embedding = _section(char_cnn, "embedding", {"dim": int}, problems, path="char_cnn.")
    if options.get("bidirectional") is False:
        problems.append("bidirectional is false, and ELMo has two directions")
    _check_filters(char_cnn.get("filters"), problems)
    units = _read_units(char_cnn, problems)
    alphabet = _read_text(char_cnn, "alphabet", read_alphabet, units, problems)
    words = _read_text(char_cnn, "words", read_words, units, problems)
    _check_character_numbers(char_cnn, NUM_CHARACTERS + len(alphabet), problems)
    if problems:
        raise ValueError(f"The options cannot be used: {listed(problems)}")
    return Options(char_cnn, embedding, lstm, units, alphabet, words)


def _section(
    options: Mapping[str, Any],
    name: str,
    keys: dict[str, Any],
    problems: list[str],
    *,
    path: str = "",
) -> Mapping[str, Any]:
    section = options.get(name)
    path = path + name
    if not isinstance(section, Mapping):
        problems.append(f"{path} must be an object; found {shown(section)}")
        return {}
    for key in sorted(set(section) - set(keys)):
        known = ", ".join(sorted(keys))
        problems.append(f"{path}.{shown(key)[1:-1]} is not known (known: {known})")
    for key, types in keys.items():
        if key not in section:
            if key not in _OPTIONAL:
                problems.append(f"{path}.{key} is missing")
        elif not isinstance(section[key], types) or (
            isinstance(section[key], bool) and key != "use_skip_connections"
        ):
            problems.append(f"{path}.{key} has the wrong type: {shown(section[key])}")
    return section


def _check_filters(filters: Any, problems: list[str]) -> None:
    if isinstance(filters, (list, tuple)):
        for pair in filters:
            if (
                not isinstance(pair, (list, tuple))
                or len(pair) != 2
                or not all(type(number) is int for number in pair)
            ):
                problems.append(
                    f"char_cnn.filters must hold pairs [width, number]; found {shown(pair)}"
                )


def _read_units(char_cnn: Mapping[str, Any], problems: list[str]) -> str:
    units = char_cnn.get("units", BYTES)
    if units in UNITS:
        return str(units)
    # a wrong type is reported already
    if isinstance(units, str):
        problems.append(f"char_cnn.units must be one of {', '.join(UNITS)}; found {shown(units)}")
    return BYTES


def _read_text(
    char_cnn: Mapping[str, Any], key: str, read: Callable[..., str], units: str, problems: list[str]
) -> str:
    text = char_cnn.get(key, "")
    # a wrong type is reported already
    if isinstance(text, str):
        try:
            return read(text, units=units)
        except ValueError as error:
            problems.append(f"char_cnn.{key}: {error}")
    return ""


def _check_character_numbers(char_cnn: Mapping[str, Any], wanted: int, problems: list[str]) -> None:
    maximum = char_cnn.get("max_characters_per_token", MAX_CHARACTERS)
    if maximum != MAX_CHARACTERS:
        problems.append(
            f"char_cnn.max_characters_per_token must be {MAX_CHARACTERS}; found {maximum!r}"
        )
    number = char_cnn.get("n_characters", wanted)
    if wanted == NUM_CHARACTERS and number == wanted - 1:
        # a common mistake: bilm-tf needs 261 in training and 262 at inference
        logger.warning(
            "char_cnn.n_characters is %d, as in bilm-tf's training. It is read as %d, which the "
            "same weights need at inference",
            number,
            wanted,
        )
    elif number != wanted:
        problems.append(
            f"char_cnn.n_characters must be {wanted}; found {number!r}. It is {NUM_CHARACTERS} "
            f"plus the number of characters in char_cnn.alphabet, {wanted - NUM_CHARACTERS}"
        )
