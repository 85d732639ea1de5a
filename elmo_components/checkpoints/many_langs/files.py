"""The text files of an ELMoForManyLangs model: its sizes, its characters and its words."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elmo_components.alphabet import CODE_POINTS, MAX_CHARACTERS, UNKNOWN_WORD, listed, shown
from elmo_components.checkpoints.checkpoint import CheckpointError
from elmo_components.checkpoints.untrusted.json_text import read_object
from elmo_components.config import ElmoConfig

__all__ = [
    "CHARACTERS_NAME",
    "CONFIG_NAME",
    "MODEL_CONFIG_NAME",
    "SPECIAL",
    "WORDS_NAME",
    "read_config",
    "write_config",
]

CONFIG_NAME = "config.json"
# the file of sizes that `write_config` writes
MODEL_CONFIG_NAME = "model.json"
CHARACTERS_NAME = "char.dic"
WORDS_NAME = "word.dic"

# The keys of `char.dic` that are not characters, in the order in which the original adds them.
SPECIAL = ("<bos>", "<eos>", UNKNOWN_WORD, "<pad>", "<bow>", "<eow>")

# The original strips lines, so that the key of a white space character becomes empty. It reads the
# empty key as this character.
WHITE_SPACE = "\u3000"

# In bytes: over a million words.
MAX_DICTIONARY = 1 << 24

# The sizes in the original's package under these names. Published models name them without
# including them.
PACKAGED_NAMES = ("cnn_50_100_512_4096_sample.json", "cnn_0_100_512_4096_sample.json")
_LSTM_SIZES = {"projection_dim": 512, "cell_clip": 3, "proj_clip": 3, "dim": 4096, "n_layers": 2}
_FILTERS = [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]]
_EMBEDDER_SIZES = {"word_dim": 100, "char_dim": 50, "max_characters_per_token": MAX_CHARACTERS}
PACKAGED: Mapping[str, Any] = {
    "encoder": {"name": "elmo", **_LSTM_SIZES},
    "token_embedder": {
        **{"name": "cnn", "activation": "relu", "filters": _FILTERS, "n_highway": 2},
        **_EMBEDDER_SIZES,
    },
}
_CNN_KEYS = ("activation", "filters", "n_highway")


def read_config(folder: Path) -> tuple[ElmoConfig, list[str]]:
    """
    Returns a model's sizes, and the keys of its `char.dic` in the order of their rows: none for a
    model without characters.

    # Raises

    `CheckpointError` for a missing or broken file, and for other encoders and token embedders.
    """
    path = folder / CONFIG_NAME
    try:
        sizes = _find_sizes(folder)
        encoder = _section(sizes, "encoder", "elmo", [*_LSTM_SIZES])
        embedder = _section(sizes, "token_embedder", "cnn", [*_EMBEDDER_SIZES])
        characters: list[str] = []
        cnn: Mapping[str, Any] = {"activation": "relu", "filters": [], "n_highway": 0}
        # 0 for a model without characters
        if embedder["char_dim"] != 0:
            cnn = _section(sizes, "token_embedder", "cnn", _CNN_KEYS)
            characters = _read_dictionary(folder / CHARACTERS_NAME, SPECIAL)
        words: list[str] = []
        if embedder["word_dim"] != 0:
            words = _read_dictionary(folder / WORDS_NAME, (UNKNOWN_WORD,))
        alphabet = [key for key in characters if key not in SPECIAL]
        longer = [shown(key) for key in alphabet if len(key) != 1]
        if longer:
            raise ValueError(f"{CHARACTERS_NAME} must have single characters; {listed(longer)}")
        config = ElmoConfig.from_options(
            {
                "lstm": {"use_skip_connections": True, **encoder},
                "char_cnn": {
                    **cnn,
                    "embedding": {"dim": embedder["char_dim"]},
                    "max_characters_per_token": embedder["max_characters_per_token"],
                    "units": CODE_POINTS,
                    "alphabet": "".join(alphabet),
                    "word_dim": embedder["word_dim"],
                    "words": "\n".join(words),
                },
            }
        )
        if config.lstm.cell_size == config.lstm.hidden_size:
            # the original projects even then, and `ElmoLstm` does not
            raise ValueError(
                "encoder.dim and encoder.projection_dim must be different; both are "
                f"{config.lstm.cell_size}"
            )
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error
    return config, characters


def write_config(config: ElmoConfig, characters: Sequence[str], folder: Path) -> None:
    """Writes a model's sizes and dictionaries."""
    cnn, lstm = config.char_cnn, config.lstm
    encoder = {
        "name": "elmo",
        "projection_dim": lstm.hidden_size,
        "cell_clip": lstm.cell_clip or 0,
        "proj_clip": lstm.projection_clip or 0,
        "dim": lstm.cell_size,
        "n_layers": lstm.num_layers,
    }
    embedder = {
        "name": "cnn",
        "activation": cnn.activation,
        "filters": [list(pair) for pair in cnn.filters],
        "n_highway": cnn.num_highway_layers,
        "word_dim": cnn.word_size,
        "char_dim": cnn.embedding_size,
        "max_characters_per_token": MAX_CHARACTERS,
    }
    # the original needs a dropout
    sizes = {"encoder": encoder, "token_embedder": embedder, "dropout": 0.1}
    for name, contents in (
        (CONFIG_NAME, {"config_path": MODEL_CONFIG_NAME}),
        (MODEL_CONFIG_NAME, sizes),
    ):
        (folder / name).write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    words = cnn.words.split("\n") if cnn.words else []
    for name, keys in ((CHARACTERS_NAME, characters), (WORDS_NAME, words)):
        if keys:
            lines = (f"{key}\t{row}\n" for row, key in enumerate(keys))
            (folder / name).write_bytes("".join(lines).encode("utf-8"))


