"""The command that embeds a file of sentences: AllenNLP 0.9's `allennlp elmo`, and more."""

import argparse
import logging
from pathlib import Path
from typing import Any, Optional, Union

import torch
from allennlp.commands.subcommand import Subcommand
from allennlp.common import logging as common_logging
from allennlp.common.checks import ConfigurationError
from allennlp.common.tqdm import Tqdm

from elmo_components.checkpoints.names import ENGLISH
from elmo_components.checkpoints.vocabulary_file import read_vocabulary
from elmo_components.elmo import Elmo
from elmo_components.embedding import readers, writers
from elmo_components.embedding.file_job import Summary, embed_file, folder_of
from elmo_components.embedding.readers import SentenceFile
from elmo_components.embedding.selection import POOLINGS, VectorChoice
from elmo_components.embedding.settings import DUPLICATES, EMPTY_LINES, EmbedSettings
from elmo_components.modules.char_cnn import CACHE_SIZE
from elmo_components.registered.commands.parser import add_command

__all__ = ["EmbedCommand"]

logger = logging.getLogger(__name__)

# The status at the end where sentences were left out, which is neither an error's, 1, nor that of a
# wrong command line, 2.
FAILURES = 3

EPILOG = """examples:
  allennlp elmo-embed sentences.txt vectors.hdf5 --all
  zcat corpus.jsonl.gz | allennlp elmo-embed - vectors.parquet --average --float16 \\
      --input-format jsonl --field tokens --empty-lines skip
  allennlp elmo-embed reviews.parquet reviews.npz --layer-weights 0.2,0.5,0.3 --pooling mean

The same command goes on where a killed one stopped. Exit status 3: done, but for the sentences that
were reported."""


@Subcommand.register("elmo-embed")
class EmbedCommand(Subcommand):
    """
    Embeds a file of sentences.

    Registered as a `Subcommand` with name "elmo-embed".
    """

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        """Adds the command to a parser of commands."""
        description = "Write the ELMo vectors of the sentences in a file."
        command = add_command(parser, self.name, description=description, epilog=EPILOG)
        command.add_argument(
            "input_file",
            help="a sentence a line, tokens parted by white space; or JSON lines (.jsonl) or "
            "Parquet (.parquet); .gz and .xz are read too; - for what is piped in",
        )
        command.add_argument("output_file", help=".hdf5, .parquet or .npz")
        _add_layers(command)
        _add_model(command)
        _add_files(command)
        command.add_argument(
            "--batch-size", type=int, default=64, help="how many sentences are computed at once"
        )
        command.add_argument(
            "--cuda-device", type=int, default=-1, help="the GPU's number; -1 for the CPU"
        )
        command.add_argument(
            "--file-friendly-logging",
            action="store_true",
            help="write the progress in lines, and less often",
        )
        command.set_defaults(func=_run)
        return command


def _add_layers(command: argparse.ArgumentParser) -> None:
    layers = command.add_mutually_exclusive_group(required=True)
    layers.add_argument("--all", action="store_true", help="all layers: (layers, tokens, size)")
    layers.add_argument("--top", action="store_true", help="the top layer: (tokens, size)")
    layers.add_argument("--average", action="store_true", help="the mean of all layers")
    layers.add_argument("--layer", type=int, help="one layer; 0 is the character encoder's")
    layers.add_argument(
        "--layer-weights", help="the layers' sum with these weights, such as 0.2,0.5,0.3"
    )
    command.add_argument(
        "--pooling", choices=POOLINGS, help="one vector a sentence: its tokens' mean or maximum"
    )
    command.add_argument("--float16", action="store_true", help="halve the file, by rounding")


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--weight-file",
        default=ENGLISH,
        help=f"what Elmo.from_pretrained takes; without it {ENGLISH!r}, of this package",
    )
    command.add_argument(
        "--options-file", help="the options.json of HDF5 weights, where it is not beside them"
    )
    command.add_argument(
        "--vocab-path", help="a file of words, one a line, whose vectors are computed once"
    )


