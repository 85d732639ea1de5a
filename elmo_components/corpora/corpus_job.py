"""Runs the partitions of a corpus with an engine; a second start does only what is missing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Callable, NamedTuple

from elmo_components.corpora.manifest import SUCCESS, left_out, open_manifest, record_left_out
from elmo_components.corpora.partition_job import TEMPORARY, PartitionJob, Result
from elmo_components.corpora.partitions import Partition, Reading, find_partitions
from elmo_components.corpora.places import is_hidden, place_of
from elmo_components.corpora.work import Work
from elmo_components.embedding.settings import EmbedSettings

__all__ = ["CorpusSummary", "Engine", "local_engine", "run_corpus"]

# Yields what became of each partition, in any order. A generator, which is closed at its end.
Engine = Callable[[PartitionJob, Sequence[Partition]], Iterator[Result]]


class CorpusSummary(NamedTuple):
    """
    The numbers of partitions, and of those done before; the number of sentences written in this
    run; the number of those that finished partitions are without, except for what a killed run had
    counted; and the outputs that failed or were not begun.
    """

    partitions: int
    done_before: int
    sentences: int
    left_out: int
    missing: tuple[str, ...]


def local_engine(load: Callable[[], Work]) -> Engine:
    """Returns an engine that runs one partition after the other in this process."""

    def run(job: PartitionJob, partitions: Sequence[Partition]) -> Iterator[Result]:
        work = load()
        for partition in partitions:
            yield job.run(partition, work)

    return run


def run_corpus(
    inputs: Sequence[str],
    output: str,
    engine: Engine,
    *,
    reading: Reading,
    settings: EmbedSettings,
    conditions: Mapping[str, Any],
    force: bool = False,
    report: Callable[[str], None],
) -> CorpusSummary:
    """
    Writes one Parquet file for each partition of a corpus into a folder.

    Each file appears whole. `_SUCCESS` appears when all are there. A partition with an error is
    reported, and the others are written; a full disk ends the run.

    # Parameters

    inputs : `Sequence[str]`
        Files, folders and patterns. See `files_at`.
    output : `str`
        The folder: a path or a URI.
    engine : `Engine`
        What runs the partitions.
    reading, settings
        How sentences are read, and which are errors.
    conditions : `Mapping[str, Any]`
        All that changes the outputs, as JSON. A run with other conditions than those of the
        folder's outputs is an error.
    force : `bool`
        Whether to delete the outputs of earlier runs.
    report : `Callable[[str], None]`
        Called with a line for each partition and each sentence that is left out.

    # Raises

    `ValueError` for an output within an input that is a folder, where later starts would find it.
    `FileNotFoundError`, `FileExistsError`, `ValueError`: see `find_partitions` and `open_manifest`.
    """
    folder = place_of(output)
    for name in inputs:
        place = place_of(name)
        is_inside = str(folder).startswith(f"{place}/") and place.is_folder()
        is_file = folder.exists() and not folder.is_folder()
        if is_inside and not is_file and not is_hidden(folder.relative(place.path)):
            raise ValueError(f"The output {folder} must lie outside the input {place}")
    partitions = find_partitions(inputs, reading)
    for partition in partitions:
        if str(partition.source).startswith(f"{folder}/"):
            raise ValueError(
                f"{partition.source} is an input in the folder of the outputs, {folder}. Give a "
                "folder outside the inputs"
            )
    done = open_manifest(folder, conditions, partitions, restart=force)
    pending = {one.output: one for one in partitions if one.output not in done}
    if done:
        report(f"{len(done):,} of {len(partitions):,} partitions were done before")
    sentences = 0
    numbers: dict[str, int] = {}
    if pending:
        job = PartitionJob(folder, reading, settings)
        try:
            with closing(engine(job, list(pending.values()))) as results:  # type: ignore[type-var]
                for result in results:
                    for message in result.messages:
                        report(message)
                    report(str(result))
                    if result.is_disk_full:
                        report(
                            "The disk is full: the run ends. Free disk space; the same command "
                            "resumes"
                        )
                        break
                    if not result.error:
                        del pending[result.output]
                        sentences += result.sentences
                        numbers[result.output] = result.left_out
        finally:
            # once, also after Ctrl-C, since a manifest may be large and far away
            if any(numbers.values()):
                record_left_out(folder, numbers)
    if not pending:
        folder.joined(TEMPORARY).remove()
        folder.joined(SUCCESS).write(b"")
    finished = {one.output for one in partitions} - set(pending)
    number = left_out(folder, finished)
    return CorpusSummary(len(partitions), len(done), sentences, number, tuple(pending))
