"""The command that takes a biLM from one format into another."""

import argparse
from pathlib import Path
from typing import Optional

import torch
from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError

from elmo_components import checkpoints
from elmo_components.alphabet import CODE_POINTS
from elmo_components.checkpoints.allennlp import archive as allennlp_archive
from elmo_components.checkpoints.names import PUBLISHED, SHIPPED, resolve
from elmo_components.checkpoints.native import SUFFIX
from elmo_components.config import CharCnnConfig
from elmo_components.registered.commands.destination import (
    add_destination,
    as_configuration_errors,
    check_destination,
    destination_settings,
    write,
)
from elmo_components.registered.commands.parser import add_command

__all__ = ["ConvertCommand", "convert"]

EXAMPLE = f"""\
examples:
  allennlp elmo-convert small elmo-small{SUFFIX} --float16
  allennlp elmo-convert model.tar.gz elmo-of-model
  allennlp elmo-convert 179.zip elmo-of-many-langs --folder-format many_langs
"""


@Subcommand.register("elmo-convert")
class ConvertCommand(Subcommand):
    """
    Takes a biLM from any format that is read into one that is written.

    Registered as a `Subcommand` with name "elmo-convert".
    """

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        """Adds the command to a parser of commands."""
        description = "Take a biLM from one format into another, to the last bit."
        command = add_command(parser, self.name, description=description, epilog=EXAMPLE)
        names = ", ".join([*SHIPPED, *PUBLISHED])
        command.add_argument(
            "source",
            help=f"a checkpoint or an archive, in any known format; its address; or one of {names}",
        )
        add_destination(command)
        command.add_argument(
            "--options",
            help="the path or address of an options.json, for a source that does not say its own",
        )
        command.add_argument(
            "--part", help="which biLM of an archive that has several, as the error names them"
        )
        command.set_defaults(func=_run)
        return command


def convert(
    source: str,
    destination: Path,
    *,
    with_softmax: bool = True,
    dtype: torch.dtype = torch.float32,
    folder_format: str = "bilm_tf",
    force: bool = False,
    options: Optional[str] = None,
    part: Optional[str] = None,
) -> str:
    """
    Writes the biLM of a checkpoint or an archive in another format and returns a report.

    # Parameters

    source : `str`
        As `checkpoints.load` takes it.
    destination, dtype, folder_format
        See `write`.
    with_softmax : `bool`
        Whether a language model's softmax and vocabulary are written too.
    force : `bool`
        See `check_destination`.
    options : `Optional[str]`
        Where the `options.json` is that holds its numbers, for a source that does not say its own.
    part : `Optional[str]`
        Which biLM of an AllenNLP archive with several.

    # Raises

    `ConfigurationError` for a source that cannot be read, a destination that cannot be written or
    holds a checkpoint and not `force`, and for what the other format cannot hold.
    """
    check_destination(destination, dtype=dtype, force=force, folder_format=folder_format)
    with as_configuration_errors():
        config = None if options is None else checkpoints.read_options(options)
        if part is None:
            checkpoint = checkpoints.load(source, config, softmax=with_softmax)
        else:
            path = resolve(source)
            if not allennlp_archive.matches(path):
                raise ConfigurationError(f"--part is for an AllenNLP archive; found {path}")
            checkpoint = allennlp_archive.load(path, config, softmax=with_softmax, part=part)
    in_bilm_tf = destination.suffix != SUFFIX and folder_format == "bilm_tf"
    lost = _lost(checkpoint.config.char_cnn) if in_bilm_tf else []
    if lost:
        raise ConfigurationError(
            f"Only a destination that ends in {SUFFIX}, or is a folder of another --folder-format, "
            f"can hold {' and '.join(lost)}; found {destination}, in whose format bilm-tf and "
            "AllenNLP would read other words than were meant"
        )
    return write(checkpoint, destination, dtype=dtype, folder_format=folder_format)


def _run(arguments: argparse.Namespace) -> None:
    print(
        convert(
            arguments.source,
            **destination_settings(arguments),
            options=arguments.options,
            part=arguments.part,
        )
    )


def _lost(config: CharCnnConfig) -> list[str]:
    """Returns, in words, what stock readers of bilm-tf's format would not read."""
    lost = []
    if config.alphabet:
        lost.append(f"an alphabet of {len(config.alphabet):,} characters")
    if config.units == CODE_POINTS:
        lost.append("words read by code points")
    if config.words:
        lost.append(f"a table of {config.num_words:,} words")
    return lost
