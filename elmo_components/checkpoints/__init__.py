"""Reads and writes checkpoints of biLMs in every known format, and identifies formats."""

import os
from pathlib import Path
from types import ModuleType
from typing import Optional, Union

import torch

from elmo_components.checkpoints import bilm_tf, many_langs, native
from elmo_components.checkpoints.allennlp import archive as allennlp_archive
from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError, check_agreement
from elmo_components.checkpoints.download import fetch, is_address
from elmo_components.checkpoints.names import resolve
from elmo_components.checkpoints.parameters import check_tensors
from elmo_components.checkpoints.untrusted.archives import WEIGHTS_NAMES
from elmo_components.config import ElmoConfig

__all__ = ["Checkpoint", "CheckpointError", "identify", "load", "read_options", "save"]

# a training folder may have HDF5 files too, such as vectors
FORMATS = (native, many_langs, allennlp_archive, bilm_tf)
# Those that are written as a folder.
FOLDER_FORMATS = {"bilm_tf": bilm_tf, "many_langs": many_langs}
# Weights that are read from a folder, beside those that end in .hdf5.
WEIGHTS = {native.MODEL_NAME, *WEIGHTS_NAMES, *many_langs.PICKLES}


def identify(path: Union[str, os.PathLike]) -> ModuleType:
    """
    Returns the module of the format of the checkpoint at a path, address or name; see `load`.

    # Raises

    `FileNotFoundError`, or `CheckpointError` for an unknown format.
    """
    return _format_of(resolve(path))


def load(
    path: Union[str, os.PathLike], config: Optional[ElmoConfig] = None, *, softmax: bool = False
) -> Checkpoint:
    """
    Reads a checkpoint of any known format.

    # Parameters

    path : `Union[str, os.PathLike]`
        A .safetensors file, an HDF5 file of weights, a folder or a zip with options and weights,
        an ELMoForManyLangs model, or an AllenNLP archive or training folder; the `https://`
        address of one of these, or a name in `names.SHIPPED` or `names.PUBLISHED`. Downloads go
        to the cache of the `cached_path` package; the options of HDF5 weights are downloaded too.
    config : `Optional[ElmoConfig]`
        The architecture that it must have; `None` for its own.
    softmax : `bool`
        Whether to read the softmax and its vocabulary too, if present. Embedding does not need
        them, and they may be larger than the biLM.

    # Raises

    `FileNotFoundError`, or `CheckpointError` that lists all defects of the file.
    """
    path = resolve(path, options_needed=config is None)
    checkpoint = _format_of(path).load(path, config, softmax=softmax)
    if config is not None:
        check_agreement(checkpoint.config, config, path)
    return checkpoint


def read_options(path: Union[str, os.PathLike]) -> ElmoConfig:
    """
    Returns the sizes in the `options.json` at a path or an address.

    # Raises

    `FileNotFoundError`, or `CheckpointError` for a failed download or a defect.
    """
    name = os.fspath(path)
    if not is_address(name) and not os.path.exists(name):
        raise FileNotFoundError(f"There is no file {name}")
    return bilm_tf.read_options(fetch(name) if is_address(name) else Path(path))


def save(
    checkpoint: Checkpoint,
    path: Union[str, os.PathLike],
    *,
    dtype: torch.dtype = torch.float32,
    folder_format: str = "bilm_tf",
) -> None:
    """
    Writes a checkpoint: to one file if `path` ends in .safetensors, else to a folder.

    # Parameters

    dtype : `torch.dtype`
        float32; or float16, for a .safetensors file, which halves its size and rounds the values.
    folder_format : `str`
        "bilm_tf" for `options.json`, `weights.hdf5` and, if the vocabulary is known, `vocab.txt`;
        "many_langs" for the files of ELMoForManyLangs.

    # Raises

    `CheckpointError` for tensors that are missing, unknown, of another shape or not finite, for a
    biLM that the format cannot store, and for a folder with files that would be read instead of
    those written; `ValueError` for an unknown dtype or format.
    """
    path = Path(path)
    if folder_format not in FOLDER_FORMATS:
        names = ", ".join(FOLDER_FORMATS)
        raise ValueError(f"The folder_format must be one of {names}; found {folder_format!r}")
    check_tensors(checkpoint)
    if path.suffix == native.SUFFIX:
        native.save(checkpoint, path, dtype=dtype)
    elif dtype == torch.float32:
        check_folder(path, folder_format)
        FOLDER_FORMATS[folder_format].save(checkpoint, path)
    else:
        raise ValueError(
            f"A folder must hold torch.float32; found {dtype}. A path that ends in "
            f"{native.SUFFIX} takes torch.float16 too"
        )


def check_folder(path: Path, folder_format: str) -> None:
    """
    Checks that a folder, which may be new, has no other weights.

    # Raises

    `CheckpointError` for weights that `load` may read instead of those that `save` writes.
    """
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    others = sorted(
        name
        for name in names.difference(FOLDER_FORMATS[folder_format].FILES)
        if name in WEIGHTS or name.endswith(".hdf5")
    )
    if others:
        raise CheckpointError(
            f"{path} has other weights, which may be read instead: {', '.join(others)}. Give a new "
            "folder"
        )


def _format_of(path: Path) -> ModuleType:
    for checkpoint_format in FORMATS:
        if checkpoint_format.matches(path):
            return checkpoint_format
    raise CheckpointError(
        f"{path} is of no known format. It must be a .safetensors file of this package, HDF5 "
        "weights with options, a folder or a zip of these or of an ELMoForManyLangs model, or an "
        "AllenNLP model.tar.gz or training folder"
    )
