"""
Embeds a file of sentences into a file of vectors, in constant memory; resumes after a kill.

Sentences are embedded window by window. Some windows are a part, and a part is one transaction.
Windows and parts follow from the sentences alone, and each part starts with an empty word cache: so
a resumed run gives the same numbers, to the last bit, as one that was not disturbed.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Callable, NamedTuple, Protocol

import numpy

from elmo_components.characters import CharacterMapper
from elmo_components.embedding.batches import MARKS, embed_sentences
from elmo_components.embedding.intake import Intake, OtherInput
from elmo_components.embedding.partial_file import MAX_BYTES, PartialFile, Progress, open_partial
from elmo_components.embedding.readers import Sentence, SentenceFile
from elmo_components.embedding.settings import EmbedSettings, agrees, recorded
from elmo_components.embedding.writers import Entry, format_of, write_vectors
from elmo_components.kernels import products
from elmo_components.modules.bilm import BiLm

__all__ = ["Summary", "embed_file", "partial_path"]

logger = logging.getLogger(__name__)


class Summary(NamedTuple):
    """
    What a run has done, together with the killed runs that it resumed: sentences embedded, failures
    that were reported and left out, and the records that were done before it started.
    """

    sentences: int
    failures: int
    resumed_at: int


class HasBiLm(Protocol):
    """An `Elmo`, whose module is above this one in the table of levels."""

    bilm: BiLm


def partial_path(destination: Path) -> Path:
    """Returns the file that holds the vectors of an unfinished run."""
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

    The output appears whole, at the end. Until then its vectors are in the file `partial_path`.
    After a kill the same call resumes there: it reads the finished part of the input again, which
    must be the same. The output has the same bytes as that of an undisturbed run.

    # Parameters

    elmo : `Elmo`
        On the device that computes.
    source : `SentenceFile`
        The sentences.
    destination : `Path`
        The file of vectors.
    settings : `EmbedSettings`
        What is written, and how.
    force : `bool`
        Whether to replace a file at `destination`, and an unfinished run with other settings or
        another input. A pipe with another input is always an error.
    report : `Callable[[str], None]`
        Called with a message for each sentence that is left out because it cannot be read.
    advance : `Callable[[int], None]`
        Called with the number of records done so far: at the start, then after each window.

    # Raises

    `FileNotFoundError`, `FileExistsError`; `OSError` where the disk is full; `ValueError` for
    damaged input, for an unfinished run with another input or other settings, and for what
    `settings` make an error.
    """
    settings.choice.check(elmo.bilm.config.num_layers)
    partial = partial_path(destination)
    if not destination.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {destination.parent}")
    records = source.records()
    exists = FileExistsError(f"{destination} exists. Use --force to replace it")
    if destination.exists() and not force and not partial.exists():
        raise exists
    conditions = recorded(elmo.bilm, source, destination, settings)
    with open_partial(partial, conditions, agrees=agrees, restart=force) as file:
        if destination.exists() and not force and not file.progress.is_packed:
            raise exists
        run = _Run(elmo.bilm, source, destination, settings, file, report, advance)
        try:
            return run.run(records)
        except OtherInput:
            # a pipe cannot be read a second time
            if not force or not source.path.is_file():
                raise
        file.restart()
        run = _Run(elmo.bilm, source, destination, settings, file, report, advance)
        return run.run(source.records())


