"""Tags the sentences of a corpus with an AllenNLP tagger: entities as columns of Parquet."""

import argparse
import hashlib
import importlib
from functools import partial
from pathlib import Path

from elmo_components.commands.engines import (
    LOCAL,
    Payload,
    add_engine_arguments,
    add_reading_arguments,
    run_with_engine,
)
from elmo_components.embedding.batches import BATCH_SIZE
from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.settings import EMPTY_LINES, EmbedSettings
from elmo_components.pretraining.tokenization import SPACY_BLANK, TOKENIZERS

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = "Tag the sentences of a corpus with an AllenNLP tagger."
EXAMPLES = """examples:
  elmo predict output/ner/model.tar.gz news.txt entities/
  elmo predict output/ner/model.tar.gz 'news/*.jsonl.gz' entities/ --field text --engine ray

After a kill, the same command resumes. Exit status 1: some partitions failed; the same command does
them. Exit status 3: done, but some sentences were reported and left out."""

# It needs AllenNLP, which no other command does, so it is imported by name.
TAGGED_CORPUS = "elmo_components.registered.tagged_corpus"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to a parser."""
    add = parser.add_argument
    add("archive", help="the model.tar.gz of a tagger, as allennlp train writes it")
    add(
        "input_file",
        nargs="+",
        help="text with one sentence per line, JSON lines (.jsonl) or Parquet (.parquet); .gz and "
        ".xz are decompressed; folders, patterns, and addresses such as s3://bucket/corpus",
    )
    add("output_file", metavar="output", help="a folder")
    add_reading_arguments(parser)
    add(
        "--tokenizer",
        default=SPACY_BLANK,
        help=f"what splits strings into tokens: {', '.join(TOKENIZERS)}, or JSON such as "
        '{"type": "spacy_blank", "language": "de"}; default: spaCy\'s rules for English',
    )
    add(
        "--empty-lines",
        choices=EMPTY_LINES,
        default="error",
        help="for a line without tokens: fail (default), write a row without words, leave it out",
    )
    add("--strict", action="store_true", help="fail at a sentence that cannot be read")
    add("--force", action="store_true", help="delete what earlier runs wrote, and start again")
    add("--batch-size", type=int, default=BATCH_SIZE, help="the number of sentences tagged at once")
    add("--cuda-device", type=int, default=-1, help="the number of a GPU; -1 for the CPU")
    add_engine_arguments(parser, default=LOCAL)


def run(arguments: argparse.Namespace) -> None:
    """Tags the corpus and prints a summary."""
    archive = Path(arguments.archive)
    if not archive.exists():
        raise FileNotFoundError(
            f"There is no archive {archive}. Give the model.tar.gz of a tagger, as "
            "`allennlp train` writes it"
        )
    tagged_corpus = importlib.import_module(TAGGED_CORPUS)
    tagged_corpus.check_tagger(archive)
    settings = EmbedSettings(
        VectorChoice("top"),
        batch_size=arguments.batch_size,
        empty_lines=arguments.empty_lines,
        strict=arguments.strict,
    )
    # a worker of Ray sees only the GPU that Ray gives it
    on_ray = arguments.engine != LOCAL
    cuda_device = min(arguments.cuda_device, 0) if on_ray else arguments.cuda_device
    content = archive.read_bytes()
    load = partial(tagged_corpus.load_tag_work, settings=settings, cuda_device=cuda_device)
    conditions = {"archive": hashlib.sha256(content).hexdigest()}
    payload = Payload(content, len(content), load)
    run_with_engine("predict", arguments, payload, settings, conditions)
