"""When two results of the same sums are the same."""

from typing import Union

import numpy
import torch

from elmo_components.checkpoints import Checkpoint

Numbers = Union[torch.Tensor, numpy.ndarray]


def assert_close(
    found: Numbers, expected: Numbers, tolerance: float = 1e-5, *, name: str = ""
) -> None:
    """
    No number may differ by more than `tolerance` times the largest there is, or times 1: processors
    round sums in orders of their own, some by where in memory the summands lie.
    """
    found, expected = torch.as_tensor(found), torch.as_tensor(expected)
    largest = max(1.0, float(expected.detach().double().abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(
        found,
        expected,
        rtol=0.0,
        atol=tolerance * largest,
        msg=lambda text: f"{name}: {text}" if name else text,
    )


def assert_same(found: Checkpoint, expected: Checkpoint) -> None:
    """Two checkpoints must have the same sizes, words and tensors, to the last bit."""
    assert found.config == expected.config and found.vocabulary == expected.vocabulary
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(found.tensors[name], tensor), name
