"""
The published format, of bilm-tf and AllenNLP: an `options.json` and an HDF5 file of weights, in a
folder or, as NLPL publishes it and simple_elmo reads it, in a zip.

`docs/formats.md` describes it field by field.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import torch

from elmo_components.alphabet import BYTES
from elmo_components.checkpoints.atomic import atomic_folder
from elmo_components.checkpoints.bilm_tf.fields import bilm_entries, softmax_entries
from elmo_components.checkpoints.checkpoint import (
    SOFTMAX_NAMES,
    Checkpoint,
    CheckpointError,
    check_written,
)
from elmo_components.checkpoints.name_map import Entry, check_shapes, to_ours, to_theirs
from elmo_components.checkpoints.untrusted.hdf5 import Arrays, open_hdf5
from elmo_components.checkpoints.untrusted.json_text import read_json_file
from elmo_components.checkpoints.untrusted.zips import is_zip, names_in, unpacked_members
from elmo_components.checkpoints.vocabulary_file import (
    VOCABULARY_NAME,
    find_vocabulary,
    read_vocabulary,
    save_vocabulary,
)
from elmo_components.config import ElmoConfig

__all__ = [
    "FILES",
    "OPTIONS_NAME",
    "WEIGHTS_NAME",
    "load",
    "load_weights",
    "matches",
    "read_options",
    "save",
]

OPTIONS_NAME = "options.json"
WEIGHTS_NAME = "weights.hdf5"
# What `save` writes.
FILES = (OPTIONS_NAME, WEIGHTS_NAME, VOCABULARY_NAME)
# simple_elmo's name
NLPL_WEIGHTS_NAME = "model.hdf5"
# the suffixes of the members of a zip that are read
MEMBERS = (".hdf5", ".json", ".txt", ".txt.gz")


def matches(path: Path) -> bool:
    """Whether `path` is an HDF5 file, a folder or a zip with one, or a broken zip."""
    if path.is_dir() or is_zip(path):
        names = names_in(path)
        is_broken = not names and not path.is_dir()
        return is_broken or any(name.endswith(".hdf5") for name in names)
    if not path.is_file() or path.suffix in (".hdf5", ".h5"):
        return path.is_file()
    import h5py

    return bool(h5py.is_hdf5(path))


def load(path: Path, config: Optional[ElmoConfig] = None, *, softmax: bool = False) -> Checkpoint:
    """
    Reads a weights file, or the one in a folder or a zip.

    # Parameters

    config : `Optional[ElmoConfig]`
        The biLM's sizes, if the folder has no options.
    softmax : `bool`
        Whether to read the softmax, from the weights or from `*softmax_weights.hdf5` in the same
        folder, and its vocabulary, if present.

    # Raises

    `CheckpointError` that lists all tensors that are missing, unknown, of another shape, or not
    finite.
    """
    if is_zip(path):
        with unpacked_members(path, lambda name: name.endswith(MEMBERS)) as folder:
            return load(folder, config, softmax=softmax)
    weights = _find_weights(path) if path.is_dir() else path
    options = _find_options(weights)
    if options is not None:
        config = read_options(options)
    if config is None:
        raise CheckpointError(f"{weights.parent} must have one *options*.json for {weights.name}")
    tensors = _read_weights(weights, config, softmax=softmax)
    softmax_path = _find_softmax(weights)
    if softmax and SOFTMAX_NAMES[0] not in tensors and softmax_path is not None:
        entries = softmax_entries(config)
        with open_hdf5(softmax_path, [entry.theirs for entry in entries]) as arrays:
            tensors.update(_read_arrays(softmax_path, arrays, entries, arrays.shapes))
    vocabulary = _vocabulary_of(weights, tensors)
    try:
        return Checkpoint(config, tensors, vocabulary)
    except CheckpointError as error:
        raise CheckpointError(f"{weights} cannot be used: {error}") from error


def load_weights(path: Path, config: ElmoConfig) -> Checkpoint:
    """
    Reads a weights file without its softmax. Options in the same folder are ignored.

    # Raises

    `CheckpointError` as `load` does.
    """
    return Checkpoint(config, _read_weights(path, config, softmax=False))


def save(checkpoint: Checkpoint, path: Path) -> None:
    """
    Writes `options.json`, `weights.hdf5` and, if the vocabulary is known, `vocab.txt` into the
    folder `path`, as AllenNLP and bilm-tf read them. The files are read back and compared before
    they replace existing ones. An older `vocab.txt` is removed.

    # Raises

    `CheckpointError` for a model by code points, for values that are not finite, and for a softmax
    without words in a folder with another vocabulary than `vocab.txt`, which would be read with it.
    """
    import h5py

    config = checkpoint.config
    _check_kind(config)
    options, entries = config.to_options(), bilm_entries(config)
    if checkpoint.num_words:
        # bilm-tf needs it to resume training
        options["n_tokens_vocab"] = checkpoint.num_words
        entries += softmax_entries(config)
    if checkpoint.num_words and checkpoint.vocabulary is None and path.is_dir():
        others = sorted({*path.glob("vocab.txt.gz"), *path.glob("*vocab*.txt")})
        names = [other.name for other in others if other.name != VOCABULARY_NAME]
        if names:
            raise CheckpointError(
                f"{path} has another vocabulary, which would be read with the softmax: "
                f"{', '.join(names)}. Give a new folder"
            )
    with atomic_folder(path) as folder:
        text = json.dumps(options, indent=2, ensure_ascii=False)
        (folder / OPTIONS_NAME).write_text(text + "\n", encoding="utf-8")
        if checkpoint.vocabulary is not None:
            save_vocabulary(checkpoint.vocabulary, folder / VOCABULARY_NAME)
        with h5py.File(folder / WEIGHTS_NAME, "w") as file:
            for name, tensor in to_theirs(entries, checkpoint.tensors):
                file[name] = tensor.numpy()
        check_written(load(folder, softmax=True), checkpoint, path)
    if checkpoint.vocabulary is None:
        (path / VOCABULARY_NAME).unlink(missing_ok=True)


def read_options(path: Path) -> ElmoConfig:
    """
    Returns the sizes in an `options.json`.

    # Raises

    `CheckpointError` for a file that is not JSON or not the options of a biLM.
    """
    try:
        return ElmoConfig.from_options(read_json_file(path))
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def _check_kind(config: ElmoConfig) -> None:
    cnn = config.char_cnn
    if cnn.units != BYTES:
        words = f" and the table of {cnn.num_words:,} words" if cnn.words else ""
        raise CheckpointError(
            "The published format is for models that read words as bytes; the alphabet of "
            f"{len(cnn.alphabet):,} code points{words} would be lost. Write a .safetensors file or "
            "ELMoForManyLangs' format"
        )


def _read_weights(path: Path, config: ElmoConfig, *, softmax: bool) -> dict[str, torch.Tensor]:
    try:
        _check_kind(config)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error
    entries, optional = bilm_entries(config), softmax_entries(config)
    # the name of a single layer differs between AllenNLP and TensorFlow
    short = {
        entry.theirs: entry.theirs.replace("/MultiRNNCell/Cell0", "")
        for entry in entries
        if config.lstm.num_layers == 1
    }
    expected = [entry.theirs for entry in entries + optional] + [*short.values()]
    with open_hdf5(path, expected) as arrays:
        shapes = arrays.shapes
        entries = [
            entry._replace(theirs=short[entry.theirs])
            if entry.theirs not in shapes and short.get(entry.theirs) in shapes
            else entry
            for entry in entries
        ]
        if not softmax:
            shapes = {
                name: shape for name, shape in shapes.items() if not name.startswith("softmax/")
            }
        elif optional[0].theirs in shapes:
            entries += optional
        return _read_arrays(path, arrays, entries, shapes)


def _read_arrays(
    path: Path, arrays: Arrays, entries: list[Entry], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, torch.Tensor]:
    try:
        check_shapes(entries, shapes)
        return to_ours(entries, arrays.read([entry.theirs for entry in entries]))
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def _find_weights(folder: Path) -> Path:
    if (folder / NLPL_WEIGHTS_NAME).exists():
        return folder / NLPL_WEIGHTS_NAME
    candidates = [path for path in folder.glob("*.hdf5") if "softmax" not in path.name]
    if len(candidates) != 1:
        names = ", ".join(sorted(path.name for path in candidates)) or "none"
        raise CheckpointError(f"{folder} must hold one *.hdf5 file of weights; found {names}")
    return candidates[0]


def _find_options(weights: Path) -> Optional[Path]:
    same_name = weights.with_name(weights.stem.replace("weights", "options") + ".json")
    for path in (same_name, weights.with_name(OPTIONS_NAME)):
        if path.exists():
            return path
    candidates = list(weights.parent.glob("*options*.json"))
    return candidates[0] if len(candidates) == 1 else None


def _find_softmax(weights: Path) -> Optional[Path]:
    # not by its shape: another model's softmax may have the same
    path = weights.with_name(weights.name.replace("weights", "softmax_weights"))
    return path if path != weights and path.exists() else None


def _vocabulary_of(weights: Path, tensors: Mapping[str, torch.Tensor]) -> Optional[tuple[str, ...]]:
    path = find_vocabulary(weights.parent) if SOFTMAX_NAMES[0] in tensors else None
    if path is None:
        return None
    words, rows = read_vocabulary(path), len(tensors[SOFTMAX_NAMES[0]])
    if len(words) != rows:
        raise CheckpointError(
            f"{path} must have a word for each of the softmax's {rows} rows; found {len(words)}"
        )
    return words
