"""
The published format, of bilm-tf and AllenNLP: an `options.json` and an HDF5 file of weights; and
the same in a zip, as NLPL publishes it and simple_elmo reads it.

`docs/formats.md` describes it field by field.
"""

import json
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Optional

import h5py
import numpy
import torch

from elmo_components.alphabet import BYTES
from elmo_components.checkpoints.bilm_tf.fields import Entry, bilm_entries, softmax_entries
from elmo_components.checkpoints.checkpoint import (
    SOFTMAX_NAMES,
    Checkpoint,
    CheckpointError,
    listed,
)
from elmo_components.checkpoints.untrusted.hdf5 import Arrays, opened_hdf5
from elmo_components.checkpoints.untrusted.json_text import read_json_file
from elmo_components.checkpoints.untrusted.zips import is_zip, names_in, unpacked_members
from elmo_components.checkpoints.vocabulary_file import (
    VOCABULARY_NAME,
    find_vocabulary,
    read_vocabulary,
    save_vocabulary,
)
from elmo_components.config import ElmoConfig

__all__ = ["load", "load_weights", "matches", "read_options", "save"]

OPTIONS_NAME = "options.json"
WEIGHTS_NAME = "weights.hdf5"
# As simple_elmo calls them, beside which there may be others.
NLPL_WEIGHTS_NAME = "model.hdf5"


def matches(path: Path) -> bool:
    """Whether `path` is an HDF5 file, or a folder or a zip with one; or a broken zip."""
    if path.is_dir() or is_zip(path):
        names = names_in(path)
        # what is wrong with it is for `load` to say
        is_broken = not names and not path.is_dir()
        return is_broken or any(name.endswith(".hdf5") for name in names)
    return path.is_file() and (path.suffix in (".hdf5", ".h5") or h5py.is_hdf5(path))


def load(path: Path, config: Optional[ElmoConfig] = None, *, softmax: bool = False) -> Checkpoint:
    """
    Reads the weights file at `path`, or the one in the folder or the zip `path`, with the options
    beside it; where there are none, they are `config`'s. With `softmax`, reads the softmax too, of
    that file or of `*softmax_weights.hdf5` beside it, and the vocabulary beside that, where they
    are there.

    # Raises

    `CheckpointError` that lists all that is missing, left over, of a wrong shape, or not finite.
    """
    if is_zip(path):
        with unpacked_members(path, _is_wanted) as folder:
            return load(folder, config, softmax=softmax)
    weights_path = _weights_in(path) if path.is_dir() else path
    options_path = _options_beside(weights_path)
    if options_path is not None:
        config = read_options(options_path)
    if config is None:
        raise CheckpointError(f"One *options*.json must stand beside {weights_path}")
    try:
        _check_kind(config)
    except CheckpointError as error:
        raise CheckpointError(f"{options_path or weights_path} cannot be used: {error}") from error
    of_softmax = softmax_entries(config)
    with opened_hdf5(weights_path) as arrays:
        has_softmax = of_softmax[0].theirs in arrays.shapes
        tensors = _read_weights(
            arrays,
            config,
            bilm_entries(config) + (of_softmax if softmax and has_softmax else []),
            weights_path,
            passed_over=() if softmax else [entry.theirs for entry in of_softmax],
        )
    softmax_path = _softmax_beside(weights_path)
    if softmax and not has_softmax and softmax_path is not None:
        with opened_hdf5(softmax_path) as arrays:
            tensors.update(_read_weights(arrays, config, of_softmax, softmax_path))
    vocabulary = _vocabulary_beside(weights_path, tensors)
    try:
        return Checkpoint(config, tensors, vocabulary)
    except CheckpointError as error:
        raise CheckpointError(f"{weights_path} cannot be used: {error}") from error


def load_weights(path: Path, config: ElmoConfig) -> Checkpoint:
    """
    Reads the weights file at `path`, without a softmax, as `config` has it, whatever options stand
    beside it.

    # Raises

    `CheckpointError` as of `load`.
    """
    _check_kind(config)
    passed_over = [entry.theirs for entry in softmax_entries(config)]
    with opened_hdf5(path) as arrays:
        tensors = _read_weights(arrays, config, bilm_entries(config), path, passed_over=passed_over)
    return Checkpoint(config, tensors)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """
    Writes `options.json`, `weights.hdf5` and, where the vocabulary is known, `vocab.txt` into the
    folder `path`, made if missing, as the stock readers of AllenNLP and bilm-tf take them. All are
    written under other names, read again and compared before they replace what was there; the
    `vocab.txt` of an earlier model goes.

    # Raises

    `CheckpointError` for a model by code points, which says what would be lost.
    """
    _check_kind(checkpoint.config)
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path, prefix=".saving-") as folder:
        options_path, weights_path = Path(folder, OPTIONS_NAME), Path(folder, WEIGHTS_NAME)
        vocabulary_path = Path(folder, VOCABULARY_NAME)
        options, entries = checkpoint.config.to_options(), bilm_entries(checkpoint.config)
        if checkpoint.num_words:
            # bilm-tf asks for it where training goes on
            options["n_tokens_vocab"] = checkpoint.num_words
            entries += softmax_entries(checkpoint.config)
        text = json.dumps(options, indent=2, ensure_ascii=False)
        options_path.write_text(text + "\n", encoding="utf-8")
        if checkpoint.vocabulary is not None:
            save_vocabulary(checkpoint.vocabulary, vocabulary_path)
        with h5py.File(weights_path, "w") as file:
            for entry in entries:
                arrays = [checkpoint.tensors[name].detach().cpu().numpy() for name in entry.ours]
                file[entry.theirs] = entry.transform.write(arrays).astype(numpy.float32)
        written = load(Path(folder), softmax=True)
        if written.config != checkpoint.config:
            raise CheckpointError(f"The options did not come back as they were written to {path}")
        if written.vocabulary != checkpoint.vocabulary:
            raise CheckpointError(f"The vocabulary did not come back as it was written to {path}")
        for name, tensor in checkpoint.tensors.items():
            if not torch.equal(written.tensors[name], tensor.detach().cpu()):
                raise CheckpointError(f"{name} did not come back as it was written to {path}")
        os.replace(weights_path, path / WEIGHTS_NAME)
        os.replace(options_path, path / OPTIONS_NAME)
        if checkpoint.vocabulary is None:
            (path / VOCABULARY_NAME).unlink(missing_ok=True)
        else:
            os.replace(vocabulary_path, path / VOCABULARY_NAME)


