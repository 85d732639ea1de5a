"""Holds the gradients of kernels/native/ to those of kernels/reference.py in float64."""

import random
from typing import Optional

import pytest
import torch

from elmo_components.kernels import native, projected_lstm, reference
from elmo_components.kernels.call import DirectionWeights, LayerState, LstmCall
from tests.closeness import assert_close
from tests.kernels.native_test import LENGTHS, call, compiled, instructions

__all__ = ["instructions"]


def leaves(given: LstmCall) -> list[torch.Tensor]:
    """Returns all tensors that have gradients."""
    weights = (part for weight in given.weights for part in weight)
    return [part for part in (given.inputs, *given.state, *weights) if part is not None]


def in_double(given: LstmCall) -> LstmCall:
    """Returns the call in float64, with new tensors."""

    def double(part: Optional[torch.Tensor]) -> Optional[torch.Tensor]:
        return None if part is None else part.detach().double()

    return given._replace(
        inputs=double(given.inputs),
        weights=[DirectionWeights(*map(double, weight)) for weight in given.weights],
        state=LayerState(*map(double, given.state)),
        dropout=double(given.dropout),
    )


def gradients(backend: object, given: LstmCall, factors: list) -> list[torch.Tensor]:
    """Returns the outputs, the state, and the gradients of their sum, weighted by `factors`."""
    found = leaves(given)
    for part in found:
        part.requires_grad_()
    outputs, state = backend.projected_lstm(given)
    results = (outputs, *state)
    weighted = [factor.to(outputs.dtype) for factor in factors]
    return [*(one.detach() for one in results), *torch.autograd.grad(results, found, weighted)]


def check(given: LstmCall) -> None:
    """Compares outputs, states and all gradients: to 1e-5 of the largest of each tensor."""
    assert native.unsupported(given) is None
    outputs, state = reference.projected_lstm(given)
    factors = [torch.randn_like(one) for one in (outputs, *state)]
    expected = gradients(reference, in_double(given), factors)
    for one, other in zip(gradients(native, given, factors), expected):
        assert_close(one.double(), other)


@compiled
@pytest.mark.parametrize("lengths", LENGTHS[:-1], ids=str)
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_gradients_are_the_reference_s(
    instructions: int, lengths: list[int], projected: bool, clip: Optional[float]
) -> None:
    sizes = (3, 4, 6) if projected else (3, 70, 70)
    for dropout in (False, True):
        check(call(lengths, sizes, projected=projected, dropout=dropout, clip=clip))


@compiled
def test_any_sizes_have_gradients_with_any_number_of_threads(instructions: int) -> None:
    generator = random.Random(instructions)
    before = torch.get_num_threads()
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        time, batch = generator.randint(1, 6), generator.randint(1, 40)
        sizes = generator.randint(1, 300), generator.randint(1, 300), generator.randint(1, 300)
        lengths = [generator.randint(0, time) for _ in range(batch)]
        directions = generator.randint(1, 3)
        check(call(lengths, sizes, time=time, directions=directions, clip=0.5, dropout=True))
    torch.set_num_threads(before)


@compiled
def test_a_second_backward_pass_and_recomputed_gates_give_the_same_gradients() -> None:
    for recompute in (False, True):
        given = call([4, 2, 5], (8, 9, 20), clip=0.5)._replace(recompute_gates=recompute)
        for part in leaves(given):
            part.requires_grad_()
        outputs = native.projected_lstm(given)[0]
        first = torch.autograd.grad(outputs.sum(), leaves(given), retain_graph=True)
        for one, other in zip(first, torch.autograd.grad(outputs.sum(), leaves(given))):
            assert_close(one, other)


@compiled
def test_only_the_gradients_that_are_needed_are_returned() -> None:
    given = call([4, 2], (8, 9, 20))
    given.inputs.requires_grad_()
    native.projected_lstm(given)[0].sum().backward()
    assert given.inputs.grad is not None and given.weights[0].input.grad is None
    given = call([4, 2], (8, 9, 20))
    given.weights[1].bias.requires_grad_()
    native.projected_lstm(given)[0].sum().backward()
    assert given.weights[1].bias.grad is not None and given.inputs.grad is None


@compiled
def test_a_second_derivative_is_an_error() -> None:
    given = call([4, 2], (8, 9, 20))
    given.inputs.requires_grad_()
    outputs = projected_lstm(given)[0]
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(outputs.sum(), given.inputs, create_graph=True)
