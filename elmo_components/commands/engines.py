"""What commands over a corpus share: the choice of an engine, and the summary of a run."""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

import torch

from elmo_components.corpora.corpus_job import Engine, local_engine, run_corpus
from elmo_components.corpora.partitions import Reading
from elmo_components.corpora.work import Work
from elmo_components.embedding.readers import FIELDS, FORMATS, PIPE
from elmo_components.embedding.settings import EmbedSettings

__all__ = [
    "FAILED",
    "FAILURES",
    "LOCAL",
    "Payload",
    "add_engine_arguments",
    "add_reading_arguments",
    "check_engine_arguments",
    "run_with_engine",
]

LOCAL, RAY = "local", "ray"

# The exit statuses if partitions failed, and if sentences were left out; 2 is that of wrong
# arguments.
FAILED, FAILURES = 1, 3


@dataclass(frozen=True)
class Payload:
    """
    What workers share, and what makes their work of it.

    # Parameters

    content : `Any`
        A model's arrays, or an archive's bytes.
    size : `int`
        Its bytes.
    load : `Callable[[Any], Work]`
        Makes the work; it can be pickled.
    """

    content: Any
    size: int
    load: Callable[[Any], Work]


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say what is in the input."""
    add = parser.add_argument
    add("--input-format", choices=FORMATS, help="default: by the suffix")
    add(
        "--field",
        help="the key of JSON objects, or the column of a table, with a string or a list of "
        f"tokens; default: the first that exists of {', '.join(FIELDS)}",
    )


def add_engine_arguments(parser: argparse.ArgumentParser, *, default: Optional[str]) -> None:
    """Adds the arguments of engines to a command's."""
    add = parser.add_argument
    add(
        "--engine",
        choices=(LOCAL, RAY),
        default=default,
        help="write one Parquet file for each partition of a corpus into a folder: in this "
        "process, or on Ray; default: " + (default or "one input, one output file"),
    )
    add(
        "--address",
        help="of a Ray cluster, such as auto; default: that in RAY_ADDRESS, else Ray is started on "
        "this machine",
    )
    add("--workers", type=int, help="the most workers of Ray; default: as many as have CPUs")
    add("--threads", type=int, help="the CPUs and threads of a worker of Ray; default: 1")


def check_engine_arguments(arguments: argparse.Namespace) -> None:
    """Raises `ValueError` for arguments of Ray with another engine or none."""
    given = (arguments.address, arguments.workers, arguments.threads)
    if arguments.engine != RAY and any(value is not None for value in given):
        found = f"--engine {arguments.engine}" if arguments.engine else "no --engine"
        raise ValueError(
            f"--address, --workers and --threads are for --engine {RAY}; found {found}"
        )


def run_with_engine(
    command: str,
    arguments: argparse.Namespace,
    payload: Payload,
    settings: EmbedSettings,
    conditions: Mapping[str, Any],
) -> None:
    """
    Runs a command over a corpus, prints a line for each partition and a summary, and ends the
    process unless all is well.

    # Parameters

    conditions : `Mapping[str, Any]`
        What changes the outputs, on top of how sentences are read.
    """
    if str(PIPE) in arguments.input_file:
        raise ValueError("--engine must read files; found - for standard input")
    check_engine_arguments(arguments)
    on_ray = arguments.engine == RAY
    reading = Reading(arguments.input_format, arguments.field, arguments.tokenizer)
    if arguments.threads is None:
        arguments.threads = 1
    threads = arguments.threads if on_ray else torch.get_num_threads()
    summary = run_corpus(
        arguments.input_file,
        arguments.output_file,
        _ray_engine(arguments, payload)
        if on_ray
        else local_engine(lambda: payload.load(payload.content)),
        reading=reading,
        settings=settings,
        conditions={
            "command": command,
            **conditions,
            "input_format": reading.format,
            "field": reading.field,
            "tokenizer": reading.tokenizer,
            "batch_size": settings.batch_size,
            "empty_lines": settings.empty_lines,
            "device": "cuda" if arguments.cuda_device >= 0 else "cpu",
            "rounding": [torch.__version__, threads],
        },
        force=arguments.force,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(
        f"{summary.sentences:,} sentences in {arguments.output_file}; "
        f"{summary.partitions - len(summary.missing):,} of {summary.partitions:,} partitions are "
        f"done, {summary.done_before:,} of them before"
    )
    if summary.missing:
        shown = ", ".join(summary.missing[:10]) + (", ..." if len(summary.missing) > 10 else "")
        print(f"Not done: {shown}. The same command does what is missing")
        sys.exit(FAILED)
    if summary.left_out:
        print(f"{summary.left_out:,} sentences failed and are left out")
        sys.exit(FAILURES)


def _ray_engine(arguments: argparse.Namespace, payload: Payload) -> Engine:
    # torch's threads of a worker that reads it before `torch.set_num_threads`
    os.environ.setdefault("OMP_NUM_THREADS", str(arguments.threads))
    # here, since it is an extra
    from elmo_components.integrations.ray_data.engine import ray_engine

    return ray_engine(
        payload.content,
        payload.load,
        payload_bytes=payload.size,
        address=arguments.address,
        workers=arguments.workers,
        threads=arguments.threads,
        gpus=1 if arguments.cuda_device >= 0 else 0,
    )
