"""The package's commands as AllenNLP's sub-commands: `allennlp elmo-embed` and the others."""

import argparse
from types import ModuleType

from allennlp.commands.subcommand import Subcommand
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Tokenizer

from elmo_components.commands import convert, embed, inspect, vocabulary
from elmo_components.commands.main import add_command
from elmo_components.pretraining.tokenization import WHITE_SPACE, Split, settings_of

__all__ = [
    "ConvertCommand",
    "EmbedCommand",
    "ExportCommand",
    "InspectCommand",
    "VocabularyCommand",
]

PREFIX = "elmo-"


class _Command(Subcommand):
    """A command of `elmo_components.commands`."""

    module: ModuleType

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        """Adds the command to a parser of commands."""
        name = self.name[len(PREFIX) :]
        command = add_command(parser, name, self.module, program=f"allennlp {PREFIX}")
        command.set_defaults(func=self._run)
        return command

    def _run(self, arguments: argparse.Namespace) -> None:
        try:
            self.run(arguments)
        # h5py raises OSError for files that it cannot read
        except (ValueError, OSError) as error:
            raise ConfigurationError(str(error)) from error

    def run(self, arguments: argparse.Namespace) -> None:
        """Runs the command."""
        self.module.run(arguments)


@Subcommand.register("elmo-convert")
class ConvertCommand(_Command):
    """
    Converts a biLM from one format to another, or takes it out of a model's archive.

    Registered as a `Subcommand` with name "elmo-convert".
    """

    module = convert


@Subcommand.register("elmo-export")
class ExportCommand(_Command):
    """
    The same as `elmo-convert`.

    Registered as a `Subcommand` with name "elmo-export".
    """

    module = convert


@Subcommand.register("elmo-embed")
class EmbedCommand(_Command):
    """
    Embeds a file of sentences.

    Registered as a `Subcommand` with name "elmo-embed".
    """

    module = embed


@Subcommand.register("elmo-inspect")
class InspectCommand(_Command):
    """
    Says what a checkpoint or an archive is and whether anything is wrong with it, or compares a
    word's vectors in its sentences.

    Registered as a `Subcommand` with name "elmo-inspect".
    """

    module = inspect


@Subcommand.register("elmo-vocabulary")
class VocabularyCommand(_Command):
    """
    Counts the vocabulary of a corpus, with any registered `Tokenizer`.

    Registered as a `Subcommand` with name "elmo-vocabulary".
    """

    module = vocabulary

    def run(self, arguments: argparse.Namespace) -> None:
        """Runs the command."""
        vocabulary.run(arguments, split_of)


def split_of(tokenizer: str) -> Split:
    """
    Returns the function that splits a line with a tokenizer, given its name or its JSON.

    # Raises

    `ConfigurationError` for an unknown tokenizer, and `ValueError` for broken JSON.
    """
    settings = settings_of(tokenizer)
    if settings == {"type": WHITE_SPACE}:
        # AllenNLP's does the same
        return str.split
    built = Tokenizer.from_params(Params(settings))
    return lambda line: " ".join(str(token.text) for token in built.tokenize(line)).split()
