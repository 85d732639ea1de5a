"""
Embeds a file of sentences into a file of vectors, in constant memory; resumes after a kill.

Sentences are embedded window by window. Some windows are a part, and a part is one transaction.
Windows and parts follow from the sentences alone, and each part starts with an empty word cache: so
a resumed run gives the same numbers, to the last bit, as one that was not disturbed.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, NamedTuple, Optional, Protocol

import numpy

from elmo_components.characters import CharacterMapper
from elmo_components.embedding.batches import MARKS, embed_sentences
from elmo_components.embedding.partial_file import MAX_BYTES, PartialFile, Progress, open_partial
from elmo_components.embedding.readers import Sentence, SentenceFile
from elmo_components.embedding.settings import EmbedSettings, agrees, recorded
from elmo_components.embedding.writers import Entry, format_of, key_problem, write_vectors
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
        except _OtherInput:
            # a pipe cannot be read a second time
            if not force or not source.path.is_file():
                raise
        file.restart()
        run = _Run(elmo.bilm, source, destination, settings, file, report, advance)
        return run.run(source.records())


class _OtherInput(ValueError):
    """The input differs from what the unfinished run has read."""


@dataclass
class _Run:
    """The state of one call of `embed_file`."""

    bilm: BiLm
    source: SentenceFile
    destination: Path
    settings: EmbedSettings
    partial: PartialFile
    report: Callable[[str], None]
    advance: Callable[[int], None]

    def __post_init__(self) -> None:
        self._format = self.settings.output_format or format_of(self.destination)
        self._digest = hashlib.sha256()
        self._keys: set[bytes] = set()
        self._start = self.partial.progress
        self._sentences = self._start.sentences
        self._failures = self._start.failures

    def run(self, records: Iterator[bytes]) -> Summary:
        """Does what is left to do."""
        self._read_again(records)
        self.advance(self._start.records)
        if not self._start.at_end:
            self._embed(records)
        self._pack()
        return Summary(self._sentences, self._failures, self._start.records)

    def _read_again(self, records: Iterator[bytes]) -> None:
        """Skips the records that are done, after checking that they are the same."""
        done = self._start
        for number in range(done.records):
            record = next(records, None)
            if record is None:
                raise self._other(f"it ends after {number} of {done.records} records")
            self._add_to_digest(record)
            if self.settings.sentence_keys:
                try:
                    self._is_new(self.source.parse(record))
                except ValueError:
                    # it was reported before
                    continue
        if done.records and self._digest.hexdigest() != done.digest:
            raise self._other(f"the first {done.records} records differ")
        if done.at_end and next(records, None) is not None:
            raise self._other(f"it has more than {done.records} records")

    def _other(self, difference: str) -> _OtherInput:
        path = self.partial.path
        again = "use --force" if self.source.path.is_file() else f"delete {path}"
        return _OtherInput(
            f"{self.source.path} is not the input of the unfinished run {path}: {difference}. "
            f"Give it the same input, or {again} to start again"
        )

    def _embed(self, records: Iterator[bytes]) -> None:
        settings = self.settings
        products.adopt_choices(self._start.engines)
        self.bilm.char_cnn.clear_cache()
        number = self._start.records
        window: list[tuple[int, Sentence]] = []
        steps = windows = 0
        for record in records:
            self._add_to_digest(record)
            sentence = self._accepted(number, record)
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
                self.partial.commit(self._progress(number, at_end=False))
                self.bilm.char_cnn.clear_cache()
            self.advance(number)
        self._write(window)
        self.partial.commit(self._progress(number, at_end=True))
        self.advance(number)

    def _accepted(self, number: int, record: bytes) -> Optional[Sentence]:
        """Returns the sentence of a record, or `None` for one that is left out."""
        settings = self.settings
        try:
            sentence = self.source.parse(record)
            problem = key_problem(sentence.text, self._format) if settings.sentence_keys else None
            if problem is not None:
                raise ValueError(problem)
        except ValueError as error:
            self._refuse(number, str(error))
            return None
        if not sentence.tokens and settings.empty_lines != "keep":
            if settings.empty_lines == "error":
                raise ValueError(
                    f"{self._place(number)}: there is no token. Use --empty-lines skip or keep to "
                    "resume here"
                )
            return None
        if settings.sentence_keys and not self._is_new(sentence):
            if settings.duplicates == "error":
                raise ValueError(
                    f"{self._place(number)}: this sentence came before, and each key must be "
                    "unique. Use --duplicates skip to resume here"
                )
            return None
        return sentence

    def _write(self, window: list[tuple[int, Sentence]]) -> None:
        """Embeds the sentences of a window and appends their vectors."""
        settings = self.settings
        embedded = embed_sentences(
            self.bilm,
            CharacterMapper.of(self.bilm.config.char_cnn),
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
                self._refuse(number, str(error))
                continue
            self.partial.append(number, sentence.text if has_text else None, chosen)
            self._sentences += 1

    def _pack(self) -> None:
        """Writes the output from the partial file, which it then removes."""
        settings, config = self.settings, self.bilm.config
        dtype, size = settings.choice.dtype, config.output_size
        # -1 for the number of tokens
        shape = settings.choice.shape(-1, num_layers=config.num_layers, size=size)
        # this name, not a random one, so that the next run removes what a killed one has left
        temporary = self.partial.path.with_name(f"{self.partial.path.name}.output")
        try:
            write_vectors(
                temporary,
                (
                    Entry(line, text or "", numpy.frombuffer(data, dtype).reshape(shape))
                    for line, text, data in self.partial.sentences()
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
            self.partial.commit(replace(self.partial.progress, is_packed=True))
            os.replace(temporary, self.destination)
        finally:
            temporary.unlink(missing_ok=True)
        self.partial.remove()

    def _progress(self, records: int, *, at_end: bool) -> Progress:
        return Progress(
            records=records,
            digest=self._digest.hexdigest(),
            at_end=at_end,
            sentences=self._sentences,
            failures=self._failures,
            engines=products.choices(),
        )

    def _add_to_digest(self, record: bytes) -> None:
        self._digest.update(len(record).to_bytes(8, "little"))
        self._digest.update(record)

    def _is_new(self, sentence: Sentence) -> bool:
        """Returns whether a sentence comes for the first time, and remembers it."""
        key = hashlib.blake2b(sentence.text.encode(), digest_size=16).digest()
        is_new = key not in self._keys
        self._keys.add(key)
        return is_new

    def _refuse(self, number: int, why: str) -> None:
        """Reports and counts a sentence that is left out; with `strict` ends the run."""
        message = f"{self._place(number)}: {why}"
        if self.settings.strict:
            raise ValueError(message)
        self._failures += 1
        self.report(message)

    def _refuse_key(self, number: int, why: str) -> None:
        """As `_refuse`, for a sentence that was counted as embedded."""
        self._refuse(number, why)
        self._sentences -= 1

    def _place(self, number: int) -> str:
        return f"{self.source.path}, {self.source.unit} {number + 1}"
