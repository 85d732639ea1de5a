"""Embeds a file of sentences: AllenNLP 0.9's `allennlp elmo`, and more. Embeds a corpus."""

import argparse
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Optional, Union

import torch
from tqdm import tqdm

from elmo_components.checkpoints.names import ENGLISH
from elmo_components.commands.engines import (
    FAILURES,
    LOCAL,
    Payload,
    add_engine_arguments,
    add_reading_arguments,
    check_engine_arguments,
    run_with_engine,
)
from elmo_components.corpora.work import arrays_of, load_embed_work
from elmo_components.elmo import Elmo
from elmo_components.embedding import writers
from elmo_components.embedding.batches import BATCH_SIZE
from elmo_components.embedding.file_job import Summary, embed_file, partial_path
from elmo_components.embedding.readers import SentenceFile
from elmo_components.embedding.selection import POOLINGS, VectorChoice
from elmo_components.embedding.settings import (
    DUPLICATES,
    EMPTY_LINES,
    EmbedSettings,
    model_fingerprint,
)
from elmo_components.modules.lstm import PRECISIONS
from elmo_components.pretraining.tokenization import TOKENIZERS, WHITE_SPACE

__all__ = ["DESCRIPTION", "EXAMPLES", "FAILURES", "add_arguments", "run"]

DESCRIPTION = "Write the ELMo vectors of the sentences in a file, or in all files of a corpus."
EXAMPLES = """examples:
  elmo embed sentences.txt vectors.hdf5 --all
  zcat corpus.jsonl.gz | elmo embed - vectors.parquet --average --float16 \\
      --input-format jsonl --field tokens --empty-lines skip
  elmo embed reviews.parquet reviews.npz --layer-weights 0.2,0.5,0.3 --pooling mean
  elmo embed corpus/ 'more/*.jsonl.gz' vectors/ --average --pooling mean --engine ray --workers 2

After a kill, the same command resumes. Exit status 3: done, but some sentences were reported and
left out. Exit status 1, with --engine: some partitions failed; the same command does them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to a parser."""
    add = parser.add_argument
    add(
        "input_file",
        nargs="+",
        help="text with one sentence per line and white space between tokens, JSON lines (.jsonl) "
        "or Parquet (.parquet); .gz and .xz are decompressed; - for standard input. With --engine "
        "also several, folders, patterns, and addresses such as s3://bucket/corpus",
    )
    add("output_file", help=".hdf5, .parquet or .npz; with --engine, a folder")
    layers = parser.add_mutually_exclusive_group(required=True)
    layers.add_argument("--all", action="store_true", help="all layers: (layers, tokens, size)")
    layers.add_argument("--top", action="store_true", help="the top layer: (tokens, size)")
    layers.add_argument("--average", action="store_true", help="the mean of all layers")
    layers.add_argument("--layer", type=int, help="one layer; 0 is the character encoder's")
    layers.add_argument(
        "--layer-weights", help="the sum of the layers with these weights, such as 0.2,0.5,0.3"
    )
    add("--pooling", choices=POOLINGS, help="one vector per sentence: the mean or the maximum")
    add("--float16", action="store_true", help="round the numbers to halve the file")
    add(
        "--weight-file",
        default=ENGLISH,
        help=f"what Elmo.from_pretrained takes; default: {ENGLISH!r}, which is in this package",
    )
    add("--options-file", help="the options.json of HDF5 weights in another folder")
    add("--vocab-path", help="accepted for AllenNLP 0.9's scripts, without effect")
    add(
        "--use-sentence-keys",
        action="store_true",
        help="use the sentence as the key, not its line from 0",
    )
    add(
        "--forget-sentences",
        action="store_true",
        help="leave out sentence_to_index, which needs memory for all sentences",
    )
    add_reading_arguments(parser)
    add("--output-format", choices=writers.FORMATS, help="default: by the suffix")
    add(
        "--empty-lines",
        choices=EMPTY_LINES,
        default="error",
        help="for a line without tokens: end the run (default), write no vectors, leave it out",
    )
    add(
        "--duplicates",
        choices=DUPLICATES,
        default="error",
        help="for a sentence key that came before: end the run (default), leave it out",
    )
    add("--strict", action="store_true", help="end the run at a sentence that cannot be read")
    add(
        "--force",
        action="store_true",
        help="replace the output, and an unfinished run with other settings or another input",
    )
    add(
        "--tokenizer",
        default=WHITE_SPACE,
        help=f"what splits strings into tokens: {', '.join(TOKENIZERS)}, or JSON such as "
        '{"type": "spacy_blank", "language": "de"}; default: white space',
    )
    add(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of the LSTMs, used where it is faster on this machine; default: float32",
    )
    add(
        "--batch-size",
        type=int,
        default=BATCH_SIZE,
        help="the number of sentences computed at once",
    )
    add("--cuda-device", type=int, default=-1, help="the number of a GPU; -1 for the CPU")
    add("--file-friendly-logging", action="store_true", help="print the progress in lines")
    add_engine_arguments(parser, default=None)


