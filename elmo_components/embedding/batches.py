"""Sentences to vectors, in batches of sentences of like length: a list, or a stream of any size."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager

import numpy
import torch
from torch import nn

from elmo_components.characters import CharacterMapper
from elmo_components.modules.bilm import BiLm

__all__ = ["WINDOW", "embed_sentences", "embed_stream"]

LAYERS = ("all", "mean", "top")

# The marks at both ends of each sentence.
MARKS = 2
# A batch holds this many steps for each of its sentences at most, so that few long sentences are
# computed at once.
STEPS_A_SENTENCE = 64
# Tokens whose vectors wait for their turn: 100 MB of all layers of the original ELMo.
WINDOW = 8192


def embed_sentences(
    bilm: BiLm,
    characters: CharacterMapper,
    sentences: Sequence[Sequence[str]],
    *,
    layers: str,
    batch_size: int,
) -> list[numpy.ndarray]:
    """
    Embeds tokenised sentences. See `Elmo.embed`, which this is.

    # Raises

    `TypeError` for a string in place of a sentence, and `ValueError` for other layers or sizes.
    """
    _check(layers, batch_size)
    return _embed(bilm, characters, list(_checked(sentences)), layers, batch_size)


def embed_stream(
    bilm: BiLm,
    characters: CharacterMapper,
    sentences: Iterable[Sequence[str]],
    *,
    layers: str,
    batch_size: int,
    window: int,
) -> Iterator[numpy.ndarray]:
    """
    Embeds a corpus of any size, in its order. See `Elmo.embed_stream`, which this is.

    # Raises

    As `embed_sentences`: `ValueError` at once, `TypeError` after the vectors of what came before.
    """
    _check(layers, batch_size)
    if window < 1:
        raise ValueError(f"window must be 1 or more; found {window}")
    return (
        vectors
        for read in _windows(_checked(sentences), window)
        for vectors in _embed(bilm, characters, read, layers, batch_size)
    )


def _check(layers: str, batch_size: int) -> None:
    if layers not in LAYERS:
        raise ValueError(f"layers must be one of {', '.join(LAYERS)}; found {layers!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more; found {batch_size}")


def _checked(sentences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    for number, sentence in enumerate(sentences):
        if isinstance(sentence, str):
            raise TypeError(
                f"sentences[{number}] must be a sequence of tokens; found a string: split it"
            )
        if not isinstance(sentence, Sized):
            raise TypeError(
                f"sentences[{number}] must be a sequence of tokens; found {type(sentence).__name__}"
            )
        yield sentence


def _windows(sentences: Iterable[Sequence[str]], size: int) -> Iterator[list[Sequence[str]]]:
    """Yields all sentences, as few at once as have `size` steps or more."""
    window: list[Sequence[str]] = []
    steps = 0
    try:
        for sentence in sentences:
            window.append(sentence)
            steps += len(sentence) + MARKS
            if steps >= size:
                yield window
                window, steps = [], 0
    except Exception:
        # it goes on its way, after the vectors of what was read before it
        yield window
        raise
    yield window


def _embed(
    bilm: BiLm,
    characters: CharacterMapper,
    sentences: Sequence[Sequence[str]],
    layers: str,
    batch_size: int,
) -> list[numpy.ndarray]:
    vectors: list[numpy.ndarray] = [numpy.empty(0)] * len(sentences)
    device = next(bilm.parameters()).device
    # no generator: what is set here must not last while a caller holds a vector
    with _evaluating(bilm), torch.no_grad():
        for chosen in _batches([len(sentence) for sentence in sentences], batch_size):
            ids = characters.batch_ids([sentences[index] for index in chosen])
            # (num_layers, batch, time + 2, 2 * hidden_size)
            batch = bilm(ids.to(device)).layers
            if layers == "mean":
                # (batch, time + 2, 2 * hidden_size)
                batch = batch.mean(dim=0)
            elif layers == "top":
                # (batch, time + 2, 2 * hidden_size)
                batch = batch[-1]
            found = batch.float().cpu().numpy()
            for row, index in enumerate(chosen):
                tokens = slice(1, 1 + len(sentences[index]))
                # a copy, so that the batch's memory is free
                vectors[index] = found[..., row, tokens, :].copy()
    return vectors


def _batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yields the numbers of the sentences of each batch, the longest sentences first."""
    by_length = sorted(range(len(lengths)), key=lambda index: lengths[index], reverse=True)
    start = 0
    while start < len(by_length):
        longest = lengths[by_length[start]] + MARKS
        number = max(1, min(batch_size, batch_size * STEPS_A_SENTENCE // longest))
        yield by_length[start : start + number]
        start += number


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
