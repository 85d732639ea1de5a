"""Holds kernels/native/ to kernels/reference.py, with every instruction set of this processor."""

import math
import random
from collections.abc import Iterator
from typing import Optional

import pytest
import torch

from elmo_components.kernels import native, reference
from elmo_components.kernels.call import DirectionWeights, LayerState, LstmCall
from elmo_components.kernels.native import library
from elmo_components.kernels.packed import PackedWeights
from tests.closeness import assert_close

LENGTHS = [[5, 0, 3, 1], [3, 3], [1], [0, 0], [], [7, 2, 2, 9, 1], [9] * 40]
# input_size, hidden_size and cell_size of all published models and of ELMoForManyLangs
PUBLISHED = [(128, 128, 1024), (256, 256, 2048), (512, 512, 4096), (256, 256, 512)]

compiled = pytest.mark.skipif(native.unavailable() is not None, reason=str(native.unavailable()))


@pytest.fixture(params=range(len(library.INSTRUCTIONS)), ids=library.INSTRUCTIONS)
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Makes the backend use one instruction set."""
    found = library.find()
    if request.param > found.instructions:
        pytest.skip(f"this processor has no {library.INSTRUCTIONS[request.param]}")
    chosen = found._replace(instructions=request.param)
    monkeypatch.setattr(library, "find", lambda: chosen)
    return request.param


@pytest.fixture(params=[1, 2, 3, 8])
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def call(
    lengths: list[int],
    sizes: tuple[int, int, int] = (3, 4, 6),
    *,
    time: int = 9,
    projected: bool = True,
    directions: int = 2,
    dropout: bool = False,
    clip: Optional[float] = None,
    scale: float = 1.0,
    precision: str = "float32",
) -> LstmCall:
    """Returns a call with random tensors that need no gradient."""
    inputs, hidden, cell = sizes
    weights = [
        DirectionWeights(
            scale * torch.randn(4 * cell, inputs) / math.sqrt(inputs),
            scale * torch.randn(4 * cell, hidden) / math.sqrt(hidden),
            torch.randn(4 * cell),
            2.0 * torch.randn(hidden, cell) / math.sqrt(cell) if projected else None,
        )
        for _ in range(directions)
    ]
    batch = len(lengths)
    kept = torch.rand(directions, batch, hidden) > 0.3
    return LstmCall(
        inputs=torch.randn(directions, batch, time, inputs),
        lengths=torch.tensor(lengths, dtype=torch.int64),
        weights=weights,
        state=LayerState(
            torch.randn(directions, batch, hidden), torch.randn(directions, batch, cell)
        ),
        dropout=kept / 0.7 if dropout else None,
        cell_clip=clip,
        projection_clip=clip,
        precision=precision,
    )


def check(given: LstmCall) -> None:
    """Compares the outputs and the state with the reference's."""
    assert native.unsupported(given) is None
    found, expected = native.projected_lstm(given), reference.projected_lstm(given)
    for one, other in zip((found[0], *found[1]), (expected[0], *expected[1])):
        assert_close(one, other)


@compiled
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("projected", [True, False])
def test_outputs_and_states_are_the_reference_s(
    instructions: int, num_threads: int, lengths: list[int], projected: bool
) -> None:
    sizes = (3, 4, 6) if projected else (3, 70, 70)
    for dropout in (False, True):
        for clip in (None, 0.5):
            check(call(lengths, sizes, projected=projected, dropout=dropout, clip=clip))


@compiled
def test_any_sizes_are_computed(instructions: int, num_threads: int) -> None:
    generator = random.Random(num_threads)
    for _ in range(5):
        # more rows than a block of input products has
        time, batch = generator.randint(0, 12), generator.randint(0, 50)
        sizes = generator.randint(1, 300), generator.randint(1, 300), generator.randint(1, 300)
        lengths = [generator.randint(0, time) for _ in range(batch)]
        check(
            call(
                lengths,
                sizes,
                time=time,
                directions=generator.randint(1, 3),
                clip=0.5,
                dropout=True,
            )
        )


@compiled
@pytest.mark.parametrize("sizes", PUBLISHED, ids=str)
def test_published_shapes_are_computed(instructions: int, sizes: tuple[int, int, int]) -> None:
    check(call([3, 1, 2], sizes, time=3, clip=3.0))
    check(call([4], sizes, time=4, clip=3.0))


