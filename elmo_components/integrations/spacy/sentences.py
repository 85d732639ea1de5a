"""Divides spaCy's documents into the sentences that ELMo reads."""

import logging
from collections.abc import Iterable, Iterator
from math import ceil

from spacy.tokens import Doc

__all__ = ["MAX_TOKENS", "sentences_of", "windows"]

logger = logging.getLogger(__name__)

# A longer sentence is divided, so that memory is bounded. Published corpora have none.
MAX_TOKENS = 1024
# How many tokens `windows` reads ahead.
WINDOW = 8192


def sentences_of(doc: Doc) -> list[list[int]]:
    """
    Returns the indices of each sentence's tokens.

    Sentences are those of the document, or all of it if no pipe has set `SENT_START`. Tokens of
    white space are left out: no corpus of ELMo has them. A sentence of more than `MAX_TOKENS`
    tokens is divided into equal parts, with a warning.
    """
    spans = doc.sents if len(doc) and doc.has_annotation("SENT_START") else [doc]
    words = ([token.i for token in span if not token.is_space] for span in spans)
    return [part for sentence in words if sentence for part in _parts(sentence)]


def windows(stream: Iterable[Doc], *, batch_size: int) -> Iterator[list[Doc]]:
    """Yields documents in lists of at most `batch_size`, or of fewer that have `WINDOW` tokens."""
    window: list[Doc] = []
    tokens = 0
    for doc in stream:
        window.append(doc)
        tokens += len(doc)
        if len(window) >= batch_size or tokens >= WINDOW:
            yield window
            window, tokens = [], 0
    if window:
        yield window


def _parts(sentence: list[int]) -> list[list[int]]:
    number = ceil(len(sentence) / MAX_TOKENS)
    if number == 1:
        return [sentence]
    logger.warning(
        "A sentence of %d tokens is divided into %d, which ELMo reads separately. Add a pipe that "
        'finds sentences before this one, such as "sentencizer"',
        len(sentence),
        number,
    )
    size = ceil(len(sentence) / number)
    return [sentence[start : start + size] for start in range(0, len(sentence), size)]