def read_options(path: Path) -> ElmoConfig:
    """
    Returns the numbers in an `options.json`.

    # Raises

    `CheckpointError` for what is no JSON, or no biLM's.
    """
    try:
        return ElmoConfig.from_options(read_json_file(path))
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def _is_wanted(name: str) -> bool:
    return name.endswith((".hdf5", ".json", ".txt", ".txt.gz"))


def _check_kind(config: ElmoConfig) -> None:
    cnn = config.char_cnn
    if cnn.units != BYTES:
        words = f", and the table of {cnn.num_words:,} words" if cnn.words else ""
        raise CheckpointError(
            "The published format is of models that read words by bytes; of this one its alphabet "
            f"of {len(cnn.alphabet):,} code points{words} would be lost. A .safetensors file, or "
            "ELMoForManyLangs' own format, holds it"
        )


def _read_weights(
    arrays: Arrays,
    config: ElmoConfig,
    entries: list[Entry],
    path: Path,
    *,
    passed_over: Sequence[str] = (),
) -> dict[str, torch.Tensor]:
    left_over = {*arrays.shapes} - {*passed_over}
    problems: list[str] = []
    tensors: dict[str, torch.Tensor] = {}
    for entry in entries:
        name = _name_in(arrays.shapes, entry.theirs, config)
        shape = arrays.shapes.get(name)
        left_over.discard(name)
        problem = ""
        if shape is None:
            problem = f"{entry.theirs} is missing"
        elif not _shapes_agree(shape, entry.shape):
            problem = f"{name} has the shape {shape}, and the options ask for {entry.shape}"
        else:
            problem = arrays.problem(name)
        if not problem:
            array = arrays.read(name)
            if not numpy.isfinite(array).all():
                problem = f"{name} has values that are not finite"
            for ours, ready in zip(entry.ours, entry.transform.read(array)):
                tensors[ours] = torch.from_numpy(numpy.ascontiguousarray(ready))
        if problem:
            problems.append(problem)
    problems += [f"{name} is not a part of such a model" for name in sorted(left_over)]
    if problems:
        raise CheckpointError(f"{path} cannot be used: {listed(problems)}")
    return tensors


def _shapes_agree(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(found) == len(wanted) and all(
        size in (-1, found_size) for size, found_size in zip(wanted, found)
    )


def _name_in(found: Collection[str], name: str, config: ElmoConfig) -> str:
    # TensorFlow names the cells of a stack, and leaves that out where there is but one
    if config.lstm.num_layers == 1 and name not in found:
        return name.replace("/MultiRNNCell/Cell0", "")
    return name


def _weights_in(folder: Path) -> Path:
    if (folder / NLPL_WEIGHTS_NAME).exists():
        return folder / NLPL_WEIGHTS_NAME
    candidates = [path for path in folder.glob("*.hdf5") if "softmax" not in path.name]
    if len(candidates) != 1:
        names = ", ".join(sorted(path.name for path in candidates)) or "none"
        raise CheckpointError(f"{folder} must hold one *.hdf5 file of weights; found {names}")
    return candidates[0]


def _options_beside(weights: Path) -> Optional[Path]:
    named_alike = weights.with_name(weights.stem.replace("weights", "options") + ".json")
    for path in (named_alike, weights.with_name(OPTIONS_NAME)):
        if path.exists():
            return path
    candidates = list(weights.parent.glob("*options*.json"))
    return candidates[0] if len(candidates) == 1 else None


def _softmax_beside(weights: Path) -> Optional[Path]:
    # by its name only: there may be weights of other models, whose softmax would fit too
    path = weights.with_name(weights.name.replace("weights", "softmax_weights"))
    return path if path != weights and path.exists() else None


def _vocabulary_beside(
    weights: Path, tensors: Mapping[str, torch.Tensor]
) -> Optional[tuple[str, ...]]:
    path = find_vocabulary(weights.parent) if SOFTMAX_NAMES[0] in tensors else None
    if path is None:
        return None
    words, rows = read_vocabulary(path), len(tensors[SOFTMAX_NAMES[0]])
    if len(words) != rows:
        raise CheckpointError(
            f"{path} must have a word for each of the softmax's {rows} rows; found {len(words)}"
        )
    return words