@compiled
def test_the_largest_error_of_the_activations_is_2e_7(instructions: int) -> None:
    # every part of the range, with numbers at which exponentials overflow
    x = torch.cat([torch.linspace(-100.0, 100.0, 400_001), torch.linspace(-1e-3, 1e-3, 20_001)])
    x = torch.cat([x, torch.tensor([-math.inf, -3e38, -1e4, 0.0, 1e4, 3e38, math.inf])])
    sigmoid, tanh = torch.empty_like(x), torch.empty_like(x)
    library.find().functions.elmo_activations(
        instructions, len(x), x.data_ptr(), sigmoid.data_ptr(), tanh.data_ptr()
    )
    assert (sigmoid.double() - x.double().sigmoid()).abs().max() <= 2e-7
    assert (tanh.double() - x.double().tanh()).abs().max() <= 2e-7


@compiled
def test_saturated_gates_and_infinite_states_are_the_reference_s(instructions: int) -> None:
    check(call([5, 3], (8, 9, 20), scale=1e3))
    given = call([2, 1], (8, 9, 20))
    given.state.cell[0, 0, :3] = math.inf
    given.state.cell[1, 1, 2:5] = -1e30
    check(given)
    check(given._replace(cell_clip=2.0))


@compiled
def test_nan_stays_in_its_sentence_and_direction(instructions: int) -> None:
    given = call([5, 3, 4], (8, 9, 20), clip=0.5)
    given.inputs[1, 1, 2] = math.nan
    outputs, state = native.projected_lstm(given)
    expected, _ = reference.projected_lstm(given)
    assert torch.equal(outputs.isnan(), expected.isnan()) and outputs[1, 1, 2].isnan().all()
    assert state.cell[1, 1].isnan().all() and not state.cell[:, 0].isnan().any()


@compiled
def test_padding_is_not_read(instructions: int) -> None:
    given = call([5, 0, 3], time=6)
    padding = torch.arange(6) >= given.lengths.unsqueeze(1)
    other = given._replace(
        inputs=given.inputs.masked_fill(padding.unsqueeze(-1), math.nan),
    )
    for one, two in zip(native.projected_lstm(given)[1], native.projected_lstm(other)[1]):
        assert torch.equal(one, two)
    assert not native.projected_lstm(other)[0][:, padding].any()


@compiled
@pytest.mark.parametrize("sizes", [(3, 4, 6), (70, 90, 300), (128, 128, 1024)], ids=str)
def test_a_sentence_has_the_same_bits_in_every_batch_and_with_any_number_of_threads(
    instructions: int, sizes: tuple[int, int, int]
) -> None:
    given = call([9, 3, 5, 8, 1, 9, 9, 2], sizes, clip=3.0)
    check_alone(given, native.projected_lstm(given)[0])


def check_alone(given: LstmCall, together: torch.Tensor) -> None:
    """Computes each sentence of a call alone, and all with other numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        assert torch.equal(native.projected_lstm(given)[0], together)
    finally:
        torch.set_num_threads(before)
    for row in range(len(given.lengths)):
        alone = given._replace(
            inputs=given.inputs[:, row : row + 1],
            lengths=given.lengths[row : row + 1],
            state=LayerState(*(part[:, row : row + 1] for part in given.state)),
        )
        assert torch.equal(native.projected_lstm(alone)[0][:, 0], together[:, row])


@compiled
def test_views_of_other_tensors_are_read_by_their_strides() -> None:
    given = call([5, 2, 3], (8, 9, 20))
    views = given._replace(
        inputs=torch.stack([given.inputs, given.inputs], dim=-1)[..., 1],
        weights=[
            DirectionWeights(
                *(part.t().contiguous().t() if part.dim() == 2 else part for part in weight)
            )
            for weight in given.weights
        ],
        state=LayerState(
            *(part.transpose(0, 1).contiguous().transpose(0, 1) for part in given.state)
        ),
    )
    assert not views.inputs.is_contiguous()
    for one, two in zip(native.projected_lstm(given)[1], native.projected_lstm(views)[1]):
        assert torch.equal(one, two)


@compiled
def test_changed_weights_are_packed_again() -> None:
    given = call([5, 2, 3], (8, 9, 20))._replace(packed=PackedWeights())
    check(given)
    given.weights[1].recurrent.mul_(0.5)
    check(given)
    given.weights[0].projection.data.neg_()
    check(given)
