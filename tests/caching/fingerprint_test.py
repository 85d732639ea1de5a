"""Tests of fingerprint.py."""

from typing import Any

import pytest
import torch

from elmo_components.caching.fingerprint import Fingerprint, digest


def test_the_same_weights_fit_and_others_do_not() -> None:
    weights = [torch.randn(3, 4), torch.randn(2)]
    fingerprint = Fingerprint(weights)
    assert fingerprint.fits(weights)
    assert not fingerprint.fits(weights[:1])
    assert not fingerprint.fits([weights[0].clone(), weights[1]])
    assert Fingerprint([]).fits([])


def test_a_change_in_place_is_seen() -> None:
    weights = [torch.randn(300, 400)]
    fingerprint = Fingerprint(weights)
    # a number that is not in the sample
    weights[0][0, 1] += 1.0
    assert not fingerprint.fits(weights)


@pytest.mark.parametrize("shape", [(16384, 512), (2048, 2048), (1024, 16, 7), (5, 4), (4096,)])
@pytest.mark.parametrize(
    "part",
    [
        ...,
        (..., slice(1, None)),
        slice(1, None),
        # a quarter of the last axis
        lambda size: (..., slice(size // 4, size // 2)),
    ],
    ids=["all", "all columns but one", "all rows but one", "a quarter of the columns"],
)
def test_an_assignment_through_data_is_seen(shape: tuple[int, ...], part: Any) -> None:
    weight = torch.nn.Parameter(torch.ones(shape))
    fingerprint = Fingerprint([weight])
    assert fingerprint.fits([weight])
    weight.data[part(shape[-1]) if callable(part) else part] = 0.0
    assert not fingerprint.fits([weight])


def test_another_type_or_memory_is_seen() -> None:
    module = torch.nn.Linear(3, 4)
    fingerprint = Fingerprint(list(module.parameters()))
    module.double().float()
    assert not fingerprint.fits(list(module.parameters()))


def test_weights_made_in_inference_mode_have_one_too() -> None:
    with torch.inference_mode():
        weights = [torch.randn(3)]
    fingerprint = Fingerprint(weights)
    assert fingerprint.fits(weights)
    with torch.inference_mode():
        weights[0].add_(1.0)
    assert not fingerprint.fits(weights)


def test_a_digest_is_of_types_shapes_and_numbers() -> None:
    weights = [torch.zeros(2, 3), torch.ones(2)]
    assert digest(weights) == digest([weight.clone() for weight in weights])
    others = [weights[:1], weights[::-1], [torch.zeros(3, 2), weights[1]]]
    others += [[weights[0].double(), weights[1]], [weights[0], torch.tensor([1.0, 1.001])]]
    assert len({digest(other) for other in [weights, *others]}) == 6
    assert digest([torch.tensor(1)]) != digest([torch.tensor(2)])
