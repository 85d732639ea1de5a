"""
The format of ELMoForManyLangs (Che et al. 2018): a folder, or a zip as NLPL publishes them, with
two pickles of tensors, two dictionaries, and the numbers of the model.

`docs/formats.md` describes it field by field.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy
import torch

from elmo_components.alphabet import CODE_POINTS, MAX_CHARACTERS
from elmo_components.characters import BEGIN_SENTENCE, UNKNOWN_ID
from elmo_components.checkpoints.bilm_tf.fields import Entry
from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError
from elmo_components.checkpoints.many_langs.fields import embedder_entries, encoder_entries
from elmo_components.checkpoints.many_langs.files import (
    CHARACTERS_NAME,
    CONFIG_NAME,
    SPECIAL,
    WORDS_NAME,
    read_config,
)
from elmo_components.checkpoints.untrusted.pickles import read_tensors
from elmo_components.checkpoints.untrusted.zips import names_in, unpacked_members
from elmo_components.config import ElmoConfig

__all__ = ["load", "matches", "save"]

EMBEDDER_NAME = "token_embedder.pkl"
ENCODER_NAME = "encoder.pkl"
NAMES = (CONFIG_NAME, CHARACTERS_NAME, WORDS_NAME, EMBEDDER_NAME, ENCODER_NAME)
# What a model that is written here calls its numbers.
MODEL_CONFIG_NAME = "model.json"
# Of float32.
LAST_BIT = 2.0**-23


def matches(path: Path) -> bool:
    """Whether `path` is a folder or a zip with the pickles of such a model."""
    return not names_in(path).isdisjoint((EMBEDDER_NAME, ENCODER_NAME))


def load(path: Path, config: Optional[ElmoConfig] = None, *, softmax: bool = False) -> Checkpoint:
    """
    Reads the folder or the zip at `path`, which holds its own numbers; `config` is not needed. No
    published model has a softmax, and none is read.

    # Raises

    `CheckpointError` that lists all that is missing, left over, of a wrong shape, or not finite.
    """
    with unpacked_members(path, _is_wanted) as folder:
        config, characters = read_config(folder)
        tensors = _read(folder / EMBEDDER_NAME, embedder_entries(config, characters))
        tensors.update(_read(folder / ENCODER_NAME, encoder_entries(config)))
    if not characters:
        # (num_characters, 0)
        tensors["char_cnn.character_embedding.weight"] = torch.zeros(
            config.char_cnn.num_characters, 0
        )
    return Checkpoint(config, tensors)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """
    Writes the five files and the model's numbers into the folder `path`, made if missing, as the
    original package takes them. All are written under other names and read again before they
    replace what was there.

    Weights read from such a model come back to the last bit. Of another's, the forget gates' biases
    are rounded where 1 is added to them, in the last bit.

    # Raises

    `CheckpointError` for a model that this format cannot hold, which says what would be lost.
    """
    _check_kind(checkpoint)
    cnn = checkpoint.config.char_cnn
    characters = [*cnn.alphabet, *SPECIAL] if cnn.filters else []
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path, prefix=".saving-") as name:
        folder = Path(name)
        _write_json({"config_path": MODEL_CONFIG_NAME}, folder / CONFIG_NAME)
        _write_json(_numbers(checkpoint.config), folder / MODEL_CONFIG_NAME)
        if characters:
            _write_dictionary(characters, folder / CHARACTERS_NAME)
        if cnn.words:
            _write_dictionary(cnn.words.split("\n"), folder / WORDS_NAME)
        for file_name, entries in (
            (EMBEDDER_NAME, embedder_entries(checkpoint.config, characters)),
            (ENCODER_NAME, encoder_entries(checkpoint.config)),
        ):
            _write(checkpoint, entries, folder / file_name)
        _check_written(load(folder), checkpoint, path)
        for file in sorted(folder.iterdir()):
            os.replace(file, path / file.name)


def _is_wanted(name: str) -> bool:
    # what the model's configuration is called stands in another file
    return name in NAMES or name.endswith(".json")


def _read(path: Path, entries: Sequence[Entry]) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    try:
        found = read_tensors(path, {entry.theirs: entry.shape for entry in entries})
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error
    broken = [name for name, tensor in found.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} has values that are not finite in {', '.join(broken)}")
    return {
        name: torch.from_numpy(numpy.ascontiguousarray(array))
        for entry in entries
        for name, array in zip(entry.ours, entry.transform.read(found[entry.theirs].numpy()))
    }


def _check_kind(checkpoint: Checkpoint) -> None:
    cnn, lstm = checkpoint.config.char_cnn, checkpoint.config.lstm
    unfit = [
        reason
        for reason, holds in (
            ("its words are read by bytes, and there by code points", cnn.units != CODE_POINTS),
            ("its layers have no skip connections, and there all do", not lstm.skip_connections),
            ("its LSTMs have no projection", lstm.cell_size == lstm.hidden_size),
            ("its softmax would be lost", checkpoint.num_words > 0),
        )
        if holds
    ]
    if unfit:
        raise CheckpointError(f"ELMoForManyLangs has no such models: {'; '.join(unfit)}")


def _numbers(config: ElmoConfig) -> dict[str, object]:
    cnn, lstm = config.char_cnn, config.lstm
    return {
        "encoder": {
            "name": "elmo",
            "projection_dim": lstm.hidden_size,
            "cell_clip": lstm.cell_clip or 0,
            "proj_clip": lstm.projection_clip or 0,
            "dim": lstm.cell_size,
            "n_layers": lstm.num_layers,
        },
        "token_embedder": {
            "name": "cnn",
            "activation": cnn.activation,
            "filters": [list(pair) for pair in cnn.filters],
            "n_highway": cnn.num_highway_layers,
            "word_dim": cnn.word_size,
            "char_dim": cnn.embedding_size,
            "max_characters_per_token": MAX_CHARACTERS,
        },
        # of training, and the original wants it there
        "dropout": 0.1,
    }


def _write_json(contents: object, path: Path) -> None:
    path.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")


def _write_dictionary(keys: Sequence[str], path: Path) -> None:
    lines = (f"{key}\t{row}\n" for row, key in enumerate(keys))
    path.write_bytes("".join(lines).encode("utf-8"))


def _write(checkpoint: Checkpoint, entries: Sequence[Entry], path: Path) -> None:
    tensors = {}
    for entry in entries:
        arrays = [checkpoint.tensors[name].detach().cpu().numpy() for name in entry.ours]
        written = numpy.ascontiguousarray(entry.transform.write(arrays), dtype=numpy.float32)
        tensors[entry.theirs] = torch.from_numpy(written)
    # every torch reads this form, that of the original's days too
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def _check_written(written: Checkpoint, checkpoint: Checkpoint, path: Path) -> None:
    if written.config != checkpoint.config:
        raise CheckpointError(f"The dictionaries did not come back as they were written to {path}")
    for name, tensor in checkpoint.tensors.items():
        found, expected = written.tensors[name], tensor.detach().cpu()
        rounded = name.endswith(".bias") and name.startswith("lstm.")
        if name == "char_cnn.character_embedding.weight":
            # the ids of bytes have no rows there, and are not in use
            found, expected = (
                torch.cat([part[UNKNOWN_ID : UNKNOWN_ID + 1], part[BEGIN_SENTENCE + 1 :]])
                for part in (found, expected)
            )
        tolerance = LAST_BIT if rounded else 0.0
        if not torch.allclose(found, expected, rtol=tolerance, atol=tolerance):
            raise CheckpointError(f"{name} did not come back as it was written to {path}")
