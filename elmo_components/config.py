"""The sizes of a biLM, in the format of a published `options.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from elmo_components.alphabet import (
    BYTES,
    CODE_POINTS,
    MAX_CHARACTERS,
    NUM_CHARACTERS,
    WORD_DIGITS,
    read_alphabet,
    read_words,
    shown,
)
from elmo_components.options import check_options

ACTIVATIONS = ("relu", "tanh")

# The limit for untrusted files, whose parameters are listed before they are compared.
MAX_LAYERS = 100
# The largest float32.
MAX_CLIP = 3.4028234663852886e38


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
        The characters with their own ids, 262 and up; "" for the published scheme. See
        `CharacterMapper`.
    units : `str`
        "bytes"; or "code_points", as in ELMoForManyLangs. See `CharacterMapper`.
    words : `str`
        With code points, a table of words with vectors of their own, one word per line, with
        "<oov>" for all others; "" for none. Words have only these vectors if there are no filters
        and `embedding_size` is 0.
    word_size : `int`
        The size of a word's own vector; 0 without words.
    """

    embedding_size: int
    filters: tuple[tuple[int, int], ...]
    num_highway_layers: int
    activation: str
    alphabet: str = ""
    units: str = BYTES
    words: str = ""
    word_size: int = 0

    def __post_init__(self) -> None:
        # tuples, which are hashable
        filters = tuple((width, number) for width, number in self.filters)
        object.__setattr__(self, "filters", filters)
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"The activation must be one of {', '.join(ACTIVATIONS)}; found {self.activation!r}"
            )
        if read_words(self.words, units=self.units) != self.words:
            raise ValueError("The words of a table must not end with a line end")
        if (self.word_size > 0) != bool(self.words) or self.word_size < 0:
            raise ValueError(
                "word_size must be 1 or more where there are words, and 0 where there are none; "
                f"found {self.word_size} and {self.num_words} words"
            )
        by_words_alone = not (self.embedding_size or self.filters or self.num_highway_layers)
        if not (self.words and by_words_alone):
            self._check_convolutions()
        if read_alphabet(self.alphabet, units=self.units) != self.alphabet:
            raise ValueError("An alphabet must have no white space in it")

    def _check_convolutions(self) -> None:
        _check_positive(self, "embedding_size")
        if not self.filters or any(width < 1 or number < 1 for width, number in self.filters):
            raise ValueError(
                "The filters must be pairs of a width and a number, both 1 or more; "
                f"found {shown(self.filters)}"
            )
        if len(self.filters) > MAX_LAYERS:
            raise ValueError(
                f"There must be at most {MAX_LAYERS} pairs of filters; found {len(self.filters)}"
            )
        if max(width for width, _ in self.filters) > MAX_CHARACTERS:
            raise ValueError(f"No filter may be wider than a word's {MAX_CHARACTERS} characters")
        if not 0 <= self.num_highway_layers <= MAX_LAYERS:
            raise ValueError(
                f"num_highway_layers must be 0 or more, and at most {MAX_LAYERS}; found "
                f"{self.num_highway_layers}"
            )

    @property
    def num_characters(self) -> int:
        """The number of ids: 262, the mask included, and one for each character of the alphabet."""
        return NUM_CHARACTERS + len(self.alphabet)

    @property
    def num_filters(self) -> int:
        """The number of filters of all widths."""
        return sum(number for _, number in self.filters)

    @property
    def num_words(self) -> int:
        """The number of words in the word table."""
        return self.words.count("\n") + 1 if self.words else 0

    @property
    def ids_per_word(self) -> int:
        """The number of ids of a word: 50, and 2 more with a word table."""
        return MAX_CHARACTERS + (WORD_DIGITS if self.words else 0)

    def has_projection(self, hidden_size: int) -> bool:
        """
        Returns whether a word's vector is projected to `hidden_size`: in bilm-tf only if the sizes
        differ, in ELMoForManyLangs always.
        """
        return self.units == CODE_POINTS or self.num_filters != hidden_size


@dataclass(frozen=True)
class LstmConfig:
    """
    The sizes of the two stacks of LSTMs (Peters et al. 2018, section 3.1).

    # Parameters

    hidden_size : `int`
        The size of one direction's output. If it equals `cell_size`, there is no projection.
    cell_size : `int`
        The size of the memory cell.
    num_layers : `int`
        1 or more.
    cell_clip, projection_clip : `Optional[float]`
        The bounds of the memory cell and of the projected output, each from minus to plus this
        value; `None` for no clipping.
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
        if self.num_layers > MAX_LAYERS:
            raise ValueError(f"num_layers must be at most {MAX_LAYERS}; found {self.num_layers}")
        for name in ("cell_clip", "projection_clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= MAX_CLIP:
                raise ValueError(
                    f"{name} must be above 0 and finite, or absent for no clipping; found {value!r}"
                )


@dataclass(frozen=True)
class ElmoConfig:
    """The sizes of a biLM's character encoder and LSTMs."""

    char_cnn: CharCnnConfig
    lstm: LstmConfig

    @property
    def num_layers(self) -> int:
        """The number of layers: the character encoder and each LSTM layer."""
        return self.lstm.num_layers + 1

    @property
    def output_size(self) -> int:
        """The size of a token's vector: both directions."""
        return 2 * self.lstm.hidden_size

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "ElmoConfig":
        """
        Returns the sizes in a published `options.json`, as bilm-tf and AllenNLP read it.

        It reads the sections "char_cnn" and "lstm", where an unknown key is an error. It ignores
        all others, which describe the training.

        # Raises

        `ValueError` that lists all keys that are missing, unknown or of a wrong type.
        """
        char_cnn, embedding, lstm, units, alphabet, words = check_options(options)
        return cls(
            char_cnn=CharCnnConfig(
                embedding_size=embedding["dim"],
                filters=tuple((width, number) for width, number in char_cnn["filters"]),
                num_highway_layers=char_cnn.get("n_highway") or 0,
                activation=char_cnn["activation"],
                alphabet=alphabet,
                units=units,
                words=words,
                word_size=char_cnn.get("word_dim", 0),
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
        Returns the sizes in the format of a published `options.json`, for inference. An alphabet,
        code points and words, which no published file has, are keys of `char_cnn`.
        """
        cnn = self.char_cnn
        beyond_published: dict[str, Any] = {
            **({"alphabet": cnn.alphabet} if cnn.alphabet else {}),
            **({"units": cnn.units} if cnn.units != BYTES else {}),
            **({"word_dim": cnn.word_size, "words": cnn.words} if cnn.words else {}),
        }
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
                "activation": cnn.activation,
                "embedding": {"dim": cnn.embedding_size},
                "filters": [list(pair) for pair in cnn.filters],
                "max_characters_per_token": MAX_CHARACTERS,
                "n_characters": cnn.num_characters,
                "n_highway": cnn.num_highway_layers,
                **beyond_published,
            },
        }


def _check_positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be 1 or more; found {getattr(config, name)!r}")
