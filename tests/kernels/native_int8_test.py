"""Holds the int8 products of kernels/native/ to products in float64."""

import math

import pytest
import torch

from elmo_components.kernels import native, reference
from elmo_components.kernels.native import library
from tests.closeness import assert_close
from tests.kernels.native_test import LENGTHS, PUBLISHED, call, check_alone, num_threads

__all__ = ["num_threads"]

int8 = pytest.mark.skipif(
    library.find().int8 is None, reason="there is no compiled library or no AVX-512 VNNI"
)


def int8_product(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Multiplies in float64, after rounding rows and outputs to 127ths of their largest values."""

    def rounded(values: torch.Tensor) -> torch.Tensor:
        scales = values.abs().amax(dim=-1, keepdim=True).clamp(min=1e-30) / 127.0
        return (values / scales).round().double() * scales

    return rounded(rows) @ rounded(weight).t()


@int8
@pytest.mark.parametrize("sizes", [(3, 4, 6), (70, 91, 300), (256, 256, 512)], ids=str)
def test_int8_products_have_a_scale_for_each_output_and_each_row(
    num_threads: int, sizes: tuple[int, int, int]
) -> None:
    # one step, so that no difference grows
    given = call([1] * 9, sizes, time=1, directions=1, precision="int8")
    # rows of very different sizes, and one of zeros
    given.inputs.mul_(torch.logspace(-3, 1, 9).view(9, 1, 1))
    given.inputs[0, 4] = 0.0
    weight, inputs = given.weights[0], given.inputs[0, :, 0]
    gates = int8_product(inputs, weight.input) + weight.bias
    gates += int8_product(given.state.hidden[0], weight.recurrent)
    i, f, g, o = gates.chunk(4, dim=-1)
    cell = i.sigmoid() * g.tanh() + f.sigmoid() * given.state.cell[0]
    hidden = int8_product((o.sigmoid() * cell.tanh()).float(), weight.projection)
    outputs, state = native.projected_lstm(given)
    assert_close(state.cell[0].double(), cell)
    # an activated cell at a boundary may be rounded to the other side
    assert_close(outputs[0, :, 0].double(), hidden, 5e-3)


@int8
@pytest.mark.parametrize("sizes", PUBLISHED, ids=str)
def test_int8_is_close_to_float32_and_does_not_depend_on_the_batch_or_on_threads(
    sizes: tuple[int, int, int],
) -> None:
    given = call([4, 1, 3], sizes, time=4, clip=3.0, precision="int8")
    together = native.projected_lstm(given)[0]
    expected = reference.projected_lstm(given)[0]
    mask = torch.arange(4) < given.lengths.unsqueeze(1)
    cosines = torch.nn.functional.cosine_similarity(together[:, mask], expected[:, mask], dim=-1)
    assert cosines.mean() >= 0.99
    assert not together[:, ~mask].any()
    check_alone(given, together)


@int8
def test_int8_without_a_projection_and_without_sentences_is_computed(num_threads: int) -> None:
    for lengths in LENGTHS:
        given = call(lengths, (5, 33, 33), projected=False, precision="int8", dropout=True)
        found, expected = native.projected_lstm(given), reference.projected_lstm(given)
        for one, other in zip((found[0], *found[1]), (expected[0], *expected[1])):
            assert_close(one, other, 0.1)


@int8
def test_nan_stays_in_its_sentence_in_int8_too() -> None:
    given = call([5, 3, 4], (8, 9, 20), clip=0.5, precision="int8")
    for value in (math.nan, math.inf):
        given.inputs[1, 1, 2, 3] = value
        outputs, _ = native.projected_lstm(given)
        assert outputs[1, 1, 2].isnan().all()
        assert not outputs[0].isnan().any() and not outputs[1, [0, 2]].isnan().any()