def _find_sizes(folder: Path) -> Mapping[str, Any]:
    stated = _read_json(folder / CONFIG_NAME).get("config_path")
    if not isinstance(stated, str):
        raise ValueError(f"config_path must be the path of a file; found {shown(stated)}")
    # a path on the machine that trained the model
    name = re.split(r"[/\\]", stated)[-1]
    # the name may be too long for a file
    if name in {entry.name for entry in folder.iterdir()}:
        return _read_json(folder / name)
    if name in PACKAGED_NAMES:
        return PACKAGED
    raise ValueError(
        f"config_path must name a file in {folder}, or one of {', '.join(PACKAGED_NAMES)}; found "
        f"{shown(name)}"
    )


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    try:
        return read_object(path)
    except ValueError as error:
        raise CheckpointError(f"{path} must be JSON: {error}") from error


def _section(
    sizes: Mapping[str, Any], name: str, kind: str, keys: Sequence[str]
) -> Mapping[str, Any]:
    section = sizes.get(name)
    if not isinstance(section, Mapping):
        raise ValueError(f"{name} must be an object; found {shown(section)}")
    missing = [f"{name}.{key} is missing" for key in ("name", *keys) if key not in section]
    if missing:
        raise ValueError("; ".join(missing))
    if not isinstance(section["name"], str) or section["name"].lower() != kind:
        raise ValueError(f"{name}.name must be {kind!r}, as ELMo's; found {shown(section['name'])}")
    return {key: section[key] for key in keys}


def _read_dictionary(path: Path, needed: Sequence[str]) -> list[str]:
    """Returns the keys of a file of lines "key, tab, row", in the order of their rows."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    if path.stat().st_size > MAX_DICTIONARY:
        raise CheckpointError(f"{path} must have at most {MAX_DICTIONARY:,} bytes")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} must be UTF-8; {error}") from error
    keys: dict[int, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        *key, row = line.strip().split("\t")
        if len(key) > 1 or not (row.isdecimal() and len(row) <= 9) or int(row) in keys:
            problems.append(f"its line {number} must be a key, a tab and a row of its own")
        else:
            keys[int(row)] = key[0] if key else WHITE_SPACE
    known = set(keys.values())
    if not problems and max(keys) >= len(keys):
        problems.append(f"its rows must be from 0 to {len(keys) - 1}; found {max(keys)}")
    if len(known) != len(keys):
        problems.append("it must have each key once")
    problems += [f"it must have {key}" for key in needed if key not in known]
    if problems:
        raise CheckpointError(f"{path} cannot be used: {listed(problems)}")
    return [keys[row] for row in range(len(keys))]
