"""The text files of an ELMoForManyLangs model: its numbers, its characters and its words."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from elmo_components.alphabet import CODE_POINTS, MAX_CHARACTERS, UNKNOWN_WORD
from elmo_components.checkpoints.checkpoint import CheckpointError, brief, listed
from elmo_components.checkpoints.untrusted.json_text import parse_json
from elmo_components.config import ElmoConfig

__all__ = ["CHARACTERS_NAME", "CONFIG_NAME", "SPECIAL", "WORDS_NAME", "read_config"]

CONFIG_NAME = "config.json"
CHARACTERS_NAME = "char.dic"
WORDS_NAME = "word.dic"

# What `char.dic` has beside characters, in the order in which the original's training adds them.
SPECIAL = ("<bos>", "<eos>", UNKNOWN_WORD, "<pad>", "<bow>", "<eow>")

# The key of a line that has none: the original strips lines, and with it a character that is white
# space. Of all such characters this one alone is then found.
WHITE_SPACE = "\u3000"

# In bytes: over a million words.
MAX_DICTIONARY = 1 << 24
MAX_JSON = 1 << 20

# The numbers of the model configurations that the original's package brings, under both names;
# published models name one of them and do not hold it.
PACKAGED_NAMES = ("cnn_50_100_512_4096_sample.json", "cnn_0_100_512_4096_sample.json")
PACKAGED: Mapping[str, Any] = {
    "encoder": {
        "name": "elmo",
        "projection_dim": 512,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 4096,
        "n_layers": 2,
    },
    "token_embedder": {
        "name": "cnn",
        "activation": "relu",
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
        "n_highway": 2,
        "word_dim": 100,
        "char_dim": 50,
        "max_characters_per_token": MAX_CHARACTERS,
    },
}

_ENCODER_KEYS = ("name", "projection_dim", "cell_clip", "proj_clip", "dim", "n_layers")
_EMBEDDER_KEYS = ("name", "word_dim", "char_dim", "max_characters_per_token")
_CNN_KEYS = ("activation", "filters", "n_highway")


def read_config(folder: Path) -> tuple[ElmoConfig, list[str]]:
    """
    Returns a model's numbers, and the keys of its `char.dic` in the order of their rows, none where
    it has no characters.

    # Raises

    `CheckpointError` for what is missing or broken, and for an encoder or a token embedder that is
    not ELMo's.
    """
    path, numbers = _find_numbers(folder)
    try:
        encoder = _section(numbers, "encoder", _ENCODER_KEYS, wanted="elmo")
        embedder = _section(numbers, "token_embedder", _EMBEDDER_KEYS, wanted="cnn")
        by_words_alone = embedder["char_dim"] == 0
        characters, words = [], []
        if not by_words_alone:
            embedder = _section(numbers, "token_embedder", _EMBEDDER_KEYS + _CNN_KEYS)
            characters = _read_dictionary(folder / CHARACTERS_NAME, needed=SPECIAL)
        if embedder["word_dim"] != 0:
            words = _read_dictionary(folder / WORDS_NAME, needed=(UNKNOWN_WORD,))
        config = ElmoConfig.from_options(
            {
                "lstm": {
                    "use_skip_connections": True,
                    **{key: encoder[key] for key in _ENCODER_KEYS if key != "name"},
                },
                "char_cnn": {
                    "activation": "relu" if by_words_alone else embedder["activation"],
                    "embedding": {"dim": embedder["char_dim"]},
                    "filters": [] if by_words_alone else embedder["filters"],
                    "max_characters_per_token": embedder["max_characters_per_token"],
                    "n_highway": 0 if by_words_alone else embedder["n_highway"],
                    "units": CODE_POINTS,
                    "alphabet": _alphabet(characters),
                    "word_dim": embedder["word_dim"],
                    "words": "\n".join(words),
                },
            }
        )
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error
    if config.lstm.cell_size == config.lstm.hidden_size:
        # the original then projects all the same, and we do not
        raise CheckpointError(
            f"{path} cannot be used: encoder.dim and encoder.projection_dim must be different; "
            f"both are {config.lstm.cell_size}"
        )
    return config, characters


def _find_numbers(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    path = folder / CONFIG_NAME
    stated = _read_json(path).get("config_path")
    if not isinstance(stated, str):
        raise CheckpointError(
            f"{path} must say in config_path where the model's configuration was; "
            f"found {_found(stated)}"
        )
    # of the path, which is on the machine where the model was trained, the file's name counts
    name = re.split(r"[/\\]", stated)[-1]
    beside = folder / name
    # no name may be too long to look for
    if name in {entry.name for entry in folder.iterdir()} and beside.is_file():
        return beside, _read_json(beside)
    if name in PACKAGED_NAMES:
        return path, PACKAGED
    raise CheckpointError(
        f"The model's configuration must be {brief(name)} in {folder}, as {CONFIG_NAME} says, or "
        f"one of {', '.join(PACKAGED_NAMES)}, which are known; found neither"
    )


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        contents = parse_json(_read_text(path, MAX_JSON))
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path} must be JSON: {error}") from error
    if not isinstance(contents, Mapping):
        raise CheckpointError(f"{path} must hold an object; found {type(contents).__name__}")
    return contents


def _read_text(path: Path, limit: int) -> str:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    if path.stat().st_size > limit:
        raise CheckpointError(
            f"{path} must have at most {limit:,} bytes; found {path.stat().st_size:,}"
        )
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} must be UTF-8; {error}") from error


def _section(
    numbers: Mapping[str, Any], name: str, keys: Sequence[str], *, wanted: Optional[str] = None
) -> Mapping[str, Any]:
    section = numbers.get(name)
    if not isinstance(section, Mapping):
        raise ValueError(f"{name} must be an object; found {_found(section)}")
    missing = [f"{name}.{key} is missing" for key in keys if key not in section]
    if missing:
        raise ValueError("; ".join(missing))
    kind = section["name"]
    if wanted is not None and not (isinstance(kind, str) and kind.lower() == wanted):
        raise ValueError(f"{name}.name must be {wanted!r}, as ELMo's is; found {_found(kind)}")
    return section


def _found(value: object) -> str:
    return brief(value) if isinstance(value, str) else type(value).__name__


def _read_dictionary(path: Path, *, needed: Sequence[str]) -> list[str]:
    """Returns the keys of a file of lines "key, tab, row", in the order of their rows."""
    keys: dict[int, str] = {}
    problems: list[str] = []
    lines = _read_text(path, MAX_DICTIONARY).removesuffix("\n").split("\n")
    for place, line in enumerate(lines, start=1):
        *key, row = line.strip().split("\t")
        if len(key) > 1 or not (row.isdecimal() and len(row) <= 9) or int(row) in keys:
            problems.append(f"its line {place} must be a key, a tab and a row of its own")
        else:
            keys[int(row)] = key[0] if key else WHITE_SPACE
    if not problems and max(keys) >= len(keys):
        problems.append(f"its rows must be from 0 to {len(keys) - 1}; found {max(keys)}")
    if len(set(keys.values())) != len(keys):
        problems.append("it must have each key once")
    known = set(keys.values())
    problems += [f"it must have {key}" for key in needed if key not in known]
    if problems:
        raise CheckpointError(f"{path} cannot be used: {listed(problems)}")
    return [keys[row] for row in range(len(keys))]


def _alphabet(characters: Sequence[str]) -> str:
    ordinary = [key for key in characters if key not in SPECIAL]
    longer = [brief(key) for key in ordinary if len(key) != 1]
    if longer:
        raise ValueError(f"{CHARACTERS_NAME} must have single characters; found {listed(longer)}")
    return "".join(ordinary)
