"""The numbers that define a biLM, read from and written to the published `options.json` form."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

logger = logging.getLogger(__name__)

__all__ = ["CharCnnConfig", "ElmoConfig", "LstmConfig", "read_alphabet"]

# 256 bytes, two sentence marks, two word marks, padding; every id is one higher than in bilm-tf,
# so that 0 can be the mask: 261 ids in the weights, 262 at inference.
NUM_CHARACTERS = 262
MAX_CHARACTERS = 50
# What fills up a word, as all ids one higher than in bilm-tf.
PADDING_ID = 261
# Ids are kept as int16, and one number beyond them all must fit too.
MAX_ALPHABET = (1 << 15) - 1 - NUM_CHARACTERS

ACTIVATIONS = ("relu", "tanh")


@dataclass(frozen=True)
class CharCnnConfig:
    """
    The sizes of the character encoder (Peters et al. 2018, section 3.4; Kim et al. 2016).

    # Parameters

    embedding_size : `int`
        The size of a character's vector.
    filters : `tuple[tuple[int, int], ...]`
        A pair (width in characters, number of filters) for each convolution.
    num_highway_layers : `int`
        0 or more highway layers after the convolutions.
    activation : `str`
        "relu" or "tanh", applied after the max-pooling.
    alphabet : `str`
        The characters with ids of their own, 262 and up; see `CharacterMapper`. "" for the
        published scheme.
    """

    embedding_size: int
    filters: tuple[tuple[int, int], ...]
    num_highway_layers: int
    activation: str
    alphabet: str = ""

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"The activation must be one of {', '.join(ACTIVATIONS)}; found {self.activation!r}"
            )
        _check_positive(self, "embedding_size")
        if not self.filters or any(width < 1 or number < 1 for width, number in self.filters):
            raise ValueError(
                "The filters must be pairs of a width and a number, both 1 or more; "
                f"found {self.filters!r}"
            )
        if max(width for width, _ in self.filters) > MAX_CHARACTERS:
            raise ValueError(f"No filter may be wider than a word's {MAX_CHARACTERS} characters")
        if self.num_highway_layers < 0:
            raise ValueError(f"num_highway_layers must be 0 or more; {self.num_highway_layers}")
        if read_alphabet(self.alphabet) != self.alphabet:
            raise ValueError("An alphabet must have no white space in it")

    @property
    def num_characters(self) -> int:
        """How many ids there are, the mask's among them: 262, and one a character more."""
        return NUM_CHARACTERS + len(self.alphabet)

    @property
    def num_filters(self) -> int:
        """The number of filters of all widths: the size of a word before its projection."""
        return sum(number for _, number in self.filters)


@dataclass(frozen=True)
class LstmConfig:
    """
    The sizes of the two stacks of LSTMs (Peters et al. 2018, section 3.1).

    # Parameters

    hidden_size : `int`
        The size of one direction's output. Where it equals `cell_size` there is no projection.
    cell_size : `int`
        The size of the memory cell.
    num_layers : `int`
        1 or more.
    cell_clip, projection_clip : `Optional[float]`
        The memory cell, and the projected output, are held within plus and minus this value;
        `None` leaves them free.
    skip_connections : `bool`
        Whether each layer but the first adds its input to its output.
    """

    hidden_size: int
    cell_size: int
    num_layers: int
    cell_clip: Optional[float]
    projection_clip: Optional[float]
    skip_connections: bool

    def __post_init__(self) -> None:
        _check_positive(self, "hidden_size", "cell_size", "num_layers")
        for name in ("cell_clip", "projection_clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, or absent for none; found {value!r}")


