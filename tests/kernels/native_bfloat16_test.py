"""Holds the bfloat16 products of kernels/native/ to products in float64."""

import math

import pytest
import torch

from elmo_components.kernels import native, reference
from elmo_components.kernels.native import library
from tests.closeness import assert_close
from tests.kernels.native_test import LENGTHS, PUBLISHED, call, check_alone, num_threads

__all__ = ["num_threads"]

bfloat16 = pytest.mark.skipif(
    library.find().bfloat16 is None, reason="there is no compiled library or no AVX-512 BF16"
)


def product(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Multiplies in float64, after rounding both to bfloat16."""
    return rows.bfloat16().double() @ weight.bfloat16().double().t()


@bfloat16
@pytest.mark.parametrize("sizes", [(3, 4, 6), (70, 91, 300), (256, 256, 512)], ids=str)
def test_products_are_of_bfloat16_numbers_with_sums_in_float32(
    num_threads: int, sizes: tuple[int, int, int]
) -> None:
    # one step, so that no difference grows
    given = call([1] * 9, sizes, time=1, directions=1, precision="bfloat16")
    weight, inputs = given.weights[0], given.inputs[0, :, 0]
    gates = product(inputs, weight.input) + weight.bias
    gates += product(given.state.hidden[0], weight.recurrent)
    i, f, g, o = gates.chunk(4, dim=-1)
    cell = i.sigmoid() * g.tanh() + f.sigmoid() * given.state.cell[0]
    hidden = product((o.sigmoid() * cell.tanh()).float(), weight.projection)
    outputs, state = native.projected_lstm(given)
    assert_close(state.cell[0].double(), cell)
    # an activated cell between two numbers may be rounded to the other one
    assert_close(outputs[0, :, 0].double(), hidden, 1e-3)


@bfloat16
@pytest.mark.parametrize("sizes", PUBLISHED, ids=str)
def test_it_is_close_to_float32_and_does_not_depend_on_the_batch_or_on_threads(
    sizes: tuple[int, int, int],
) -> None:
    given = call([4, 1, 3], sizes, time=4, clip=3.0, precision="bfloat16")
    together = native.projected_lstm(given)[0]
    expected = reference.projected_lstm(given)[0]
    mask = torch.arange(4) < given.lengths.unsqueeze(1)
    cosines = torch.nn.functional.cosine_similarity(together[:, mask], expected[:, mask], dim=-1)
    assert cosines.mean() >= 0.999
    assert not torch.equal(together, native.projected_lstm(given._replace(precision="float32"))[0])
    assert not together[:, ~mask].any()
    check_alone(given, together)


@bfloat16
def test_without_a_projection_and_without_sentences_it_is_computed(num_threads: int) -> None:
    for lengths in LENGTHS:
        given = call(lengths, (5, 33, 33), projected=False, precision="bfloat16", dropout=True)
        found, expected = native.projected_lstm(given), reference.projected_lstm(given)
        for one, other in zip((found[0], *found[1]), (expected[0], *expected[1])):
            assert_close(one, other, 0.02)


@bfloat16
def test_nan_stays_in_its_sentence_in_bfloat16_too() -> None:
    given = call([5, 3, 4], (8, 9, 20), clip=0.5, precision="bfloat16")
    given.inputs[1, 1, 2, 3] = math.nan
    outputs, _ = native.projected_lstm(given)
    assert outputs[1, 1, 2].isnan().all()
    assert not outputs[0].isnan().any() and not outputs[1, [0, 2]].isnan().any()
