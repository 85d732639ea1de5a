"""Checkpoints of biLMs in every known format: which one a file is, reading it, writing it."""

import os
from pathlib import Path
from types import ModuleType
from typing import Optional, Union

import torch

from elmo_components.checkpoints import bilm_tf, native
from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError, check_agreement
from elmo_components.checkpoints.shipped import ENGLISH, resolve
from elmo_components.config import ElmoConfig

__all__ = ["ENGLISH", "Checkpoint", "CheckpointError", "identify", "load", "save"]

FORMATS = (native, bilm_tf)


def identify(path: Union[str, os.PathLike]) -> ModuleType:
    """
    Returns the module of the format of what stands at `path`, or comes with the package under that
    name.

    # Raises

    `FileNotFoundError` when nothing is there, `CheckpointError` when it is of no known format.
    """
    path = resolve(path)
    for checkpoint_format in FORMATS:
        if checkpoint_format.matches(path):
            return checkpoint_format
    raise CheckpointError(
        f"{path} is of no known format: it must be a .safetensors file of this package, an HDF5 "
        "file of weights with its options beside it, or a folder with such a pair"
    )


def load(
    path: Union[str, os.PathLike], config: Optional[ElmoConfig] = None, *, softmax: bool = False
) -> Checkpoint:
    """
    Reads a checkpoint of any known format.

    # Parameters

    path : `Union[str, os.PathLike]`
        A .safetensors file, an HDF5 file of weights, or a folder that holds options and weights;
        or `ENGLISH`, "english", for the model that comes with the package.
    config : `Optional[ElmoConfig]`
        The architecture it must have; `None` for the one that is found with it.
    softmax : `bool`
        Whether the softmax and its vocabulary are read too, where they are there. Embedding needs
        neither, and they may be larger than all the rest.

    # Raises

    `FileNotFoundError`, or `CheckpointError` that lists everything wrong with the file.
    """
    path = resolve(path)
    checkpoint = identify(path).load(path, config, softmax=softmax)
    if config is not None:
        check_agreement(checkpoint.config, config, path)
    return checkpoint


def save(
    checkpoint: Checkpoint,
    path: Union[str, os.PathLike],
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """
    Writes a checkpoint, to a file in the package's own format where `path` ends in
    .safetensors, else to a folder as `options.json`, `weights.hdf5` and, where the vocabulary is
    known, `vocab.txt`.

    # Parameters

    dtype : `torch.dtype`
        How numbers are stored: float32; or float16, in the package's own format only, which halves
        the file and rounds them.

    # Raises

    `CheckpointError` for what cannot be stored, and `ValueError` for another dtype.
    """
    path = Path(path)
    if path.suffix == native.SUFFIX:
        native.save(checkpoint, path, dtype=dtype)
    elif dtype == torch.float32:
        bilm_tf.save(checkpoint, path)
    else:
        raise ValueError(
            f"The published format must hold torch.float32; found {dtype}. A path that ends in "
            f"{native.SUFFIX} takes torch.float16 too"
        )