class _Run:
    """The state of one call of `embed_file`."""

    def __init__(
        self,
        bilm: BiLm,
        source: SentenceFile,
        destination: Path,
        settings: EmbedSettings,
        partial: PartialFile,
        report: Callable[[str], None],
        advance: Callable[[int], None],
    ) -> None:
        self._bilm = bilm
        self._destination = destination
        self._settings = settings
        self._partial = partial
        self._advance = advance
        self._start = partial.progress
        self._sentences = self._start.sentences
        self._format = settings.output_format or format_of(destination)
        self._intake = Intake(
            source,
            settings,
            output_format=self._format,
            failures=self._start.failures,
            report=report,
        )

    def run(self, records: Iterator[bytes]) -> Summary:
        """Does what is left to do."""
        self._intake.skip(records, self._start, self._partial.path)
        self._advance(self._start.records)
        if not self._start.at_end:
            self._embed(records)
        self._pack()
        return Summary(self._sentences, self._intake.failures, self._start.records)

    def _embed(self, records: Iterator[bytes]) -> None:
        settings = self._settings
        products.adopt_choices(self._start.engines)
        self._bilm.char_cnn.clear_cache()
        number = self._start.records
        window: list[tuple[int, Sentence]] = []
        steps = windows = 0
        for record in records:
            sentence = self._intake.take(number, record)
            number += 1
            if sentence is None:
                continue
            window.append((number - 1, sentence))
            steps += len(sentence.tokens) + MARKS
            if steps < settings.window:
                continue
            self._write(window)
            window, steps, windows = [], 0, windows + 1
            if windows % settings.windows_a_part == 0:
                self._partial.commit(self._progress(number, at_end=False))
                self._bilm.char_cnn.clear_cache()
            self._advance(number)
        self._write(window)
        self._partial.commit(self._progress(number, at_end=True))
        self._advance(number)

    def _write(self, window: list[tuple[int, Sentence]]) -> None:
        """Embeds the sentences of a window and appends their vectors."""
        settings = self._settings
        embedded = embed_sentences(
            self._bilm,
            CharacterMapper.of(self._bilm.config.char_cnn),
            [sentence.tokens for _, sentence in window],
            layers=settings.choice.embedded,
            batch_size=settings.batch_size,
        )
        has_text = settings.keep_sentences or settings.sentence_keys
        for (number, sentence), vectors in zip(window, embedded):
            try:
                chosen = settings.choice.choose(vectors)
                if chosen.nbytes > MAX_BYTES:
                    raise ValueError(f"a sentence's vectors must fit in {MAX_BYTES:,} bytes")
            except ValueError as error:
                self._intake.refuse(number, str(error))
                continue
            self._partial.append(number, sentence.text if has_text else None, chosen)
            self._sentences += 1

    def _pack(self) -> None:
        """Writes the output from the partial file, which it then removes."""
        settings, config = self._settings, self._bilm.config
        dtype, size = settings.choice.dtype, config.output_size
        # -1 for the number of tokens
        shape = settings.choice.shape(-1, num_layers=config.num_layers, size=size)
        # this name, not a random one, so that the next run removes what a killed one has left
        temporary = self._partial.path.with_name(f"{self._partial.path.name}.output")
        temporary.unlink(missing_ok=True)
        needed = self._partial.path.stat().st_size
        free = shutil.disk_usage(temporary.parent).free
        # HDF5 may crash where the disk is full
        if free < needed:
            raise OSError(
                f"{self._destination} needs about {needed / 1e6:,.0f} MB of disk space, and "
                f"{free / 1e6:,.0f} MB are free. Free disk space; the same command resumes"
            )
        try:
            write_vectors(
                temporary,
                (
                    Entry(line, text or "", numpy.frombuffer(data, dtype).reshape(shape))
                    for line, text, data in self._partial.sentences()
                ),
                output_format=self._format,
                choice=settings.choice,
                num_layers=config.num_layers,
                size=size,
                sentence_keys=settings.sentence_keys,
                keep_sentences=settings.keep_sentences,
                refuse=self._refuse_key,
            )
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            self._partial.commit(replace(self._partial.progress, is_packed=True))
            os.replace(temporary, self._destination)
        finally:
            temporary.unlink(missing_ok=True)
        self._partial.remove()

    def _progress(self, records: int, *, at_end: bool) -> Progress:
        return Progress(
            records=records,
            digest=self._intake.digest,
            at_end=at_end,
            sentences=self._sentences,
            failures=self._intake.failures,
            engines=products.choices(),
        )

    def _refuse_key(self, number: int, why: str) -> None:
        """Leaves out a sentence that was counted as embedded."""
        self._intake.refuse(number, why)
        self._sentences -= 1
