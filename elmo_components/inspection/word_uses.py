"""One word in many sentences: its vectors, and which of its uses are near one another."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Union

import numpy

from elmo_components.elmo import Elmo

__all__ = ["Occurrence", "find_occurrences", "nearest", "planar", "word_vectors"]


@dataclass(frozen=True)
class Occurrence:
    """
    A word in its sentence.

    # Parameters

    tokens : `tuple[str, ...]`
        The sentence.
    place : `int`
        The word's number in it, from 0.
    """

    tokens: tuple[str, ...]
    place: int

    def marked(self, *, width: int) -> str:
        """Returns the sentence, `width` tokens on either side of the word, the word in brackets."""
        before, after = self.tokens[: self.place], self.tokens[self.place + 1 :]
        return " ".join(
            [
                *(["..."] if len(before) > width else []),
                *before[max(0, len(before) - width) :],
                f"[{self.tokens[self.place]}]",
                *after[:width],
                *(["..."] if len(after) > width else []),
            ]
        )


def find_occurrences(
    sentences: Iterable[Sequence[str]], word: str, *, cased: bool = True, limit: int
) -> list[Occurrence]:
    """
    Returns all uses of a word in the first `limit` different sentences that have it.

    A sentence that comes again is passed over: it would be its own nearest neighbour.

    # Parameters

    cased : `bool`
        Whether "Bank" is another word than "bank".

    # Raises

    `ValueError` for a word with white space, or a limit below 1.
    """
    if len(word.split()) != 1:
        raise ValueError(f"The word must be one token, without white space; found {word!r}")
    if limit < 1:
        raise ValueError(f"The limit must be 1 sentence or more; found {limit}")
    wanted = word if cased else word.casefold()
    chosen: dict[tuple[str, ...], list[int]] = {}
    for sentence in sentences:
        tokens = tuple(sentence)
        places = [
            place
            for place, token in enumerate(tokens)
            if (token if cased else token.casefold()) == wanted
        ]
        if places:
            chosen[tokens] = places
            if len(chosen) == limit:
                break
    return [Occurrence(tokens, place) for tokens, places in chosen.items() for place in places]


def word_vectors(
    elmo: Elmo, occurrences: Sequence[Occurrence], *, layer: Union[str, int] = "top"
) -> numpy.ndarray:
    """
    Returns the contextual vector of each occurrence.

    # Parameters

    layer : `Union[str, int]`
        "top", "mean", or the number of a layer; 0 is the character encoder's, which is the same
        in every sentence. The top layer tells the senses of a word apart best (Peters et al. 2018,
        table 5), and the mean of all would have layer 0's constant in it.

    # Returns

    `numpy.ndarray`
        float32, of shape (occurrences, 2 * hidden_size).

    # Raises

    `ValueError` for a layer that is not there.
    """
    number = elmo.config.num_layers
    if layer not in ("top", "mean") and layer not in range(number):
        raise ValueError(f"The layer must be top, mean, or 0 to {number - 1}; found {layer!r}")
    sentences = list(dict.fromkeys(occurrence.tokens for occurrence in occurrences))
    layers = layer if isinstance(layer, str) else "all"
    found: dict[tuple[str, ...], numpy.ndarray] = {}
    places: dict[tuple[str, ...], list[int]] = {}
    for occurrence in occurrences:
        places.setdefault(occurrence.tokens, []).append(occurrence.place)
    # a sentence's other vectors are let go
    for sentence, vectors in zip(sentences, elmo.embed_stream(sentences, layers=layers)):
        chosen = vectors if isinstance(layer, str) else vectors[layer]
        found[sentence] = chosen[places[sentence]]
    rows: Iterator[numpy.ndarray] = chain.from_iterable(found[sentence] for sentence in sentences)
    size = elmo.config.output_size
    # (occurrences, 2 * hidden_size)
    return numpy.stack(list(rows)) if occurrences else numpy.empty((0, size), numpy.float32)


def nearest(vectors: numpy.ndarray, *, number: int) -> list[list[tuple[int, float]]]:
    """
    Returns, for each row, the rows nearest to it among the others, nearest first, with their
    cosines; `number` of them, or all where there are fewer.

    # Parameters

    vectors : `numpy.ndarray`
        (rows, size)
    """
    # (rows, 1)
    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / numpy.maximum(lengths, numpy.finfo(vectors.dtype).tiny)
    # (rows, rows)
    cosines = unit @ unit.T
    numpy.fill_diagonal(cosines, -numpy.inf)
    # stable, so that equal ones come in their order
    order = numpy.argsort(-cosines, axis=1, kind="stable")[:, : max(0, min(number, len(unit) - 1))]
    return [
        [(int(other), float(cosines[row, other])) for other in others]
        for row, others in enumerate(order)
    ]


def planar(vectors: numpy.ndarray) -> tuple[numpy.ndarray, tuple[float, float]]:
    """
    Returns the rows in the plane in which they vary most (principal components), the same on every
    run, and the share of their variance along each of its axes.

    # Parameters

    vectors : `numpy.ndarray`
        (rows, size)

    # Returns

    `tuple[numpy.ndarray, tuple[float, float]]`
        The first of shape (rows, 2).
    """
    centred = vectors.astype(numpy.float64) - vectors.mean(axis=0, dtype=numpy.float64)
    left, scales, _ = numpy.linalg.svd(centred, full_matrices=False)
    # (rows, 2)
    points = numpy.zeros((len(vectors), 2))
    axes = min(2, len(scales))
    points[:, :axes] = left[:, :axes] * scales[:axes]
    # an axis may point either way; here to the row that is farthest out
    farthest = points[numpy.abs(points).argmax(axis=0), [0, 1]]
    points *= numpy.where(farthest < 0, -1.0, 1.0)
    variances = numpy.zeros(2)
    variances[:axes] = scales[:axes] ** 2
    total = float((scales**2).sum()) or 1.0
    return points, (float(variances[0] / total), float(variances[1] / total))
