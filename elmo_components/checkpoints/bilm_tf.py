"""
The published format, of bilm-tf and AllenNLP: an `options.json` and an HDF5 file of weights.

`docs/formats.md` describes it field by field; `_entries` is the one list of names for both ways.
"""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import h5py
import numpy
import torch

from elmo_components.checkpoints.checkpoint import SOFTMAX_NAMES, Checkpoint, CheckpointError
from elmo_components.config import NUM_CHARACTERS, ElmoConfig

__all__ = ["load", "matches", "save"]

OPTIONS_NAME = "options.json"
WEIGHTS_NAME = "weights.hdf5"

# what h5py raises on broken files, by what is broken
_HDF5_ERRORS = (OSError, RuntimeError, KeyError)


class _Transform(NamedTuple):
    """How one of their arrays becomes one or more of our tensors, and back."""

    read: Callable[[numpy.ndarray], Sequence[numpy.ndarray]]
    write: Callable[[Sequence[numpy.ndarray]], numpy.ndarray]


class _Entry(NamedTuple):
    ours: tuple[str, ...]
    theirs: str
    # of theirs; -1 stands for the number of words
    shape: tuple[int, ...]
    transform: _Transform


def matches(path: Path) -> bool:
    """Whether `path` is an HDF5 file or a folder with one."""
    if path.is_dir():
        return any(path.glob("*.hdf5"))
    return path.suffix in (".hdf5", ".h5") or h5py.is_hdf5(path)


def load(path: Path, config: Optional[ElmoConfig] = None) -> Checkpoint:
    """
    Reads the weights file at `path`, or the one in the folder `path`, with the options beside it;
    where there are none, they are `config`'s.

    # Raises

    `CheckpointError` that lists all that is missing, left over, of a wrong shape, or not finite.
    """
    weights_path = _weights_in(path) if path.is_dir() else path
    options_path = _options_beside(weights_path)
    if options_path is not None:
        config = _read_options(options_path)
    if config is None:
        raise CheckpointError(f"One *options*.json must stand beside {weights_path}")
    try:
        with h5py.File(weights_path, "r") as file:
            return Checkpoint(config, _read_weights(file, config, weights_path))
    except _HDF5_ERRORS as error:
        raise CheckpointError(f"{weights_path} is not a whole HDF5 file: {error}") from error


def save(checkpoint: Checkpoint, path: Path) -> None:
    """
    Writes `options.json` and `weights.hdf5` into the folder `path`, made if missing, as the stock
    readers of AllenNLP and bilm-tf take them. Both are written under other names, read again and
    compared before they replace what was there.
    """
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path, prefix=".saving-") as folder:
        options_path, weights_path = Path(folder, OPTIONS_NAME), Path(folder, WEIGHTS_NAME)
        options_path.write_text(json.dumps(checkpoint.config.to_options(), indent=2) + "\n")
        with h5py.File(weights_path, "w") as file:
            for entry in _entries(checkpoint.config, _has_softmax(checkpoint)):
                arrays = [checkpoint.tensors[name].detach().cpu().numpy() for name in entry.ours]
                file[entry.theirs] = entry.transform.write(arrays).astype(numpy.float32)
        written = load(Path(folder))
        for name, tensor in checkpoint.tensors.items():
            if not torch.equal(written.tensors[name], tensor.detach().cpu()):
                raise CheckpointError(f"{name} did not come back as it was written to {path}")
        os.replace(weights_path, path / WEIGHTS_NAME)
        os.replace(options_path, path / OPTIONS_NAME)


def _has_softmax(checkpoint: Checkpoint) -> bool:
    return SOFTMAX_NAMES[0] in checkpoint.tensors


def _entries(config: ElmoConfig, softmax: bool) -> list[_Entry]:
    """Returns the list of names: ours, theirs, the shape of theirs, and what lies between."""
    cnn, lstm = config.char_cnn, config.lstm
    hidden, cell, filters = lstm.hidden_size, lstm.cell_size, cnn.num_filters
    entries = [
        _Entry(
            ("char_cnn.character_embedding.weight",),
            "char_embed",
            (NUM_CHARACTERS - 1, cnn.embedding_size),
            _MASK_ROW,
        )
    ]
    for index, (width, number) in enumerate(cnn.filters):
        ours = f"char_cnn.convolutions.{index}"
        shape = (1, width, cnn.embedding_size, number)
        entries += [
            _Entry((f"{ours}.weight",), f"CNN/W_cnn_{index}", shape, _CONVOLUTION),
            _Entry((f"{ours}.bias",), f"CNN/b_cnn_{index}", (number,), _SAME),
        ]
    for index in range(cnn.num_highway_layers):
        for gate in ("carry", "transform"):
            ours, theirs = f"char_cnn.highways.{index}.{gate}", f"CNN_high_{index}"
            entries += [
                _Entry((f"{ours}.weight",), f"{theirs}/W_{gate}", (filters, filters), _TRANSPOSE),
                _Entry((f"{ours}.bias",), f"{theirs}/b_{gate}", (filters,), _SAME),
            ]
    if filters != hidden:
        entries += [
            _Entry(
                ("char_cnn.projection.weight",), "CNN_proj/W_proj", (filters, hidden), _TRANSPOSE
            ),
            _Entry(("char_cnn.projection.bias",), "CNN_proj/b_proj", (hidden,), _SAME),
        ]
    for direction, name in enumerate(("forward", "backward")):
        for layer in range(lstm.num_layers):
            ours = f"lstm.{name}_layers.{layer}"
            theirs = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            entries += [
                _Entry(
                    (f"{ours}.input_weight", f"{ours}.recurrent_weight"),
                    f"{theirs}/W_0",
                    # the input of every layer is as large as the projected output
                    (2 * hidden, 4 * cell),
                    _INPUT_AND_RECURRENT,
                ),
                _Entry((f"{ours}.bias",), f"{theirs}/B", (4 * cell,), _GATES),
            ]
            if cell != hidden:
                entries.append(
                    _Entry(
                        (f"{ours}.projection_weight",),
                        f"{theirs}/W_P_0",
                        (cell, hidden),
                        _TRANSPOSE,
                    )
                )
    if softmax:
        entries += [
            _Entry((SOFTMAX_NAMES[0],), "softmax/W", (-1, hidden), _SAME),
            _Entry((SOFTMAX_NAMES[1],), "softmax/b", (-1,), _SAME),
        ]
    return entries


