"""Tests of training with products of bfloat16, within autocast, against float32 ones."""

from types import ModuleType
from typing import Any

import pytest
import torch

from elmo_components.config import LstmConfig
from elmo_components.kernels import cpu, native, reference, use_backend
from elmo_components.kernels.call import DirectionWeights, LayerState, LstmCall
from elmo_components.kernels.native import library
from elmo_components.modules.lstm import ElmoLstm
from tests.kernels.cpu_test import results

TIME, INPUT, CELL, HIDDEN = 13, 24, 64, 24
# the last has more rows than the largest number that is rounded to 32s
LENGTHS = [[5, 0, 3, 1], [1], [0, 0], [13, 2, 2, 9, 1], [13] * 48]

backends = pytest.mark.parametrize(
    "backend",
    [
        cpu,
        pytest.param(
            native,
            marks=pytest.mark.skipif(
                library.find().bfloat16 is None,
                reason="there is no compiled library or no AVX-512 BF16",
            ),
        ),
    ],
    ids=["cpu", "native"],
)


def call(lengths: list[int], *, projected: bool = True, **settings: Any) -> LstmCall:
    """Returns a float32 call with sizes as they are in training."""
    hidden = HIDDEN if projected else CELL

    def normal(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return (scale * torch.randn(*shape)).requires_grad_()

    weights = [
        DirectionWeights(
            normal(4 * CELL, INPUT, scale=INPUT**-0.5),
            normal(4 * CELL, hidden, scale=hidden**-0.5),
            normal(4 * CELL),
            normal(hidden, CELL, scale=2.0 * CELL**-0.5) if projected else None,
        )
        for _ in range(2)
    ]
    batch = len(lengths)
    return LstmCall(
        inputs=normal(2, batch, TIME, INPUT),
        lengths=torch.tensor(lengths),
        weights=weights,
        state=LayerState(normal(2, batch, hidden), normal(2, batch, CELL)),
        **settings,
    )


def bfloat16_results(backend: ModuleType, given: LstmCall) -> list[torch.Tensor]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert backend.unsupported(given) is None
        outputs, state = backend.projected_lstm(given)
    # gradients are computed outside, as torch wants it
    return results(Computed(outputs, state), given)


class Computed:
    """Stands for a backend that has computed already."""

    def __init__(self, outputs: torch.Tensor, state: LayerState) -> None:
        self._results = outputs, state

    def projected_lstm(self, _: LstmCall) -> tuple[torch.Tensor, LayerState]:
        return self._results


def assert_near(found: list[torch.Tensor], expected: list[torch.Tensor], error: float) -> None:
    for one, other in zip(found, expected):
        assert one.dtype == torch.float32
        assert float((one - other).norm()) <= error * float(other.norm())


@backends
@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: str(lengths[:5]))
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("recompute_gates", [True, False])
def test_outputs_and_all_gradients_are_near_float32_s(
    backend: ModuleType, lengths: list[int], projected: bool, recompute_gates: bool
) -> None:
    given = call(lengths, projected=projected, recompute_gates=recompute_gates)
    assert_near(bfloat16_results(backend, given), results(reference, given), 0.01)


@backends
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("recompute_gates", [True, False])
def test_clipping_and_dropout_are_as_in_float32(
    backend: ModuleType, projected: bool, recompute_gates: bool
) -> None:
    # with these numbers, no backend's rounding moves one across a clip whose gradient is large
    torch.manual_seed(6)
    given = call(
        LENGTHS[3],
        projected=projected,
        recompute_gates=recompute_gates,
        cell_clip=1.0,
        projection_clip=0.8,
        dropout=(torch.rand(2, 5, HIDDEN if projected else CELL) > 0.3) / 0.7,
    )
    found, expected = bfloat16_results(backend, given), results(reference, given)
    # both clips are active
    assert (expected[2].abs() == 1.0).float().mean() > 0.1
    if projected:
        assert (expected[0].abs() == torch.tensor(0.8) / 0.7).float().mean() > 0.02
    # rounding decides which elements are clipped, a few in a thousand, whose gradients are 0 then
    assert_near(found[:3], expected[:3], 0.01)
    assert_near(found[3:], expected[3:], 0.05)


def module() -> tuple[ElmoLstm, torch.Tensor, torch.Tensor]:
    config = LstmConfig(HIDDEN, CELL, 2, 3.0, 3.0, True)
    mask = torch.arange(TIME).unsqueeze(0) < torch.tensor([13, 0, 5]).unsqueeze(1)
    return ElmoLstm(config, input_size=INPUT), torch.randn(3, TIME, INPUT), mask


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("gradients", [True, False])
def test_inputs_of_either_type_are_taken_within_autocast(
    backend: str, dtype: torch.dtype, gradients: bool
) -> None:
    lstm, inputs, mask = module()
    inputs = inputs.requires_grad_()
    _, exact_state = lstm(inputs, mask)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    with torch.set_grad_enabled(gradients), use_backend(backend), autocast:
        _, state = lstm(inputs.to(dtype), mask)
        # and on from the state, as the next batch does
        outputs, state = lstm(inputs.to(dtype), mask, state)
    again, again_state = lstm(inputs, mask, exact_state)
    assert (outputs.float() - again).norm() <= 0.03 * again.norm()
    assert (state.cell.float() - again_state.cell).norm() <= 0.03 * again_state.cell.norm()
    if gradients:
        (wanted,) = torch.autograd.grad(again.sum(), inputs)
        (found,) = torch.autograd.grad(outputs.sum(), inputs)
        assert (found - wanted).norm() <= 0.05 * wanted.norm()


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_module_stays_with_the_cpu_backend_and_float32_cells(
    gradients: bool, dtype: torch.dtype
) -> None:
    lstm, inputs, mask = module()
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    with torch.set_grad_enabled(gradients), use_backend("cpu"), autocast:
        outputs, state = lstm(inputs.to(dtype), mask)
    assert outputs.dtype == state.hidden.dtype == state.cell.dtype == torch.float32


def test_the_reference_keeps_cells_and_outputs_in_float32() -> None:
    given = call(LENGTHS[3], cell_clip=3.0, projection_clip=3.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, state = reference.projected_lstm(given)
    exact = reference.projected_lstm(given)
    assert_near([outputs, *state], [exact[0], *exact[1]], 0.01)
    assert not torch.equal(outputs, exact[0])
