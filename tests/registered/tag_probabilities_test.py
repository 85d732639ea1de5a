"""Tests of the probabilities of tags and spans, by adding up every tagging."""

from itertools import product
from typing import Optional

import numpy
import pytest
import torch
from allennlp.modules import ConditionalRandomField
from allennlp.modules.conditional_random_field.conditional_random_field import allowed_transitions
from torch import nn

from elmo_components.registered.dataset_readers.span_encodings import spans_of
from elmo_components.registered.scored_tagger import continuations
from elmo_components.registered.tag_probabilities import TagProbabilities, Transitions

TAGS = {
    "BIO": ["O", "B-a", "I-a", "B-b"],
    "IOB1": ["O", "B-a", "I-a", "I-b"],
    "BIOUL": ["O", "U-a", "B-a", "I-a", "L-a"],
}
TOKENS = 4


class Tagger(nn.Module):
    def __init__(self, crf: Optional[nn.Module]) -> None:
        super().__init__()
        self.crf = crf


def make(tags: list[str], encoding: Optional[str], with_ends: bool) -> Tagger:
    constraints = None if encoding is None else allowed_transitions(encoding, dict(enumerate(tags)))
    return Tagger(ConditionalRandomField(len(tags), constraints, with_ends))


def score(tagging: tuple[int, ...], logits: numpy.ndarray, crf: Optional[nn.Module]) -> float:
    """What decoding maximizes, written from the CRF's equations; -infinity if forbidden."""
    total = sum(float(logits[place, tag]) for place, tag in enumerate(tagging))
    if crf is None:
        return total
    start, end = logits.shape[1], logits.shape[1] + 1
    if crf.include_start_end_transitions:
        total += crf.start_transitions[tagging[0]].item() + crf.end_transitions[tagging[-1]].item()
    path = [start, *tagging, end]
    for tag, other in zip(path, path[1:]):
        if not crf._constraint_mask[tag, other]:
            return -numpy.inf
        if tag != start and other != end:
            total += crf.transitions[tag, other].item()
    return total


@pytest.mark.parametrize("with_ends", [True, False])
@pytest.mark.parametrize("constrained", [True, False])
@pytest.mark.parametrize("encoding", TAGS)
def test_an_entity_has_the_probability_of_all_taggings_with_it(
    encoding: str, constrained: bool, with_ends: bool
) -> None:
    tags = TAGS[encoding]
    model = make(tags, encoding if constrained else None, with_ends)
    logits = torch.randn(TOKENS, len(tags)).double().numpy()
    taggings = list(product(range(len(tags)), repeat=TOKENS))
    weights = numpy.exp([score(tagging, logits, model.crf) for tagging in taggings])
    probabilities = TagProbabilities(logits, Transitions.of(model, len(tags)))
    continues = continuations(tags)
    spans = {
        (span, tagging[span[1][0] : span[1][1] + 1])
        for tagging in taggings
        for span in spans_of([tags[tag] for tag in tagging])
    }
    for (label, (first, last)), ids in spans:
        with_it = sum(
            weight
            for weight, tagging in zip(weights, taggings)
            if tagging[first : last + 1] == ids
            and (label, (first, last)) in spans_of([tags[tag] for tag in tagging])
        )
        found = probabilities.span(
            first, ids, before=~continues[:, ids[0]], after=~continues[ids[-1]]
        )
        assert found == pytest.approx(with_it / weights.sum(), abs=1e-12)
    assert len(spans) > 10


@pytest.mark.parametrize("with_crf", [True, False])
def test_a_tag_has_its_marginal_probability(with_crf: bool) -> None:
    model = make(["x", "y", "z"], None, True) if with_crf else Tagger(None)
    logits = torch.randn(TOKENS, 3).double().numpy()
    taggings = list(product(range(3), repeat=TOKENS))
    weights = numpy.exp([score(tagging, logits, model.crf) for tagging in taggings])
    probabilities = TagProbabilities(logits, Transitions.of(model, 3))
    for place in range(TOKENS):
        for tag in range(3):
            with_it = sum(w for w, tagging in zip(weights, taggings) if tagging[place] == tag)
            expected = with_it / weights.sum()
            assert probabilities.tag(place, tag) == pytest.approx(expected, abs=1e-12)


def test_one_token_without_a_crf_has_its_softmax() -> None:
    probabilities = TagProbabilities(numpy.array([[0.0, 1.0]]), Transitions.of(Tagger(None), 2))
    assert probabilities.tag(0, 1) == pytest.approx(1 / (1 + numpy.exp(-1)))
