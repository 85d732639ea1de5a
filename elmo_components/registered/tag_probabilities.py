"""Probabilities of tags and spans, with the forward-backward algorithm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

__all__ = ["TagProbabilities", "Transitions"]

# AllenNLP's score of a transition that its constraints forbid.
FORBIDDEN = -10000.0


@dataclass(frozen=True)
class Transitions:
    """
    The scores of tags that follow one another, before a softmax.

    # Parameters

    between : `numpy.ndarray`
        (tags, tags): from the tag of the row to that of the column.
    first, last : `numpy.ndarray`
        (tags,): of a sentence's first and last tag.
    """

    between: numpy.ndarray
    first: numpy.ndarray
    last: numpy.ndarray

    @classmethod
    def of(cls, model: Any, num_tags: int) -> "Transitions":
        """Returns those with which an AllenNLP model decodes: its CRF's, or 0 without a CRF."""
        crf = getattr(model, "crf", None)
        if crf is None:
            zeros = numpy.zeros(num_tags)
            return cls(numpy.zeros((num_tags, num_tags)), zeros, zeros)
        start, end = num_tags, num_tags + 1
        # (tags + 2, tags + 2): 1 where allowed
        allowed = crf._constraint_mask.detach().cpu().double().numpy()
        # (tags + 2, tags + 2)
        scores = numpy.zeros_like(allowed)
        scores[:start, :start] = crf.transitions.detach().cpu().numpy()
        if crf.include_start_end_transitions:
            scores[start, :start] = crf.start_transitions.detach().cpu().numpy()
            scores[:start, end] = crf.end_transitions.detach().cpu().numpy()
        scores = scores * allowed + FORBIDDEN * (1 - allowed)
        return cls(scores[:start, :start], scores[start, :start], scores[:start, end])


class TagProbabilities:
    """
    The distribution over all taggings of one sentence.

    A tagging's probability is the softmax, over all taggings, of the sum of its tags' logits and
    of its transitions: of the score that decoding maximizes. Computed in float64.

    # Parameters

    logits : `numpy.ndarray`
        (tokens, tags), for at least one token.
    transitions : `Transitions`
        Of the same tags.
    """

    def __init__(self, logits: numpy.ndarray, transitions: Transitions) -> None:
        self._logits = logits.astype(numpy.float64)
        self._between = transitions.between
        # (tokens, tags): all taggings up to and including a token, by its tag
        self._until = numpy.empty_like(self._logits)
        # (tokens, tags): all taggings of what follows a token, by its tag
        self._after = numpy.empty_like(self._logits)
        self._until[0] = transitions.first + self._logits[0]
        for place in range(1, len(logits)):
            paths = self._until[place - 1][:, None] + self._between
            self._until[place] = numpy.logaddexp.reduce(paths, axis=0) + self._logits[place]
        self._after[-1] = transitions.last
        for place in range(len(logits) - 2, -1, -1):
            paths = self._between + self._logits[place + 1] + self._after[place + 1]
            self._after[place] = numpy.logaddexp.reduce(paths, axis=1)
        self._all = numpy.logaddexp.reduce(self._until[-1] + transitions.last)
        self._first = transitions.first

    def tag(self, place: int, tag: int) -> float:
        """Returns the probability that a token has a tag."""
        return _probability(self._until[place, tag] + self._after[place, tag] - self._all)

    def span(
        self, start: int, tags: Sequence[int], *, before: numpy.ndarray, after: numpy.ndarray
    ) -> float:
        """
        Returns the probability that tokens have these tags, and their neighbours one of some.

        # Parameters

        start : `int`
            The first token.
        tags : `Sequence[int]`
            Its tag, and those of the tokens that follow.
        before, after : `numpy.ndarray`
            bool, (tags,): the tags that the token before and the token after may have.
        """
        first, last, end = tags[0], tags[-1], start + len(tags)
        score = self._first[first]
        if start:
            score = numpy.logaddexp.reduce(
                (self._until[start - 1] + self._between[:, first])[before]
            )
        score += sum(self._logits[start + place, tag] for place, tag in enumerate(tags))
        score += sum(self._between[tag, other] for tag, other in zip(tags, tags[1:]))
        if end == len(self._logits):
            score += self._after[-1, last]
        else:
            paths = self._between[last] + self._logits[end] + self._after[end]
            score += numpy.logaddexp.reduce(paths[after])
        return _probability(score - self._all)


def _probability(logarithm: float) -> float:
    # rounding can exceed 1
    return min(1.0, float(numpy.exp(logarithm)))
