"""The command that takes the biLM out of an AllenNLP archive."""

import argparse
import tarfile
import zlib
from pathlib import Path

import torch
from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError
from allennlp.models import Model

from elmo_components import checkpoints
from elmo_components.bilm import BiLm
from elmo_components.checkpoints import Checkpoint
from elmo_components.checkpoints.bilm_tf import OPTIONS_NAME, WEIGHTS_NAME
from elmo_components.checkpoints.native import SUFFIX
from elmo_components.checkpoints.vocabulary_file import VOCABULARY_NAME
from elmo_components.registered.language_model import ElmoLanguageModel

__all__ = ["ExportCommand", "export"]

PUBLISHED = (OPTIONS_NAME, WEIGHTS_NAME, VOCABULARY_NAME)

# What AllenNLP raises on what is no archive, or is not whole.
_ARCHIVE_ERRORS = (tarfile.TarError, zlib.error, EOFError, FileNotFoundError)


@Subcommand.register("elmo-export")
class ExportCommand(Subcommand):
    """
    Writes the biLM of a trained model as a checkpoint.

    Registered as a `Subcommand` with name "elmo-export".
    """

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        """Adds the command to a parser of commands."""
        description = "Write the biLM of a trained model as a checkpoint."
        command = parser.add_parser(self.name, description=description, help=description)
        command.add_argument("archive", help="a model.tar.gz, or a folder that was trained in")
        command.add_argument(
            "destination",
            help=f"a {SUFFIX} file; or a folder for {', '.join(PUBLISHED)}, as bilm-tf has them",
        )
        command.add_argument(
            "--without-softmax", action="store_true", help="leave out what predicts words"
        )
        command.add_argument(
            "--float16", action="store_true", help=f"halve a {SUFFIX} file, by rounding"
        )
        command.add_argument("--force", action="store_true", help="replace files of these names")
        command.set_defaults(func=_run)
        return command


def export(
    archive: Path,
    destination: Path,
    *,
    with_softmax: bool = True,
    dtype: torch.dtype = torch.float32,
    force: bool = False,
) -> str:
    """
    Writes the biLM of an archive and returns a report.

    # Parameters

    archive : `Path`
        A `model.tar.gz`, or the folder of a training, of an `elmo_language_model` or of any model
        with one biLM, such as an `elmo` embedder's.
    destination : `Path`
        As `checkpoints.save` takes it.
    with_softmax : `bool`
        Whether a language model's softmax and vocabulary are written too. Tied and adaptive ones
        never are.
    dtype : `torch.dtype`
        See `checkpoints.save`.
    force : `bool`
        Whether files of the same names are replaced.

    # Raises

    `ConfigurationError` for what is no archive or has no biLM, or several; and for a destination
    that cannot be written, or holds a checkpoint and not `force`.
    """
    _check_destination(destination, force)
    if dtype != torch.float32 and destination.suffix != SUFFIX:
        raise ConfigurationError(
            f"A destination of {dtype} must end in {SUFFIX}, since bilm-tf's files hold float32; "
            f"found {destination}"
        )
    checkpoint = _checkpoint_of(_load(archive), archive)
    if not with_softmax:
        checkpoint = checkpoint.without_softmax()
    checkpoints.save(checkpoint, destination, dtype=dtype)
    softmax = (
        f"a softmax of {checkpoint.num_words:,} words" if checkpoint.num_words else "no softmax"
    )
    number = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    return f"{number:,} numbers, with {softmax}, in {destination}"


def _run(arguments: argparse.Namespace) -> None:
    print(
        export(
            Path(arguments.archive),
            Path(arguments.destination),
            with_softmax=not arguments.without_softmax,
            dtype=torch.float16 if arguments.float16 else torch.float32,
            force=arguments.force,
        )
    )


def _check_destination(destination: Path, force: bool) -> None:
    to_file = destination.suffix == SUFFIX
    if destination.exists() and destination.is_dir() == to_file:
        raise ConfigurationError(
            f"The destination must be a file that ends in {SUFFIX} or else a folder; found "
            f"{destination}, which is a {'folder' if to_file else 'file'}"
        )
    files = [destination] if to_file else [destination / name for name in PUBLISHED]
    found = [str(path) for path in files if path.exists()]
    if found and not force:
        raise ConfigurationError(f"There is {', '.join(found)} already; --force replaces it")


def _load(archive: Path) -> Model:
    if not archive.exists():
        raise ConfigurationError(f"There is no archive at {archive}")
    try:
        return Model.from_archive(str(archive))
    except _ARCHIVE_ERRORS as error:
        raise ConfigurationError(
            f"{archive} must be a whole model.tar.gz, or a folder that AllenNLP has trained in: "
            f"{error}"
        ) from error


def _checkpoint_of(model: Model, archive: Path) -> Checkpoint:
    if isinstance(model, ElmoLanguageModel):
        return model.to_checkpoint()
    found = {name: part for name, part in model.named_modules() if isinstance(part, BiLm)}
    if len(found) != 1:
        raise ConfigurationError(
            f"{archive} must hold one biLM, of an elmo_language_model or an elmo embedder; found "
            f"{', '.join(found) or 'none'} in a {type(model).__name__}"
        )
    (bilm,) = found.values()
    return Checkpoint(bilm.config, bilm.state_dict())