def _swap_gates(array: numpy.ndarray) -> numpy.ndarray:
    # TensorFlow has i, g, f, o along the last axis and torch i, f, g, o: its own inverse
    i, second, third, o = numpy.split(array, 4, axis=-1)
    return numpy.concatenate([i, third, second, o], axis=-1)


def _split_input_and_recurrent(array: numpy.ndarray) -> Sequence[numpy.ndarray]:
    # the rows are the input's, then the recurrent ones
    return numpy.split(_swap_gates(array).T, 2, axis=1)


def _join_input_and_recurrent(arrays: Sequence[numpy.ndarray]) -> numpy.ndarray:
    return _swap_gates(numpy.concatenate(arrays, axis=1).T)


_SAME = _Transform(lambda array: [array], lambda arrays: arrays[0])
# TensorFlow multiplies x W and torch W x
_TRANSPOSE = _Transform(lambda array: [array.T], lambda arrays: arrays[0].T)
# TensorFlow convolves images of height 1: (1, width, in, out) against torch's (out, in, width)
_CONVOLUTION = _Transform(
    lambda array: [array[0].transpose(2, 1, 0)],
    lambda arrays: arrays[0].transpose(2, 1, 0)[numpy.newaxis],
)
# the file does not hold the row of the mask, which is never looked at
_MASK_ROW = _Transform(
    lambda array: [numpy.concatenate([numpy.zeros_like(array[:1]), array])],
    lambda arrays: arrays[0][1:],
)
_GATES = _Transform(lambda array: [_swap_gates(array)], lambda arrays: _swap_gates(arrays[0]))
_INPUT_AND_RECURRENT = _Transform(_split_input_and_recurrent, _join_input_and_recurrent)


def _read_weights(file: h5py.File, config: ElmoConfig, path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item} if _is_dataset(item) else {}))
    entries = _entries(config, softmax="softmax/W" in found)
    problems: list[str] = []
    tensors: dict[str, torch.Tensor] = {}
    for entry in entries:
        name = _name_in(found, entry.theirs, config)
        dataset = found.pop(name, None)
        if dataset is None:
            problems.append(f"{entry.theirs} is missing")
        elif not _shapes_agree(dataset.shape, entry.shape):
            problems.append(
                f"{name} has the shape {dataset.shape}, and the options ask for {entry.shape}"
            )
        elif dataset.dtype.kind != "f":
            problems.append(f"{name} must hold floating-point numbers, not {dataset.dtype}")
        else:
            array = dataset[...].astype(numpy.float32, copy=False)
            if not numpy.isfinite(array).all():
                problems.append(f"{name} has values that are not finite")
            for ours, ready in zip(entry.ours, entry.transform.read(array)):
                tensors[ours] = torch.from_numpy(numpy.ascontiguousarray(ready))
    problems += [f"{name} is not a part of such a model" for name in sorted(found)]
    if problems:
        raise CheckpointError(f"{path} cannot be used: " + "; ".join(problems))
    return tensors


def _is_dataset(item: object) -> bool:
    return isinstance(item, h5py.Dataset)


def _shapes_agree(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(found) == len(wanted) and all(
        size in (-1, found_size) for size, found_size in zip(wanted, found)
    )


def _name_in(found: dict[str, h5py.Dataset], name: str, config: ElmoConfig) -> str:
    # TensorFlow names the cells of a stack, and leaves that out where there is but one
    if config.lstm.num_layers == 1 and name not in found:
        return name.replace("/MultiRNNCell/Cell0", "")
    return name


def _read_options(path: Path) -> ElmoConfig:
    try:
        return ElmoConfig.from_options(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def _weights_in(folder: Path) -> Path:
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
