"""Embeds a list or a stream of sentences in batches of similar length."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import numpy
import torch
from torch import nn

from elmo_components.alphabet import MARKS
from elmo_components.characters import CharacterMapper, check_tokens
from elmo_components.modules.bilm import BiLm

__all__ = [
    "BATCH_SIZE",
    "LAYERS",
    "WINDOW",
    "batches_by_length",
    "check_layers",
    "embed_sentences",
    "embed_stream",
]

LAYERS = ("all", "mean", "top")

# The number of sentences computed at once, unless the caller chooses another. With `native`, small
# models are slower with 256, whose cells do not fit a core's cache.
BATCH_SIZE = 64
# A batch has at most this many steps times `batch_size`, and so fewer sentences if they are long.
STEPS_A_SENTENCE = 64
# The number of tokens read ahead. All layers of the original ELMo take 100 MB for them.
WINDOW = 8192

# For each module the number of `_evaluating` calls in progress, and its mode before the first.
_evaluated: "WeakKeyDictionary[nn.Module, tuple[int, bool]]" = WeakKeyDictionary()
_evaluated_lock = threading.Lock()


def embed_sentences(
    bilm: BiLm,
    characters: CharacterMapper,
    sentences: Sequence[Sequence[str]],
    *,
    layers: str,
    batch_size: int,
) -> list[numpy.ndarray]:
    """
    Embeds tokenised sentences. See `Elmo.embed`.

    # Raises

    `TypeError` for a sentence that is not a sequence of strings, `ValueError` for unknown layers
    and sizes below 1.
    """
    _check(layers, batch_size)
    sentences = list(_checked(sentences))
    vectors: list[numpy.ndarray] = [numpy.empty(0)] * len(sentences)
    device = next(bilm.parameters()).device
    # not in a generator: the caller must not see evaluation mode between two vectors
    with _evaluating(bilm), torch.no_grad():
        for chosen in batches_by_length([len(sentence) for sentence in sentences], batch_size):
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
                # a copy, so that the batch's memory is freed
                vectors[index] = found[..., row, tokens, :].copy()
    return vectors


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
    Embeds a corpus of any size, in its order. See `Elmo.embed_stream`.

    # Raises

    As `embed_sentences`: `ValueError` at once, `TypeError` after the vectors of earlier sentences.
    """
    _check(layers, batch_size)
    if window < 1:
        raise ValueError(f"window must be 1 or more; found {window}")
    return (
        vectors
        for read in _windows(_checked(sentences), window)
        for vectors in embed_sentences(bilm, characters, read, layers=layers, batch_size=batch_size)
    )


def check_layers(layers: str) -> None:
    """Raises a `ValueError` for a name that is not in `LAYERS`."""
    if layers not in LAYERS:
        raise ValueError(f"layers must be one of {', '.join(LAYERS)}; found {layers!r}")


def _check(layers: str, batch_size: int) -> None:
    check_layers(layers)
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more; found {batch_size}")


def _checked(sentences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    for number, sentence in enumerate(sentences):
        check_tokens(sentence, f"sentences[{number}]")
        yield sentence


def _windows(sentences: Iterable[Sequence[str]], size: int) -> Iterator[list[Sequence[str]]]:
    """Yields the sentences in lists, each as short as possible with `size` steps or more."""
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
        # the vectors of earlier sentences come before the error
        yield window
        raise
    yield window


def batches_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yields the indices of the sentences of each batch, the longest sentences first."""
    by_length = sorted(range(len(lengths)), key=lambda index: lengths[index], reverse=True)
    start = 0
    while start < len(by_length):
        longest = lengths[by_length[start]] + MARKS
        number = max(1, min(batch_size, batch_size * STEPS_A_SENTENCE // longest))
        yield by_length[start : start + number]
        start += number


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Puts a module in evaluation mode; the last thread to leave restores each submodule's mode."""
    modules = list(module.modules())
    with _evaluated_lock:
        for part in modules:
            calls, mode = _evaluated.get(part, (0, part.training))
            _evaluated[part] = calls + 1, mode
            part.training = False
    try:
        yield
    finally:
        with _evaluated_lock:
            for part in modules:
                calls, mode = _evaluated.pop(part)
                if calls > 1:
                    _evaluated[part] = calls - 1, mode
                else:
                    part.training = mode