def _add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--use-sentence-keys",
        action="store_true",
        help="key vectors by their sentence, not by its line from 0",
    )
    command.add_argument(
        "--forget-sentences",
        action="store_true",
        help="leave out sentence_to_index, which holds the sentences and is made in memory",
    )
    command.add_argument("--input-format", choices=readers.FORMATS, help="whatever the ending is")
    command.add_argument("--output-format", choices=writers.FORMATS, help="whatever the ending is")
    command.add_argument(
        "--field",
        help="the key of JSON objects, or the column of a table, with a string or a list of "
        f"tokens; without it the first there is of {', '.join(readers.FIELDS)}",
    )
    command.add_argument(
        "--empty-lines",
        choices=EMPTY_LINES,
        default="error",
        help="what to do where there is no token: stop (default), write no vectors, pass over",
    )
    command.add_argument(
        "--duplicates",
        choices=DUPLICATES,
        default="error",
        help="what to do where a sentence that is a key comes again: stop (default), pass over",
    )
    command.add_argument(
        "--strict", action="store_true", help="stop at a sentence that cannot be read"
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="replace the output, and what a killed run of other settings has left",
    )


def _run(arguments: argparse.Namespace) -> None:
    if arguments.file_friendly_logging:
        common_logging.FILE_FRIENDLY_LOGGING = True
    destination = Path(arguments.output_file)
    try:
        summary = _embed(arguments, destination)
    # h5py raises OSError too, for what it cannot read
    except (ValueError, OSError) as error:
        raise ConfigurationError(str(error)) from error
    except KeyboardInterrupt:
        print(f"The same command goes on with what is in {folder_of(destination)}")
        raise
    if summary.resumed_at:
        print(f"{summary.resumed_at:,} records were done before")
    print(f"{summary.sentences:,} sentences in {destination}")
    if summary.failures:
        print(f"{summary.failures:,} sentences failed, and are left out")
        raise SystemExit(FAILURES)


def _embed(arguments: argparse.Namespace, destination: Path) -> Summary:
    source = SentenceFile(
        Path(arguments.input_file), format=arguments.input_format, field=arguments.field
    )
    words = read_vocabulary(Path(arguments.vocab_path)) if arguments.vocab_path else ()
    settings = EmbedSettings(
        VectorChoice(_layers(arguments), pooling=arguments.pooling, float16=arguments.float16),
        output_format=arguments.output_format,
        sentence_keys=arguments.use_sentence_keys,
        keep_sentences=not arguments.forget_sentences,
        batch_size=arguments.batch_size,
        empty_lines=arguments.empty_lines,
        duplicates=arguments.duplicates,
        strict=arguments.strict,
        vocabulary=words,
    )
    elmo = Elmo.from_pretrained(
        arguments.weight_file,
        options=arguments.options_file,
        word_cache_size=CACHE_SIZE + len(words),
    ).to(_device(arguments.cuda_device))
    bar = _Bar(source)
    try:
        return embed_file(
            elmo,
            source,
            destination,
            settings,
            force=arguments.force,
            report=bar.report,
            advance=bar.advance,
        )
    finally:
        bar.close()


def _layers(arguments: argparse.Namespace) -> Union[str, int, tuple[float, ...]]:
    if arguments.layer is not None:
        return arguments.layer
    if arguments.layer_weights is not None:
        try:
            return tuple(float(weight) for weight in arguments.layer_weights.split(","))
        except ValueError as error:
            raise ValueError(
                f"--layer-weights must be numbers, with commas between; found "
                f"{arguments.layer_weights!r}"
            ) from error
    return "all" if arguments.all else "top" if arguments.top else "mean"


def _device(number: int) -> torch.device:
    if number < 0:
        return torch.device("cpu")
    if number >= torch.cuda.device_count():
        raise ValueError(
            f"--cuda-device must be a GPU's number or -1; found {number}, and "
            f"{torch.cuda.device_count()} GPUs"
        )
    return torch.device("cuda", number)


class _Bar:
    """A progress bar, in sentences a second, that starts where the run does."""

    def __init__(self, source: SentenceFile) -> None:
        self._source = source
        self._bar: Optional[Any] = None

    def advance(self, records: int) -> None:
        if self._bar is None:
            total = self._source.count()
            self._bar = Tqdm.tqdm(total=total, initial=records, unit=" sentences")
        self._bar.update(records - self._bar.n)

    def report(self, message: str) -> None:
        logger.error("%s", message)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
