"""Compares the uses of a word: their groups, their places in a plane, the nearest of each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy

from elmo_components.elmo import Elmo
from elmo_components.inspection.word_uses import (
    Occurrence,
    find_occurrences,
    nearest,
    project,
    word_vectors,
)

__all__ = ["MAX_CHARACTERS", "MAX_SENTENCES", "Uses", "compare_uses", "find_groups"]

# So that an answer takes seconds, and the picture can be read.
MAX_SENTENCES = 100
MAX_CHARACTERS = 20_000
MAX_USES = 200
NEAREST = 2
MAX_GROUPS = 3
# The least mean silhouette (-1 to 1) at which groups are told apart.
MIN_SILHOUETTE = 0.1


@dataclass(frozen=True)
class Uses:
    """
    Uses of a word.

    # Parameters

    occurrences : `list[Occurrence]`
        The word in its sentences.
    groups : `list[int]`
        For each use the number of its group, from 0: groups of similar vectors.
    points : `numpy.ndarray`
        (uses, 2): the vectors in the plane of their first two principal components.
    neighbours : `list[list[tuple[int, float]]]`
        For each use the nearest others, with their cosines.
    """

    occurrences: list[Occurrence]
    groups: list[int]
    points: numpy.ndarray
    neighbours: list[list[tuple[int, float]]]


def compare_uses(
    elmo: Elmo, word: str, text: str, *, layer: str, split: Callable[[str], list[str]]
) -> Uses:
    """
    Returns the uses of a word in sentences.

    # Parameters

    text : `str`
        The sentences, one per line.
    layer : `str`
        "top", "mean" or a number.
    split : `Callable[[str], list[str]]`
        Splits a sentence into tokens.

    # Raises

    `ValueError` for no word or several, no sentences or too many, a word that occurs less than
    twice or too often, and an unknown layer.
    """
    word = word.strip()
    if not word:
        raise ValueError("Enter a word")
    if not text.strip():
        raise ValueError("Enter sentences with the word, one per line, or take an example")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"The sentences must have at most {MAX_CHARACTERS:,} characters together; found "
            f"{len(text):,}. Remove some"
        )
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > MAX_SENTENCES:
        raise ValueError(
            f"There must be at most {MAX_SENTENCES} sentences; found {len(lines):,}. Remove some"
        )
    found = find_occurrences(map(split, lines), word, cased=False, limit=MAX_SENTENCES)
    if len(found) < 2:
        times = "once" if found else "nowhere"
        raise ValueError(
            f"The word {word!r} must occur at least twice; found {times}. "
            "Other forms of the word are other words"
        )
    if len(found) > MAX_USES:
        raise ValueError(
            f"There must be at most {MAX_USES} uses of {word!r}; found {len(found):,}. Remove some "
            "sentences"
        )
    vectors = word_vectors(elmo.bilm, found, layer=int(layer) if layer.isdecimal() else layer)
    points, _ = project(vectors)
    return Uses(found, find_groups(vectors), points, nearest(vectors, number=NEAREST))


def find_groups(vectors: numpy.ndarray) -> list[int]:
    """
    Returns the group of each row of `vectors`, (rows, size), numbered by first occurrence.

    Agglomerative clustering with average linkage on cosine distances. The number of groups, 1 to 3,
    is the one with the highest mean silhouette, and 1 if no silhouette is above 0.1.
    """
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import silhouette_score

    best, chosen = MIN_SILHOUETTE, numpy.zeros(len(vectors), int)
    # equal vectors have distances of rounding errors
    is_spread = numpy.ptp(vectors, axis=0).max() > 1e-4
    for number in range(2, min(MAX_GROUPS, len(vectors) - 1) + 1 if is_spread else 0):
        clustering = AgglomerativeClustering(number, metric="cosine", linkage="average")
        # (rows,)
        labels = clustering.fit_predict(vectors)
        score = silhouette_score(vectors, labels, metric="cosine")
        if score > best:
            best, chosen = score, labels
    numbers = {label: number for number, label in enumerate(dict.fromkeys(chosen.tolist()))}
    return [numbers[label] for label in chosen.tolist()]