def run(arguments: argparse.Namespace) -> None:
    """Embeds the file or the corpus and prints a summary."""
    if arguments.engine is not None:
        _embed_corpus(arguments)
        return
    if len(arguments.input_file) > 1:
        raise ValueError(
            f"{len(arguments.input_file)} inputs need --engine local or --engine ray, which write "
            "a folder. Without an engine, give one input and one output file"
        )
    check_engine_arguments(arguments)
    destination = Path(arguments.output_file)
    try:
        summary = _embed(arguments, destination)
    except KeyboardInterrupt:
        print(f"The same command resumes with {partial_path(destination)}")
        raise
    if summary.resumed_at:
        print(f"{summary.resumed_at:,} records were done before")
    print(f"{summary.sentences:,} sentences in {destination}")
    if summary.failures:
        print(f"{summary.failures:,} sentences failed and are left out")
        sys.exit(FAILURES)


def _embed(arguments: argparse.Namespace, destination: Path) -> Summary:
    source = SentenceFile(
        Path(arguments.input_file[0]),
        format=arguments.input_format,
        field=arguments.field,
        tokenizer=arguments.tokenizer,
    )
    settings = _settings(arguments)
    elmo = _elmo(arguments).to(_device(arguments.cuda_device))
    progress = _Progress(source, in_lines=arguments.file_friendly_logging)
    try:
        return embed_file(
            elmo, source, destination, settings, force=arguments.force, advance=progress.advance
        )
    finally:
        progress.close()


def _embed_corpus(arguments: argparse.Namespace) -> None:
    if arguments.output_format not in (None, writers.PARQUET):
        raise ValueError(
            f"--engine writes Parquet; found --output-format {arguments.output_format}"
        )
    if arguments.use_sentence_keys:
        raise ValueError(
            "--engine writes lines and sentences as columns, without --use-sentence-keys"
        )
    settings = _settings(arguments)
    bilm = _elmo(arguments).bilm
    settings.choice.check(bilm.config.num_layers)
    arrays = arrays_of(bilm)
    conditions = {
        "model": model_fingerprint(bilm),
        "precision": bilm.lstm.precision,
        **asdict(settings.choice),
        "keep_sentences": settings.keep_sentences,
        "window": settings.window,
        "windows_a_part": settings.windows_a_part,
    }
    load = partial(
        load_embed_work,
        config=bilm.config,
        precision=bilm.lstm.precision,
        device=_device_name(arguments),
        settings=settings,
    )
    payload = Payload(arrays, sum(array.nbytes for array in arrays.values()), load)
    run_with_engine("embed", arguments, payload, settings, conditions)


def _settings(arguments: argparse.Namespace) -> EmbedSettings:
    return EmbedSettings(
        VectorChoice(_layers(arguments), pooling=arguments.pooling, float16=arguments.float16),
        output_format=arguments.output_format,
        sentence_keys=arguments.use_sentence_keys,
        keep_sentences=not arguments.forget_sentences,
        batch_size=arguments.batch_size,
        empty_lines=arguments.empty_lines,
        duplicates=arguments.duplicates,
        strict=arguments.strict,
    )


def _elmo(arguments: argparse.Namespace) -> Elmo:
    return Elmo.from_pretrained(
        arguments.weight_file, options=arguments.options_file, precision=arguments.precision
    )


def _device_name(arguments: argparse.Namespace) -> str:
    if arguments.engine == LOCAL:
        return str(_device(arguments.cuda_device))
    # the machine of a worker has it, which sees only the one that Ray gives it
    return "cuda" if arguments.cuda_device >= 0 else "cpu"


def _layers(arguments: argparse.Namespace) -> Union[str, int, tuple[float, ...]]:
    if arguments.layer is not None:
        return arguments.layer
    if arguments.layer_weights is not None:
        try:
            return tuple(float(weight) for weight in arguments.layer_weights.split(","))
        except ValueError as error:
            raise ValueError(
                "--layer-weights must be numbers separated by commas; found "
                f"{arguments.layer_weights!r}"
            ) from error
    return "all" if arguments.all else "top" if arguments.top else "mean"


def _device(number: int) -> torch.device:
    if number < 0:
        return torch.device("cpu")
    if number >= torch.cuda.device_count():
        raise ValueError(
            f"--cuda-device must be -1 or the number of one of {torch.cuda.device_count()} GPUs; "
            f"found {number}"
        )
    return torch.device("cuda", number)


class _Progress:
    """A progress bar in sentences that starts at the number of finished ones."""

    def __init__(self, source: SentenceFile, *, in_lines: bool) -> None:
        self._source = source
        self._in_lines = in_lines
        self._bar: Optional[tqdm] = None

    def advance(self, records: int) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=self._source.count(),
                initial=records,
                unit=" sentences",
                file=_Lines() if self._in_lines else None,
                mininterval=10.0 if self._in_lines else 0.1,
            )
        self._bar.update(records - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class _Lines:
    """Writes each state of a progress bar to standard error as a line of its own."""

    def write(self, text: str) -> None:
        if text.strip():
            sys.stderr.write(text.strip("\r\n") + "\n")

    def flush(self) -> None:
        sys.stderr.flush()
