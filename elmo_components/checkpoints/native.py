"""
Our own format: one safetensors file with the biLM's sizes in its metadata, alone or in a folder
with a `config.json`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import safetensors
import torch
from safetensors.torch import save as serialized

from elmo_components.alphabet import listed, shown
from elmo_components.checkpoints.atomic import atomic_write
from elmo_components.checkpoints.checkpoint import (
    SOFTMAX_NAMES,
    Checkpoint,
    CheckpointError,
    check_agreement,
    check_written,
    mismatches,
)
from elmo_components.checkpoints.name_map import Entry, to_ours
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.checkpoints.untrusted.json_text import parse_json, read_object
from elmo_components.config import ElmoConfig

__all__ = ["CONFIG_NAME", "DTYPES", "MODEL_NAME", "SUFFIX", "load", "matches", "save"]

SUFFIX = ".safetensors"
# The files in a folder, as in a repository on the Hugging Face Hub.
MODEL_NAME, CONFIG_NAME = "model.safetensors", "config.json"
LENGTH_BYTES = 8
FORMAT = "elmo_components"
VERSION = "1"
VOCABULARY_KEY = "vocabulary"
# The dtypes that can be written, and safetensors' names of those that can be read.
DTYPES = (torch.float32, torch.float16)
STORED = ("F32", "F16", "BF16")
# In bytes: a vocabulary of two million words, and a whole header.
MAX_VOCABULARY = 32 << 20
MAX_HEADER = 2 * MAX_VOCABULARY


def matches(path: Path) -> bool:
    """Whether `path` is named as a safetensors file, or is a folder with `model.safetensors`."""
    return (path / MODEL_NAME).is_file() or (path.suffix == SUFFIX and path.is_file())


def load(path: Path, config: Optional[ElmoConfig] = None, *, softmax: bool = False) -> Checkpoint:
    """
    Reads a file, or the one in a folder, whose `config.json` must have the same sizes. All tensors
    become float32, in memory of their own, so that the file can be replaced. `config` has no
    effect: the file has its own sizes.

    # Raises

    `CheckpointError` for a file that is broken, of another kind, or has values that are not finite.
    """
    if path.is_dir():
        checkpoint = load(path / MODEL_NAME, softmax=softmax)
        if (path / CONFIG_NAME).is_file():
            check_agreement(checkpoint.config, _config_in(path), path / MODEL_NAME)
        return checkpoint
    _check_header_length(path)
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            config = _read_config(metadata)
            wanted = parameter_shapes(config)
            parts = {
                name: file.get_slice(name)
                for name in file.keys()  # noqa: SIM118
                if name not in SOFTMAX_NAMES or softmax
            }
            # before any tensor is read
            problems = mismatches(
                {
                    name: part.get_shape()
                    for name, part in parts.items()
                    if name not in SOFTMAX_NAMES
                },
                wanted,
            )
            problems += [
                f"{name} must hold {', '.join(STORED)}, not {part.get_dtype()}"
                for name, part in parts.items()
                if part.get_dtype() not in STORED
            ]
            if problems:
                raise CheckpointError(listed(problems))
            entries = [Entry((name,), name, part.get_shape()) for name, part in parts.items()]
            read = ((name, file.get_tensor(name).to(torch.float32, copy=True)) for name in parts)
            tensors = to_ours(entries, read)
        return Checkpoint(config, tensors, _read_vocabulary(metadata) if softmax else None)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def save(checkpoint: Checkpoint, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """
    Writes a file. It is read back and compared before it replaces an existing one.

    # Raises

    `CheckpointError` for values that are not finite or too large for `dtype`, and `ValueError` for
    a dtype other than float32 and float16.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(map(str, DTYPES))}; found {dtype}")
    tensors = {
        name: tensor.detach().cpu().to(dtype).contiguous()
        for name, tensor in checkpoint.tensors.items()
    }
    too_large = [
        name
        for name, tensor in checkpoint.tensors.items()
        if torch.isfinite(tensor).all() and not torch.isfinite(tensors[name]).all()
    ]
    if too_large:
        raise CheckpointError(
            f"Values must be within {torch.finfo(dtype).max:g} to be stored as {dtype}; found "
            f"larger ones in {', '.join(too_large)}"
        )
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "options": json.dumps(checkpoint.config.to_options(), ensure_ascii=False),
    }
    if checkpoint.vocabulary is not None:
        metadata[VOCABULARY_KEY] = json.dumps(checkpoint.vocabulary, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        # save_file makes a file that only its owner can read
        temporary.write_bytes(serialized(tensors, metadata=metadata))
        rounded = Checkpoint(checkpoint.config, tensors, checkpoint.vocabulary)
        check_written(load(temporary, softmax=True), rounded, path)


def _config_in(folder: Path) -> ElmoConfig:
    try:
        return ElmoConfig.from_options(read_object(folder / CONFIG_NAME))
    except ValueError as error:
        raise CheckpointError(f"{folder / CONFIG_NAME} cannot be used: {error}") from error


def _check_header_length(path: Path) -> None:
    # safetensors allocates what a header declares, up to 100 MB and its contents
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > MAX_HEADER:
        raise CheckpointError(
            f"{path} is not a whole safetensors file: its header must have at most {MAX_HEADER:,} "
            f"bytes; found {length:,}"
        )


def _read_config(metadata: Mapping[str, str]) -> ElmoConfig:
    found = tuple(map(metadata.get, ("format", "version")))
    if found != (FORMAT, VERSION):
        raise CheckpointError(
            f"its metadata must have the format {FORMAT!r} in version {VERSION!r}; found "
            f"{shown(found[0])} in version {shown(found[1])}"
        )
    return ElmoConfig.from_options(parse_json(metadata.get("options", "null")))


def _read_vocabulary(metadata: Mapping[str, str]) -> Optional[tuple[str, ...]]:
    if VOCABULARY_KEY not in metadata:
        return None
    words = parse_json(metadata[VOCABULARY_KEY], limit=MAX_VOCABULARY)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise CheckpointError(f"{VOCABULARY_KEY} must be a list of strings")
    return tuple(words)
