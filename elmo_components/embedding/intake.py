"""Selects the records to embed, and checks that a resumed run has the same input."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

from elmo_components.embedding.partial_file import Progress
from elmo_components.embedding.readers import Sentence, SentenceFile
from elmo_components.embedding.settings import EmbedSettings
from elmo_components.embedding.writers import check_key

__all__ = ["Intake", "OtherInput"]


class OtherInput(ValueError):
    """The input differs from what an unfinished run has read."""


class Intake:
    """
    Reads the records of a run's input, and reports failures.

    # Parameters

    output_format : `str`
        With sentence keys, the format that restricts them.
    failures : `int`
        The number of failures of the unfinished run.
    report : `Callable[[str], None]`
        Called with a message for each failure.
    """

    def __init__(
        self,
        source: SentenceFile,
        settings: EmbedSettings,
        output_format: str,
        failures: int,
        report: Callable[[str], None],
    ) -> None:
        self.failures = failures
        self._source = source
        self._settings = settings
        self._output_format = output_format
        self._report = report
        self._digest = hashlib.sha256()
        self._keys: set[bytes] = set()

    @property
    def digest(self) -> str:
        """A digest of all records so far."""
        return self._digest.hexdigest()

    def skip(self, records: Iterator[bytes], done: Progress, partial: Path) -> None:
        """
        Skips the finished records.

        # Raises

        `OtherInput` if they differ from those of the unfinished run.
        """
        again = "use --force" if self._source.path.is_file() else f"delete {partial}"
        wrong = (
            f"{self._source.path} is not the input of the unfinished run {partial}: %s. Give it "
            f"the same input, or {again} to start again"
        )
        for number in range(done.records):
            record = next(records, None)
            if record is None:
                raise OtherInput(wrong % f"it ends after {number} of {done.records} records")
            self._add(record)
            if self._settings.sentence_keys:
                try:
                    self._is_new(self._source.parse(record))
                except ValueError:
                    # it was reported before
                    continue
        if done.records and self.digest != done.digest:
            raise OtherInput(wrong % f"the first {done.records} records differ")
        if done.at_end and next(records, None) is not None:
            raise OtherInput(wrong % f"it has more than {done.records} records")

    def take(self, number: int, record: bytes) -> Optional[Sentence]:
        """
        Returns the sentence of a record, or `None` if it is left out.

        # Raises

        `ValueError` for a record that is an error by the settings.
        """
        self._add(record)
        settings = self._settings
        try:
            sentence = self._source.parse(record)
            if settings.sentence_keys:
                check_key(sentence.text, self._output_format)
        except ValueError as error:
            self.refuse(number, str(error))
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

    def refuse(self, number: int, why: str) -> None:
        """
        Reports and counts a sentence that is left out.

        # Raises

        `ValueError` instead, with `strict`.
        """
        message = f"{self._place(number)}: {why}"
        if self._settings.strict:
            raise ValueError(message)
        self.failures += 1
        self._report(message)

    def _add(self, record: bytes) -> None:
        self._digest.update(len(record).to_bytes(8, "little"))
        self._digest.update(record)

    def _is_new(self, sentence: Sentence) -> bool:
        key = hashlib.blake2b(sentence.text.encode(), digest_size=16).digest()
        is_new = key not in self._keys
        self._keys.add(key)
        return is_new

    def _place(self, number: int) -> str:
        return f"{self._source.path}, {self._source.unit} {number + 1}"
