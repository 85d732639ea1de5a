"""The command that takes the biLM out of an AllenNLP archive."""

import argparse
from pathlib import Path

import torch
from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError

from elmo_components.checkpoints.allennlp import archive as allennlp_archive
from elmo_components.registered.commands.destination import (
    add_destination,
    as_configuration_errors,
    check_destination,
    destination_settings,
    write,
)
from elmo_components.registered.commands.parser import add_command

__all__ = ["ExportCommand", "export"]

EXAMPLE = """\
example:
  allennlp elmo-export output/bilm/model.tar.gz output/bilm.safetensors
"""


@Subcommand.register("elmo-export")
class ExportCommand(Subcommand):
    """
    Writes the biLM of a trained model as a checkpoint.

    Registered as a `Subcommand` with name "elmo-export".
    """

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        """Adds the command to a parser of commands."""
        description = "Write the biLM of a trained model as a checkpoint."
        command = add_command(parser, self.name, description=description, epilog=EXAMPLE)
        command.add_argument("archive", help="a model.tar.gz, or a folder that was trained in")
        add_destination(command)
        command.set_defaults(func=_run)
        return command


def export(
    archive: Path,
    destination: Path,
    *,
    with_softmax: bool = True,
    dtype: torch.dtype = torch.float32,
    folder_format: str = "bilm_tf",
    force: bool = False,
) -> str:
    """
    Writes the biLM of an archive and returns a report.

    # Parameters

    archive : `Path`
        A `model.tar.gz`, or the folder of a training, of an `elmo_language_model` or of any model
        with one biLM, such as an `elmo` embedder's. An alphabet is written in either format, and in
        bilm-tf's for this package alone.
    destination, dtype, folder_format
        See `write`.
    force : `bool`
        See `check_destination`.
    with_softmax : `bool`
        Whether a language model's softmax and vocabulary are written too. Tied and adaptive ones
        never are.

    # Raises

    `ConfigurationError` for what is no archive or has no biLM, or several; and for a destination
    that cannot be written, or holds a checkpoint and not `force`.
    """
    check_destination(destination, dtype=dtype, force=force, folder_format=folder_format)
    if not archive.exists():
        raise ConfigurationError(f"There is no archive at {archive}")
    if not allennlp_archive.matches(archive):
        raise ConfigurationError(
            f"{archive} must be a whole model.tar.gz, or a folder that AllenNLP has trained in"
        )
    with as_configuration_errors():
        checkpoint = allennlp_archive.load(archive, softmax=with_softmax)
    return write(checkpoint, destination, dtype=dtype, folder_format=folder_format)


def _run(arguments: argparse.Namespace) -> None:
    print(export(Path(arguments.archive), **destination_settings(arguments)))
