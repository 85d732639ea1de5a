"""Divides the sentences of a file into windows, and embeds a window."""

from collections.abc import Iterator
from typing import NamedTuple

from elmo_components.characters import CharacterMapper
from elmo_components.embedding.batches import MARKS, embed_sentences
from elmo_components.embedding.intake import Intake
from elmo_components.embedding.partial_file import MAX_BYTES
from elmo_components.embedding.readers import Sentence
from elmo_components.embedding.settings import EmbedSettings
from elmo_components.embedding.writers import Entry
from elmo_components.modules.bilm import BiLm

__all__ = ["Window", "embed_window", "windows_of"]


class Window(NamedTuple):
    """
    Sentences that are embedded together.

    # Parameters

    sentences : `list[tuple[int, Sentence]]`
        Each with the number of its record, from 0.
    records : `int`
        The number of records before the next window.
    ends_part : `bool`
        Whether it is the last window of a part. The next part starts with an empty word cache, so
        that its vectors do not depend on what was embedded before.
    """

    sentences: list[tuple[int, Sentence]]
    records: int
    ends_part: bool


def windows_of(
    records: Iterator[bytes], intake: Intake, settings: EmbedSettings, *, number: int = 0
) -> Iterator[Window]:
    """
    Yields the windows of the records, the last of which may be empty.

    # Parameters

    number : `int`
        The number of the first record.

    # Raises

    `ValueError` for a record that is an error by the settings.
    """
    window: list[tuple[int, Sentence]] = []
    steps = windows = 0
    for record in records:
        sentence = intake.take(number, record)
        number += 1
        if sentence is None:
            continue
        window.append((number - 1, sentence))
        steps += len(sentence.tokens) + MARKS
        if steps < settings.window:
            continue
        windows += 1
        yield Window(window, number, windows % settings.windows_a_part == 0)
        window, steps = [], 0
    yield Window(window, number, True)


def embed_window(
    bilm: BiLm, window: Window, intake: Intake, settings: EmbedSettings
) -> Iterator[Entry]:
    """Yields the selected vectors of each sentence, except for those that `intake` refuses."""
    # in bytes, of all layers
    token_size = 4 * bilm.config.num_layers * bilm.config.output_size
    sentences = []
    for number, sentence in window.sentences:
        if len(sentence.tokens) * token_size > MAX_BYTES:
            most = MAX_BYTES // token_size
            intake.refuse(
                number,
                f"a sentence must have at most {most:,} tokens with this model; found "
                f"{len(sentence.tokens):,}",
            )
        else:
            sentences.append((number, sentence))
    embedded = embed_sentences(
        bilm,
        CharacterMapper.of(bilm.config.char_cnn),
        [sentence.tokens for _, sentence in sentences],
        layers=settings.choice.embedded,
        batch_size=settings.batch_size,
    )
    for (number, sentence), vectors in zip(sentences, embedded):
        try:
            chosen = settings.choice.choose(vectors)
        except ValueError as error:
            intake.refuse(number, str(error))
            continue
        yield Entry(number, sentence.text, chosen)
