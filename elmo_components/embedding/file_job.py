"""
Embeds a file of sentences into a file of vectors, in constant memory; resumes after a kill.

Sentences are embedded window by window. Several windows are a part, and a part is one transaction.
Windows and parts depend on the sentences alone, and each part starts with an empty word cache: so a
resumed run gives the same bits as an uninterrupted one.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Callable, NamedTuple, Protocol

import numpy

from elmo_components.config import ElmoConfig
from elmo_components.embedding.intake import Intake, OtherInput
from elmo_components.embedding.partial_file import PartialFile, Progress, open_partial
from elmo_components.embedding.readers import SentenceFile
from elmo_components.embedding.settings import EmbedSettings, agrees, recorded
from elmo_components.embedding.windows import embed_window, windows_of
from elmo_components.embedding.writers import Entry, format_of, write_vectors
from elmo_components.modules.bilm import BiLm

__all__ = ["Summary", "embed_file", "partial_path"]

logger = logging.getLogger(__name__)


class Summary(NamedTuple):
    """
    The numbers of sentences embedded and of failures left out, in this run and those that it
    resumed, and the number of records that were done before this run.
    """

    sentences: int
    failures: int
    resumed_at: int


class HasBiLm(Protocol):
    """An `Elmo`, which this module must not import."""

    bilm: BiLm


def partial_path(destination: Path) -> Path:
    """Returns the file with the vectors of an unfinished run."""
    return destination.with_name(f"{destination.name}.partial")


def embed_file(
    elmo: HasBiLm,
    source: SentenceFile,
    destination: Path,
    settings: EmbedSettings,
    *,
    force: bool = False,
    report: Callable[[str], None] = logger.error,
    advance: Callable[[int], None] = lambda records: None,
) -> Summary:
    """
    Embeds the sentences of a file and writes their vectors to another file.

    The output appears at the end. Until then its vectors are in the file `partial_path`. After a
    kill the same call resumes: it reads the input again, whose finished part must be the same. The
    output has the same bytes as that of an uninterrupted run.

    # Parameters

    force : `bool`
        Whether to replace a file at `destination`, and an unfinished run with other settings or
        another input. A pipe with another input is always an error.
    report : `Callable[[str], None]`
        Called with a message for each sentence that cannot be read and is left out.
    advance : `Callable[[int], None]`
        Called with the number of finished records: at the start, then after each window.

    # Raises

    `FileNotFoundError`, `FileExistsError`, `IsADirectoryError`; `OSError` for a full disk;
    `ValueError` for damaged input, for an unfinished run with another input or other settings, and
    for sentences that are errors by `settings`.
    """
    settings.choice.check(elmo.bilm.config.num_layers)
    partial = partial_path(destination)
    if not destination.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {destination.parent}")
    if destination.is_dir():
        raise IsADirectoryError(f"{destination} is a folder. The output must be a file")
    if destination.exists() and source.path.exists() and destination.samefile(source.path):
        raise FileExistsError(f"{destination} is the input. Give the output another name")
    records = source.records()
    exists = FileExistsError(f"{destination} exists. Use --force to replace it")
    if destination.exists() and not force and not partial.exists():
        raise exists
    conditions = recorded(elmo.bilm, source, destination, settings)
    output_format = settings.output_format or format_of(destination)
    with open_partial(partial, conditions, agrees=agrees, restart=force) as file:
        if destination.exists() and not force and not file.progress.is_packed:
            raise exists
        intake = Intake(source, settings, output_format, file.progress.failures, report)
        try:
            intake.skip(records, file.progress, partial)
        except OtherInput:
            # a pipe cannot be read a second time
            if not force or not source.path.is_file():
                raise
            file.restart()
            records = source.records()
            intake = Intake(source, settings, output_format, 0, report)
        resumed_at = file.progress.records
        advance(resumed_at)
        if not file.progress.at_end:
            _embed(elmo.bilm, records, intake, file, settings, advance)
        sentences = _pack(elmo.bilm.config, destination, output_format, intake, file, settings)
        return Summary(sentences, intake.failures, resumed_at)


def _embed(
    bilm: BiLm,
    records: Iterator[bytes],
    intake: Intake,
    partial: PartialFile,
    settings: EmbedSettings,
    advance: Callable[[int], None],
) -> None:
    """Embeds the remaining records into the partial file."""
    bilm.char_cnn.clear_cache()
    has_text = settings.keep_sentences or settings.sentence_keys
    number = partial.progress.records
    for window in windows_of(records, intake, settings, number=number):
        for entry in embed_window(bilm, window, intake, settings):
            partial.append(entry.line, entry.text if has_text else None, entry.vectors)
        number = window.records
        if window.ends_part:
            partial.commit(Progress(number, intake.digest, False, False, intake.failures))
            bilm.char_cnn.clear_cache()
        advance(number)
    partial.commit(Progress(number, intake.digest, True, False, intake.failures))


def _pack(
    config: ElmoConfig,
    destination: Path,
    output_format: str,
    intake: Intake,
    partial: PartialFile,
    settings: EmbedSettings,
) -> int:
    """Writes the output, removes the partial file, and returns the number of sentences."""
    # a fixed name, so that the next run removes the file of a killed one
    temporary = partial.path.with_name(f"{partial.path.name}.output")
    temporary.unlink(missing_ok=True)
    needed = partial.path.stat().st_size
    free = shutil.disk_usage(temporary.parent).free
    # HDF5 may crash on a full disk
    if free < needed:
        raise OSError(
            f"{destination} needs about {needed / 1e6:,.0f} MB of disk space, and "
            f"{free / 1e6:,.0f} MB are free. Free disk space; the same command resumes"
        )
    choice = settings.choice
    sizes = {"num_layers": config.num_layers, "size": config.output_size}
    # -1 for the number of tokens
    shape = choice.shape(-1, **sizes)
    failures, sentences = intake.failures, 0

    def entries() -> Iterator[Entry]:
        nonlocal sentences
        for line, text, data in partial.sentences():
            yield Entry(line, text or "", numpy.frombuffer(data, choice.dtype).reshape(shape))
            sentences += 1

    try:
        write_vectors(
            temporary,
            entries(),
            output_format=output_format,
            choice=choice,
            sentence_keys=settings.sentence_keys,
            keep_sentences=settings.keep_sentences,
            refuse=intake.refuse,
            **sizes,
        )
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        partial.commit(replace(partial.progress, is_packed=True))
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)
    partial.remove()
    return sentences - (intake.failures - failures)