@dataclass(frozen=True)
class ElmoConfig:
    """A biLM's numbers: its character encoder and its LSTMs."""

    char_cnn: CharCnnConfig
    lstm: LstmConfig

    @property
    def num_layers(self) -> int:
        """The number of layers of vectors of a token: the character encoder's and each LSTM's."""
        return self.lstm.num_layers + 1

    @property
    def output_size(self) -> int:
        """The size of a token's vector: both directions."""
        return 2 * self.lstm.hidden_size

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "ElmoConfig":
        """
        Returns the numbers of a published `options.json`, as bilm-tf and AllenNLP have it.

        Other keys than "char_cnn" and "lstm" at the top level say how the biLM was trained and
        are passed over; within these two sections an unknown key is an error.

        # Raises

        `ValueError` that lists everything missing, unknown or of a wrong type.
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
        alphabet = _read_alphabet(char_cnn, problems)
        _check_character_numbers(char_cnn, NUM_CHARACTERS + len(alphabet), problems)
        if problems:
            raise ValueError("The options cannot be used: " + "; ".join(problems))
        return cls(
            char_cnn=CharCnnConfig(
                embedding_size=embedding["dim"],
                filters=tuple((width, number) for width, number in char_cnn["filters"]),
                num_highway_layers=char_cnn.get("n_highway") or 0,
                activation=char_cnn["activation"],
                alphabet=alphabet,
            ),
            lstm=LstmConfig(
                hidden_size=lstm["projection_dim"],
                cell_size=lstm["dim"],
                num_layers=lstm["n_layers"],
                # bilm-tf and AllenNLP both take 0 for no clipping
                cell_clip=lstm.get("cell_clip") or None,
                projection_clip=lstm.get("proj_clip") or None,
                skip_connections=bool(lstm.get("use_skip_connections")),
            ),
        )

    def to_options(self) -> dict[str, Any]:
        """
        Returns the numbers in the form of a published `options.json`, for inference. Where there is
        an alphabet, `char_cnn.alphabet` has its characters.
        """
        alphabet = self.char_cnn.alphabet
        return {
            "lstm": {
                "use_skip_connections": self.lstm.skip_connections,
                "projection_dim": self.lstm.hidden_size,
                "dim": self.lstm.cell_size,
                "n_layers": self.lstm.num_layers,
                "cell_clip": self.lstm.cell_clip,
                "proj_clip": self.lstm.projection_clip,
            },
            "char_cnn": {
                "activation": self.char_cnn.activation,
                "embedding": {"dim": self.char_cnn.embedding_size},
                "filters": [list(pair) for pair in self.char_cnn.filters],
                "max_characters_per_token": MAX_CHARACTERS,
                "n_characters": self.char_cnn.num_characters,
                "n_highway": self.char_cnn.num_highway_layers,
                **({"alphabet": alphabet} if alphabet else {}),
            },
        }


def read_alphabet(text: str) -> str:
    """
    Returns the characters of an alphabet in the order of their ids: those of a text, such as a file
    of one a line, in which white space does not count.

    # Raises

    `ValueError` for a character that comes twice or that UTF-8 cannot encode, or for too many.
    """
    alphabet = "".join(text.split())
    if len(alphabet) > MAX_ALPHABET:
        raise ValueError(
            f"An alphabet must have at most {MAX_ALPHABET} characters; found {len(alphabet)}"
        )
    again = [character for character, count in Counter(alphabet).items() if count > 1]
    if again:
        raise ValueError(f"An alphabet must have each character once; found more of {again}")
    try:
        alphabet.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"An alphabet must be text that UTF-8 can encode: {error}") from error
    return alphabet


_NUMBER = (int, float, type(None))
_OPTIONAL = frozenset(
    {"n_highway", "cell_clip", "proj_clip", "use_skip_connections", "max_characters_per_token"}
    | {"n_characters", "alphabet"}
)
_CHAR_CNN_KEYS: dict[str, Any] = {
    "activation": str,
    "alphabet": str,
    "embedding": Mapping,
    "filters": (list, tuple),
    "max_characters_per_token": int,
    "n_characters": int,
    "n_highway": (int, type(None)),
}
_LSTM_KEYS: dict[str, Any] = {
    "use_skip_connections": (bool, type(None)),
    "projection_dim": int,
    "dim": int,
    "n_layers": int,
    "cell_clip": _NUMBER,
    "proj_clip": _NUMBER,
}


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
        problems.append(f"{path} must be an object; found {section!r}")
        return {}
    for key in sorted(set(section) - set(keys)):
        problems.append(f"{path}.{key} is not known (known: {', '.join(sorted(keys))})")
    for key, types in keys.items():
        if key not in section:
            if key not in _OPTIONAL:
                problems.append(f"{path}.{key} is missing")
        elif not isinstance(section[key], types) or (
            isinstance(section[key], bool) and key != "use_skip_connections"
        ):
            problems.append(f"{path}.{key} has the wrong type: {section[key]!r}")
    return section


def _check_filters(filters: Any, problems: list[str]) -> None:
    if isinstance(filters, (list, tuple)):
        for pair in filters:
            if (
                not isinstance(pair, (list, tuple))
                or len(pair) != 2
                or not all(isinstance(number, int) for number in pair)
            ):
                problems.append(f"char_cnn.filters must hold pairs [width, number]; found {pair!r}")


def _read_alphabet(char_cnn: Mapping[str, Any], problems: list[str]) -> str:
    text = char_cnn.get("alphabet", "")
    # another type is among the problems already
    if isinstance(text, str):
        try:
            return read_alphabet(text)
        except ValueError as error:
            problems.append(f"char_cnn.alphabet: {error}")
    return ""


def _check_character_numbers(char_cnn: Mapping[str, Any], wanted: int, problems: list[str]) -> None:
    maximum = char_cnn.get("max_characters_per_token", MAX_CHARACTERS)
    if maximum != MAX_CHARACTERS:
        problems.append(
            f"char_cnn.max_characters_per_token must be {MAX_CHARACTERS}; found {maximum!r}"
        )
    number = char_cnn.get("n_characters", wanted)
    if wanted == NUM_CHARACTERS and number == wanted - 1:
        # the commonest slip with bilm-tf: its training wants 261, everything after it 262,
        # and the weights are the same
        logger.warning(
            "char_cnn.n_characters is %d, as bilm-tf's training writes it; it is read as %d, "
            "which is what the same weights need at inference",
            number,
            wanted,
        )
    elif number != wanted:
        problems.append(
            f"char_cnn.n_characters must be {wanted}; found {number!r}: it is {NUM_CHARACTERS} and "
            f"the number of characters in char_cnn.alphabet, {wanted - NUM_CHARACTERS}"
        )


def _check_positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be 1 or more; found {getattr(config, name)!r}")
