"""Finds a word's uses in sentences, their vectors, and the nearest uses of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Union

import numpy

from elmo_components.characters import CharacterMapper
from elmo_components.embedding.batches import BATCH_SIZE, WINDOW, embed_stream
from elmo_components.embedding.selection import VectorChoice
from elmo_components.modules.bilm import BiLm

__all__ = ["Occurrence", "find_occurrences", "nearest", "project", "word_vectors"]


@dataclass(frozen=True)
class Occurrence:
    """
    A word in its sentence.

    # Parameters

    tokens, place
        The sentence, and the word's position in it, from 0.
    """

    tokens: tuple[str, ...]
    place: int

    def marked(self, *, width: int) -> str:
        """Returns the word in brackets with up to `width` tokens of its sentence on each side."""
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

    A repeated sentence is left out, since it would be its own nearest neighbour.

    # Parameters

    cased : `bool`
        Whether "Bank" and "bank" are different words.

    # Raises

    `ValueError` for a word with white space, or a limit below 1.
    """
    if len(word.split()) != 1:
        raise ValueError(f"The word must be one token without white space; found {word!r}")
    if limit < 1:
        raise ValueError(f"The limit must be 1 sentence or more; found {limit}")
    fold = str if cased else str.casefold
    chosen: dict[tuple[str, ...], list[int]] = {}
    for sentence in sentences:
        tokens = tuple(sentence)
        places = [place for place, token in enumerate(tokens) if fold(token) == fold(word)]
        if places:
            chosen[tokens] = places
            if len(chosen) == limit:
                break
    return [Occurrence(tokens, place) for tokens, places in chosen.items() for place in places]


def word_vectors(
    bilm: BiLm, occurrences: Sequence[Occurrence], *, layer: Union[str, int] = "top"
) -> numpy.ndarray:
    """
    Returns the contextual vector of each occurrence.

    # Parameters

    layer : `Union[str, int]`
        "top", "mean", or the number of a layer; 0 is the character encoder's, which is the same in
        every sentence. The top layer distinguishes the senses of a word best (Peters et al. 2018,
        table 5).

    # Returns

    `numpy.ndarray`
        float32, of shape (occurrences, 2 * hidden_size).

    # Raises

    `ValueError` for a layer that the model does not have.
    """
    number = bilm.config.num_layers
    if layer not in ("top", "mean", *range(number)):
        raise ValueError(f"layer must be top, mean, or 0 to {number - 1}; found {layer!r}")
    choice = VectorChoice(layer)
    places: dict[tuple[str, ...], list[int]] = {}
    for occurrence in occurrences:
        places.setdefault(occurrence.tokens, []).append(occurrence.place)
    stream = embed_stream(
        bilm,
        CharacterMapper.of(bilm.config.char_cnn),
        list(places),
        layers=choice.embedded,
        batch_size=BATCH_SIZE,
        window=WINDOW,
    )
    rows = [
        vector
        for chosen, vectors in zip(places.values(), stream)
        for vector in choice.choose(vectors)[chosen]
    ]
    # (occurrences, 2 * hidden_size)
    return numpy.array(rows, numpy.float32).reshape(len(rows), bilm.config.output_size)


def nearest(vectors: numpy.ndarray, *, number: int) -> list[list[tuple[int, float]]]:
    """
    Returns, for each of the rows of `vectors`, (rows, size), its `number` nearest other rows with
    their cosines, nearest first.
    """
    # (rows, 1)
    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / numpy.maximum(lengths, numpy.finfo(vectors.dtype).tiny)
    # (rows, rows)
    cosines = unit @ unit.T
    numpy.fill_diagonal(cosines, -numpy.inf)
    # a stable sort, so that equal cosines keep their order
    order = numpy.argsort(-cosines, axis=1, kind="stable")[:, : max(0, min(number, len(unit) - 1))]
    return [
        [(int(other), float(cosines[row, other])) for other in others]
        for row, others in enumerate(order)
    ]


def project(vectors: numpy.ndarray) -> tuple[numpy.ndarray, list[float]]:
    """
    Projects vectors, (rows, size), to their first two principal components, (rows, 2). Returns each
    component's share of the variance too.

    # Raises

    `ValueError` where scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import PCA
    except ImportError as error:
        raise ValueError(
            "The projection needs scikit-learn: pip install 'elmo_components[plot]'"
        ) from error

    # PCA needs two rows that differ
    if len(vectors) < 2 or not numpy.ptp(vectors, axis=0).any():
        return numpy.zeros((len(vectors), 2)), [0.0, 0.0]
    pca = PCA(n_components=2, svd_solver="full")
    # (rows, 2)
    points = pca.fit_transform(vectors.astype(numpy.float64))
    return points, pca.explained_variance_ratio_.tolist()
