"""Our own format: one safetensors file whose metadata holds the biLM's numbers."""

import json
import os
from pathlib import Path
from typing import Optional

import safetensors
import torch
from safetensors.torch import save as serialized

from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError
from elmo_components.config import ElmoConfig

__all__ = ["load", "matches", "save"]

SUFFIX = ".safetensors"
FORMAT = "elmo_components"
VERSION = "1"


def matches(path: Path) -> bool:
    """Whether `path` is named as a safetensors file."""
    return path.suffix == SUFFIX and not path.is_dir()


def load(path: Path, config: Optional[ElmoConfig] = None) -> Checkpoint:
    """
    Reads the file at `path`, which holds its own numbers; `config` is not needed.

    # Raises

    `CheckpointError` where the file is broken, of another kind, or not finite.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(
                    f"{path} must have the metadata format {FORMAT!r}; "
                    f"found {metadata.get('format')!r}"
                )
            if metadata.get("version") != VERSION:
                raise CheckpointError(
                    f"{path} has version {metadata.get('version')!r} of the format; "
                    f"this package reads {VERSION!r}"
                )
            try:
                config = ElmoConfig.from_options(json.loads(metadata.get("options", "null")))
            except ValueError as error:
                raise CheckpointError(f"{path} cannot be used: {error}") from error
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} has values that are not finite in {', '.join(broken)}")
    return Checkpoint(config, tensors)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """
    Writes the file `path`, under another name first; that is read again and compared before it
    replaces what was there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
    }
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "options": json.dumps(checkpoint.config.to_options()),
    }
    try:
        # save_file would give the file no more than its owner's permissions
        temporary.write_bytes(serialized(tensors, metadata=metadata))
        written = load(temporary)
        if written.config != checkpoint.config or not all(
            torch.equal(written.tensors[name], tensor) for name, tensor in tensors.items()
        ):
            raise CheckpointError(f"The checkpoint did not come back as it was written to {path}")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
