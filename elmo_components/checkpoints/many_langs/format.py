"""
The format of ELMoForManyLangs: a folder, or a zip as NLPL publishes it, with two pickles of
tensors, two dictionaries, and the model's sizes.

`docs/formats.md` describes it field by field.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch

from elmo_components.alphabet import CODE_POINTS
from elmo_components.characters import BEGIN_SENTENCE, UNKNOWN_ID
from elmo_components.checkpoints.atomic import atomic_folder
from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError
from elmo_components.checkpoints.many_langs.fields import CHARACTER_EMBEDDING, embedder_entries
from elmo_components.checkpoints.many_langs.files import (
    CHARACTERS_NAME,
    CONFIG_NAME,
    MODEL_CONFIG_NAME,
    SPECIAL,
    WORDS_NAME,
    read_config,
    write_config,
)
from elmo_components.checkpoints.name_map import (
    Entry,
    check_shapes,
    lstm_entries,
    to_ours,
    to_theirs,
)
from elmo_components.checkpoints.untrusted.pickles import TensorFile
from elmo_components.checkpoints.untrusted.zips import names_in, unpacked_members
from elmo_components.config import ElmoConfig

__all__ = ["FILES", "NAMES", "PICKLES", "load", "matches", "save"]

EMBEDDER_NAME = "token_embedder.pkl"
ENCODER_NAME = "encoder.pkl"
PICKLES = (EMBEDDER_NAME, ENCODER_NAME)
NAMES = (CONFIG_NAME, CHARACTERS_NAME, WORDS_NAME, *PICKLES)
# What `save` writes.
FILES = (*NAMES, MODEL_CONFIG_NAME)
FLOAT32_EPSILON = 2.0**-23


def matches(path: Path) -> bool:
    """Whether `path` is a folder or a zip with the pickles of such a model."""
    return not names_in(path).isdisjoint(PICKLES)


def load(path: Path, config: Optional[ElmoConfig] = None, *, softmax: bool = False) -> Checkpoint:
    """
    Reads a folder or a zip. `config` and `softmax` have no effect: models of this format have
    their own sizes and no softmax.

    # Raises

    `CheckpointError` that lists all tensors that are missing, unknown, of another shape, or not
    finite.
    """
    # the name of the model's configuration is in another file
    with unpacked_members(path, lambda name: name in NAMES or name.endswith(".json")) as folder:
        config, characters = read_config(folder)
        tensors = _read(folder / EMBEDDER_NAME, embedder_entries(config, characters))
        tensors.update(_read(folder / ENCODER_NAME, lstm_entries(config)))
    if not characters:
        # (num_characters, 0)
        tensors[CHARACTER_EMBEDDING] = torch.zeros(
            config.char_cnn.num_characters, 0, dtype=torch.float32, device="cpu"
        )
    return Checkpoint(config, tensors)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """
    Writes the files of a model into the folder `path`, as the original package reads them. They
    are read back and compared before they replace existing ones.

    Weights that were read from such a model are restored bit by bit. In other weights the biases of
    the forget gates are rounded, as 1 is added to them.

    # Raises

    `CheckpointError` that says why this format cannot store the model.
    """
    config = checkpoint.config
    _check_kind(checkpoint)
    characters = [*config.char_cnn.alphabet, *SPECIAL] if config.char_cnn.filters else []
    with atomic_folder(path) as folder:
        write_config(config, characters, folder)
        for name, entries in (
            (EMBEDDER_NAME, embedder_entries(config, characters)),
            (ENCODER_NAME, lstm_entries(config)),
        ):
            tensors = dict(to_theirs(entries, checkpoint.tensors))
            # the layout of the original's time, which every torch reads
            torch.save(tensors, folder / name, _use_new_zipfile_serialization=False)
        _check_written(load(folder), checkpoint, path)


def _read(path: Path, entries: Sequence[Entry]) -> dict[str, torch.Tensor]:
    try:
        file = TensorFile(path)
        check_shapes(entries, {name: file.shapes.get(name, ()) for name in file.names})
        return to_ours(entries, file.read([entry.theirs for entry in entries]).items())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def _check_kind(checkpoint: Checkpoint) -> None:
    cnn, lstm = checkpoint.config.char_cnn, checkpoint.config.lstm
    reasons = {
        "its words are read by bytes, and there by code points": cnn.units != CODE_POINTS,
        "its layers have no skip connections, and there all do": not lstm.skip_connections,
        "its LSTMs have no projection": lstm.cell_size == lstm.hidden_size,
        "its softmax would be lost": checkpoint.num_words > 0,
    }
    if any(reasons.values()):
        found = "; ".join(reason for reason, applies in reasons.items() if applies)
        raise CheckpointError(f"ELMoForManyLangs has no such models: {found}")


def _check_written(written: Checkpoint, checkpoint: Checkpoint, path: Path) -> None:
    same = written.config == checkpoint.config
    for name, tensor in checkpoint.tensors.items():
        pair = [written.tensors[name], tensor.detach().cpu().float()]
        if name == CHARACTER_EMBEDDING:
            # the format has no rows for the ids of bytes, which are not used
            first, last = slice(UNKNOWN_ID, UNKNOWN_ID + 1), slice(BEGIN_SENTENCE + 1, None)
            pair = [torch.cat([part[first], part[last]]) for part in pair]
        # adding 1 to the forget gate rounds
        tolerance = FLOAT32_EPSILON if name.endswith(".bias") and "lstm." in name else 0.0
        same = same and torch.allclose(pair[0], pair[1], rtol=tolerance, atol=tolerance)
    if not same:
        raise CheckpointError(f"{path} did not read back as it was written")
