"""Our own format: one safetensors file whose metadata holds the biLM's numbers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import safetensors
import torch
from safetensors.torch import save as serialized

from elmo_components.checkpoints.checkpoint import (
    SOFTMAX_NAMES,
    Checkpoint,
    CheckpointError,
    brief,
    listed,
)
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.checkpoints.untrusted.json_text import parse_json
from elmo_components.config import ElmoConfig

__all__ = ["load", "matches", "save"]

SUFFIX = ".safetensors"
# The length of the header comes first.
LENGTH_BYTES = 8
FORMAT = "elmo_components"
VERSION = "1"
VOCABULARY_KEY = "vocabulary"
DTYPES = (torch.float32, torch.float16)
# the same as safetensors names them
STORED = ("F32", "F16")
# In bytes: a vocabulary of two million words, and all that may stand beside it.
MAX_VOCABULARY = 32 << 20
MAX_HEADER = 2 * MAX_VOCABULARY


def matches(path: Path) -> bool:
    """Whether `path` is named as a safetensors file."""
    return path.suffix == SUFFIX and path.is_file()


def load(path: Path, config: Optional[ElmoConfig] = None, *, softmax: bool = False) -> Checkpoint:
    """
    Reads the file at `path`, which holds its own numbers; `config` is not needed. With `softmax`,
    reads the softmax and its vocabulary too, where they are there. All tensors come as float32.

    # Raises

    `CheckpointError` where the file is broken, of another kind, or not finite.
    """
    _check_header_length(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            config = _read_config(metadata, path)
            shapes = parameter_shapes(config)
            problems: list[str] = []
            tensors: dict[str, torch.Tensor] = {}
            for name in file.keys():  # noqa: SIM118
                if name in SOFTMAX_NAMES and not softmax:
                    continue
                # a name and a shape take no memory, and numbers that do not belong here might
                part = file.get_slice(name)
                shape, dtype = tuple(part.get_shape()), part.get_dtype()
                if name not in shapes and name not in SOFTMAX_NAMES:
                    problems.append(f"{name} is not a parameter")
                elif shape != shapes.get(name, shape):
                    problems.append(f"{name} is of shape {shape}, not {shapes[name]}")
                elif dtype not in STORED:
                    problems.append(f"{name} must hold {' or '.join(STORED)}, not {dtype}")
                else:
                    tensors[name] = file.get_tensor(name).float()
                    if not torch.isfinite(tensors[name]).all():
                        problems.append(f"{name} has values that are not finite")
            found = set(file.keys())
            problems += [f"{name} is missing" for name in shapes if name not in found]
            vocabulary = _read_vocabulary(metadata, path) if softmax else None
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    if problems:
        raise CheckpointError(f"{path} cannot be used: {listed(problems)}")
    try:
        return Checkpoint(config, tensors, vocabulary)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def save(checkpoint: Checkpoint, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """
    Writes the file `path`, under another name first; that is read again and compared before it
    replaces what was there.

    # Parameters

    dtype : `torch.dtype`
        How numbers are stored, float32 or float16, which is compared as rounded.

    # Raises

    `CheckpointError` that lists the tensors with values beyond the dtype or not finite, and
    `ValueError` for another dtype.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(map(str, DTYPES))}; found {dtype}")
    tensors = {
        name: tensor.detach().cpu().to(dtype).contiguous()
        for name, tensor in checkpoint.tensors.items()
    }
    beyond = [
        name
        for name, tensor in checkpoint.tensors.items()
        if torch.isfinite(tensor).all() and not torch.isfinite(tensors[name]).all()
    ]
    if beyond:
        raise CheckpointError(
            f"Values must lie within {torch.finfo(dtype).max:g} to be stored as {dtype}; found "
            f"larger ones in {', '.join(beyond)}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "options": json.dumps(checkpoint.config.to_options(), ensure_ascii=False),
    }
    if checkpoint.vocabulary is not None:
        metadata[VOCABULARY_KEY] = json.dumps(checkpoint.vocabulary, ensure_ascii=False)
    try:
        # save_file would give the file no more than its owner's permissions
        temporary.write_bytes(serialized(tensors, metadata=metadata))
        written = load(temporary, softmax=True)
        numbers, words = checkpoint.config, checkpoint.vocabulary
        if (written.config, written.vocabulary) != (numbers, words) or not all(
            torch.equal(written.tensors[name], tensor.float()) for name, tensor in tensors.items()
        ):
            raise CheckpointError(f"The checkpoint did not come back as it was written to {path}")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _check_header_length(path: Path) -> None:
    # the library takes as much memory as a file asks for, up to 100 MB and their contents
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > MAX_HEADER:
        raise CheckpointError(
            f"{path} is not a whole safetensors file: its header must have at most {MAX_HEADER:,} "
            f"bytes; found {length:,}"
        )


def _read_config(metadata: Mapping[str, str], path: Path) -> ElmoConfig:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} must have the metadata format {FORMAT!r}; "
            f"found {brief(metadata.get('format'))}"
        )
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {brief(metadata.get('version'))} of the format; "
            f"this package reads {VERSION!r}"
        )
    try:
        return ElmoConfig.from_options(parse_json(metadata.get("options", "null")))
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def _read_vocabulary(metadata: Mapping[str, str], path: Path) -> Optional[tuple[str, ...]]:
    if VOCABULARY_KEY not in metadata:
        return None
    try:
        words = parse_json(metadata[VOCABULARY_KEY], limit=MAX_VOCABULARY)
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {VOCABULARY_KEY}: {error}") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise CheckpointError(f"{path} cannot be used: {VOCABULARY_KEY} must be a list of strings")
    return tuple(words)
