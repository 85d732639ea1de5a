"""Tags a text with the model of an AllenNLP archive, through spaCy's pipe "elmo_tagger"."""

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from tarfile import TarError
from typing import Any, Optional

from elmo_components.pretraining.tokenization import SpacyRules

__all__ = ["MAX_CHARACTERS", "Piece", "TextTagger", "load_tagger"]

FACTORY = "elmo_tagger"
# Of a text: some 2,000 words, which take a few seconds.
MAX_CHARACTERS = 10_000


@dataclass(frozen=True)
class Piece:
    """A part of a text with its label and the label's probability, or one without a label."""

    text: str
    label: str = ""
    score: Optional[float] = None


class TextTagger:
    """
    Labels the entities or the tokens of raw text.

    # Parameters

    pipeline : `Callable`
        A spaCy pipeline that sets `doc.ents` or `token.tag_`, and their `elmo_score`.
    """

    def __init__(self, pipeline: Callable[[str], Any]) -> None:
        self._pipeline = pipeline

    def __call__(self, text: str) -> list[Piece]:
        """
        Returns the text in pieces, which are the text again when joined.

        # Raises

        `ValueError` for a text without a word, or with more than `MAX_CHARACTERS` characters.
        """
        if not text.strip():
            raise ValueError("Enter a text, for example one of those below")
        if len(text) > MAX_CHARACTERS:
            raise ValueError(
                f"The text must have at most {MAX_CHARACTERS:,} characters; found {len(text):,}. "
                "Enter a part of it"
            )
        doc = self._pipeline(text)
        tagged = [token for token in doc if token.tag_]
        pieces: list[Piece] = []
        end = 0
        for span in doc.ents or tagged:
            label = span.label_ if doc.ents else span.tag_
            start = span.start_char if doc.ents else span.idx
            if start > end:
                pieces.append(Piece(text[end:start]))
            end = start + len(span.text)
            pieces.append(Piece(text[start:end], label, span._.elmo_score))
        if end < len(text):
            pieces.append(Piece(text[end:]))
        return pieces


def load_tagger(archive: Path, *, language: str) -> TextTagger:
    """
    Returns the tagger in an archive, loaded and tried.

    # Parameters

    language : `str`
        spaCy's code of the language whose rules split the text, such as "en".

    # Raises

    `FileNotFoundError`; `ValueError` for a file that is no archive of a tagger, an unknown
    language, and without spaCy or AllenNLP.
    """
    if not archive.exists():
        raise FileNotFoundError(
            f"There is no archive {archive}. Give the model.tar.gz of a tagger, as "
            "`allennlp train` writes it"
        )
    pipeline = SpacyRules(language).pipeline
    # registers the factory where the package's entry points are not installed
    import elmo_components.integrations.spacy.factories  # noqa: F401

    try:
        pipeline.add_pipe("sentencizer")
        pipeline.add_pipe(FACTORY, config={"archive": str(archive)})
        tagger = TextTagger(pipeline)
        # reads the weights now, so that a broken archive is an error now
        tagger("A first try .")
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from error
    except _archive_errors() as error:
        message = " ".join(str(error).split())
        raise ValueError(f"{archive} cannot be used: {message}") from error
    return tagger


def _archive_errors() -> tuple[type[Exception], ...]:
    """Returns the errors of a broken archive, AllenNLP's included without an import of it."""
    checks = sys.modules.get("allennlp.common.checks")
    own = () if checks is None else (checks.ConfigurationError,)
    return (RuntimeError, KeyError, EOFError, TarError, UnpicklingError, zlib.error, *own)
