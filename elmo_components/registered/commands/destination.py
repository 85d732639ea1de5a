"""Where the commands that write checkpoints write them, and how."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError

from elmo_components import checkpoints
from elmo_components.checkpoints import Checkpoint
from elmo_components.checkpoints.bilm_tf.format import OPTIONS_NAME, WEIGHTS_NAME
from elmo_components.checkpoints.many_langs.format import MODEL_CONFIG_NAME, NAMES
from elmo_components.checkpoints.native import SUFFIX
from elmo_components.checkpoints.vocabulary_file import VOCABULARY_NAME

__all__ = [
    "add_destination",
    "as_configuration_errors",
    "check_destination",
    "destination_settings",
    "write",
]

PUBLISHED = (OPTIONS_NAME, WEIGHTS_NAME, VOCABULARY_NAME)
# The files of each form of a folder.
FILES = {"bilm_tf": PUBLISHED, "many_langs": (*NAMES, MODEL_CONFIG_NAME)}
# Ends of names that are read and cannot be written, and would make a folder of a misleading name.
READ_ONLY = (".hdf5", ".h5", ".gz", ".zip", ".pkl", ".th")


def add_destination(command: argparse.ArgumentParser) -> None:
    """Adds where to write, and how."""
    command.add_argument(
        "destination",
        help=f"a {SUFFIX} file; or a folder for {', '.join(PUBLISHED)}, as bilm-tf has them",
    )
    command.add_argument(
        "--folder-format",
        choices=FILES,
        default="bilm_tf",
        help="what a folder is to hold: bilm-tf's files, or ELMoForManyLangs'",
    )
    command.add_argument(
        "--without-softmax", action="store_true", help="leave out what predicts words"
    )
    command.add_argument(
        "--float16", action="store_true", help=f"halve a {SUFFIX} file, by rounding"
    )
    command.add_argument("--force", action="store_true", help="replace files of these names")


def destination_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns what `add_destination` added, under the names that `convert` and `export` take."""
    return {
        "destination": Path(arguments.destination),
        "with_softmax": not arguments.without_softmax,
        "dtype": torch.float16 if arguments.float16 else torch.float32,
        "folder_format": arguments.folder_format,
        "force": arguments.force,
    }


def check_destination(
    destination: Path, *, dtype: torch.dtype, force: bool, folder_format: str = "bilm_tf"
) -> None:
    """
    Sees, before anything is computed, whether a checkpoint can be written.

    # Parameters

    dtype, folder_format
        See `checkpoints.save`.
    force : `bool`
        Whether files of the same names are replaced.

    # Raises

    `ConfigurationError` for a destination that cannot be written, or holds a checkpoint and not
    `force`.
    """
    to_file = destination.suffix == SUFFIX
    if destination.suffix in READ_ONLY:
        raise ConfigurationError(
            f"The destination must be a file that ends in {SUFFIX} or a folder; found "
            f"{destination}, and {destination.suffix} files are read here and not written"
        )
    if dtype != torch.float32 and not to_file:
        raise ConfigurationError(
            f"A destination of {dtype} must end in {SUFFIX}, since the others' files hold float32; "
            f"found {destination}"
        )
    if destination.exists() and destination.is_dir() == to_file:
        raise ConfigurationError(
            f"The destination must be a file that ends in {SUFFIX} or else a folder; found "
            f"{destination}, which is a {'folder' if to_file else 'file'}"
        )
    files = [destination] if to_file else [destination / name for name in FILES[folder_format]]
    found = [str(path) for path in files if path.exists()]
    if found and not force:
        raise ConfigurationError(f"There is {', '.join(found)} already; --force replaces it")


def write(
    checkpoint: Checkpoint, destination: Path, *, dtype: torch.dtype, folder_format: str = "bilm_tf"
) -> str:
    """
    Writes a checkpoint, reads it again and compares; returns a report.

    # Parameters

    destination, dtype, folder_format
        As `checkpoints.save` takes them.

    # Raises

    `ConfigurationError` for what the format cannot hold.
    """
    with as_configuration_errors():
        checkpoints.save(checkpoint, destination, dtype=dtype, folder_format=folder_format)
    softmax = (
        f"a softmax of {checkpoint.num_words:,} words" if checkpoint.num_words else "no softmax"
    )
    number = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    return f"{number:,} numbers, with {softmax}, in {destination}"


@contextmanager
def as_configuration_errors() -> Iterator[None]:
    """Within it, what a checkpoint's file is at fault for is a `ConfigurationError`."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        raise ConfigurationError(str(error)) from error
