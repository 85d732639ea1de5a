"""
A file of sentences to a file of vectors, in constant memory; a killed run goes on where it stopped.

Sentences are embedded window by window, and some windows are a part, after which the work so far is
committed. The places of windows and parts follow from the sentences alone, and no part knows of the
word vectors of another: so the numbers are the same, to the last bit, wherever a run was cut.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from elmo_components.elmo import Elmo
from elmo_components.embedding.batches import MARKS
from elmo_components.embedding.readers import Sentence, SentenceFile
from elmo_components.embedding.settings import EmbedSettings, agrees, recorded
from elmo_components.embedding.spool import Progress, Spool, holds_run
from elmo_components.embedding.writers import Entry, format_of, key_problem, write_vectors

__all__ = ["Summary", "embed_file", "folder_of"]

logger = logging.getLogger(__name__)


class Summary(NamedTuple):
    """
    What a run, with those before it that were killed, has done: sentences embedded; failures, which
    were reported and left out; records that were done already when it started.
    """

    sentences: int
    failures: int
    resumed_at: int


def folder_of(destination: Path) -> Path:
    """Returns the folder in which the vectors wait until all are there."""
    return destination.with_name(f"{destination.name}.partial")


def embed_file(
    elmo: Elmo,
    source: SentenceFile,
    destination: Path,
    settings: EmbedSettings,
    *,
    force: bool = False,
    report: Callable[[str], None] = logger.error,
    advance: Callable[[int], None] = lambda records: None,
) -> Summary:
    """
    Embeds the sentences of a file and writes their vectors to another.

    The file appears, whole, at the end. Until then the work is in the folder that `folder_of`
    gives, from which the same call goes on after a kill, however the input comes: what was done is
    read again, and must be the same. The file is then, byte for byte, what an undisturbed run
    writes.

    # Parameters

    elmo : `Elmo`
        On the device that computes.
    source : `SentenceFile`
        The sentences.
    destination : `Path`
        The file of vectors.
    settings : `EmbedSettings`
        What is written.
    force : `bool`
        Whether a file at `destination` is replaced, and a killed run of other settings or another
        input, which a pipe then cannot be.
    report : `Callable[[str], None]`
        Is told of each sentence that is left out because it cannot be read.
    advance : `Callable[[int], None]`
        Is told how many records are done: first of those done before, then again and again.

    # Raises

    `FileNotFoundError` and `FileExistsError`; `ValueError` for damaged input, for another input or
    other settings than those of the killed run, and where the settings make something an error.
    """
    settings.choice.check(elmo.config.num_layers)
    folder = folder_of(destination)
    if not destination.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {destination.parent}")
    if destination.exists() and not force and not holds_run(folder):
        raise FileExistsError(f"There is {destination} already; --force replaces it")
    records = source.records()
    spool = Spool(
        folder, recorded(elmo.bilm, source, destination, settings), agrees=agrees, restart=force
    )
    try:
        if not spool.progress.is_packed and destination.exists() and not force:
            raise FileExistsError(
                f"There is {destination} already; --force replaces it with what {folder} comes to"
            )
        if spool.progress.is_packed and not spool.output.exists() and not destination.exists():
            logger.warning("%s has vanished since it was written; it is made anew", destination)
            spool.restart()
        try:
            return _Run(elmo, source, destination, settings, spool, report, advance).run(records)
        except _OtherInput:
            # a pipe cannot be read a second time
            if not force or not source.path.is_file():
                raise
            spool.restart()
        records = source.records()
        return _Run(elmo, source, destination, settings, spool, report, advance).run(records)
    finally:
        spool.close()


class _OtherInput(ValueError):
    """The input is not what the killed run has read."""


class _Run:
    """One call of `embed_file`, on its way."""

    def __init__(
        self,
        elmo: Elmo,
        source: SentenceFile,
        destination: Path,
        settings: EmbedSettings,
        spool: Spool,
        report: Callable[[str], None],
        advance: Callable[[int], None],
    ) -> None:
        self._elmo = elmo
        self._source = source
        self._destination = destination
        self._settings = settings
        self._spool = spool
        self._report = report
        self._advance = advance
        self._digest = hashlib.sha256()
        self._keys: set[bytes] = set()
        self._start = spool.progress
        self._sentences = self._start.sentences
        self._failures = self._start.failures

    def run(self, records: Iterator[bytes]) -> Summary:
        """Does what is left to do."""
        self._read_again(records)
        self._advance(self._start.records)
        if not self._start.at_end:
            self._embed(records)
        if not self._start.is_packed:
            self._pack()
        self._spool.finish(self._destination, self._progress(self._spool.progress.records, True))
        return Summary(self._sentences, self._failures, self._start.records)

    def _read_again(self, records: Iterator[bytes]) -> None:
        """Passes over what was done, which must be the same as then."""
        done = self._start
        for number in range(done.records):
            record = next(records, None)
            if record is None:
                raise self._other(f"it ends after {number} of {done.records} records")
            self._take(record)
            if self._settings.sentence_keys:
                try:
                    self._is_new(self._source.parse(record))
                except ValueError:
                    # it was reported then, or was left out as this is
                    continue
        if done.records and self._digest.hexdigest() != done.digest:
            raise self._other(f"the first {done.records} records are others")
        if done.at_end and next(records, None) is not None:
            raise self._other(f"it has more than {done.records} records")

    def _other(self, how: str) -> _OtherInput:
        anew = "--force" if self._source.path.is_file() else f"remove {self._spool.folder}"
        return _OtherInput(
            f"{self._source.path} must be what the killed run in {self._spool.folder} has read; "
            f"found that {how}. Give it the same input from the start, or {anew} to begin anew"
        )

    def _embed(self, records: Iterator[bytes]) -> None:
        settings = self._settings
        number = self._start.records
        window: list[tuple[int, Sentence]] = []
        steps, windows = 0, 0
        self._begin_part()
        for record in records:
            self._take(record)
            sentence = self._accepted(number, record)
            number += 1
            if sentence is None:
                continue
            window.append((number - 1, sentence))
            steps += len(sentence.tokens) + MARKS
            if steps < settings.window:
                continue
            self._write(window)
            self._advance(number)
            window, steps, windows = [], 0, windows + 1
            if windows == settings.windows_a_part:
                self._spool.commit(self._progress(number, False))
                self._begin_part()
                windows = 0
        self._write(window)
        self._spool.commit(self._progress(number, True))
        self._advance(number)

    def _begin_part(self) -> None:
        """Leaves the model with no more than the vocabulary's word vectors."""
        encoder = self._elmo.bilm.char_cnn
        encoder.clear_cache()
        if self._settings.vocabulary and _device(self._elmo) == "cpu":
            words = self._spool.words(self._save_words)
            encoder.clear_cache()
            encoder.load_cache(words)

    def _save_words(self, path: Path) -> None:
        self._elmo.remember(self._settings.vocabulary)
        self._elmo.bilm.char_cnn.save_cache(path)

    def _accepted(self, number: int, record: bytes) -> Optional[Sentence]:
        """Returns the sentence of a record, or `None` for one to be left out."""
        settings = self._settings
        try:
            sentence = self._source.parse(record)
            if settings.sentence_keys:
                problem = key_problem(sentence.text, self._format)
                if problem is not None:
                    raise ValueError(problem)
        except ValueError as error:
            self._refuse(number, str(error))
            return None
        if not sentence.tokens and settings.empty_lines != "keep":
            if settings.empty_lines == "error":
                raise ValueError(
                    f"{self._place(number)}: must have a token; found none. --empty-lines skip or "
                    "keep goes on from here"
                )
            return None
        if settings.sentence_keys and not self._is_new(sentence):
            if settings.duplicates == "error":
                raise ValueError(
                    f"{self._place(number)}: a sentence that is a key must come once; found it "
                    "again. --duplicates skip goes on from here"
                )
            return None
        return sentence

    def _write(self, window: Sequence[tuple[int, Sentence]]) -> None:
        """Embeds the sentences of a window and appends their vectors."""
        settings = self._settings
        embedded = self._elmo.embed(
            [sentence.tokens for _, sentence in window],
            layers=settings.choice.embedded,
            batch_size=settings.batch_size,
        )
        for (number, sentence), vectors in zip(window, embedded):
            try:
                chosen = settings.choice.choose(vectors)
            except ValueError as error:
                self._refuse(number, str(error))
                continue
            has_text = settings.keep_sentences or settings.sentence_keys
            self._spool.append(number, sentence.text if has_text else None, chosen)
            self._sentences += 1

    def _pack(self) -> None:
        """Makes the output of what is committed."""
        settings = self._settings
        config = self._elmo.config
        write_vectors(
            self._spool.output,
            (
                Entry(line, text or "", vectors)
                for line, text, vectors in self._spool.entries(settings.choice.dtype)
            ),
            output_format=self._format,
            choice=settings.choice,
            num_layers=config.num_layers,
            size=2 * config.lstm.hidden_size,
            sentence_keys=settings.sentence_keys,
            keep_sentences=settings.keep_sentences,
            refuse=self._refuse_key,
        )

    @property
    def _format(self) -> str:
        return self._settings.output_format or format_of(self._destination)

    def _progress(self, records: int, at_end: bool) -> Progress:
        return Progress(
            records=records,
            digest=self._digest.hexdigest(),
            at_end=at_end,
            sentences=self._sentences,
            failures=self._failures,
        )

    def _take(self, record: bytes) -> None:
        self._digest.update(len(record).to_bytes(8, "little"))
        self._digest.update(record)

    def _is_new(self, sentence: Sentence) -> bool:
        """Whether a sentence comes for the first time, which it then does no more."""
        key = hashlib.blake2b(sentence.text.encode(), digest_size=16).digest()
        if key in self._keys:
            return False
        self._keys.add(key)
        return True

    def _refuse(self, number: int, why: str) -> None:
        """Counts a sentence that is left out, or ends the run."""
        message = f"{self._place(number)}: {why}"
        if self._settings.strict:
            raise ValueError(message)
        self._failures += 1
        self._report(message)

    def _refuse_key(self, number: int, why: str) -> None:
        """As `_refuse`, of a sentence that was counted already."""
        self._refuse(number, why)
        self._sentences -= 1

    def _place(self, number: int) -> str:
        return f"{self._source.path}, {self._source.unit} {number + 1}"


def _device(elmo: Elmo) -> str:
    return next(elmo.bilm.parameters()).device.type
