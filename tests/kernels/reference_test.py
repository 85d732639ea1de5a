"""Tests of kernels/reference.py, against float64 loops and numerical gradients."""

from typing import Optional

import numpy
import pytest
import torch

from elmo_components.kernels.call import DirectionWeights, LayerState, LstmCall
from elmo_components.kernels.reference import projected_lstm
from tests.reference import lstm_steps

LENGTHS = [5, 0, 3, 1]
TIME, INPUT, HIDDEN, CELL = 5, 3, 4, 6


def weights(*, projected: bool = True) -> list[DirectionWeights]:
    hidden = HIDDEN if projected else CELL

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    return [
        DirectionWeights(
            normal(4 * CELL, INPUT),
            normal(4 * CELL, hidden),
            normal(4 * CELL),
            normal(hidden, CELL) if projected else None,
        )
        for _ in range(2)
    ]


def state(*, projected: bool = True) -> LayerState:
    hidden = HIDDEN if projected else CELL
    return LayerState(
        torch.randn(2, len(LENGTHS), hidden, dtype=torch.float64),
        torch.randn(2, len(LENGTHS), CELL, dtype=torch.float64),
    )


@pytest.mark.parametrize("cell_clip", [None, 0.5])
@pytest.mark.parametrize("projection_clip", [None, 0.7])
@pytest.mark.parametrize("projected", [True, False])
def test_steps_are_the_equations(
    cell_clip: Optional[float], projection_clip: Optional[float], projected: bool
) -> None:
    inputs = torch.randn(2, len(LENGTHS), TIME, INPUT, dtype=torch.float64)
    both, start = weights(projected=projected), state(projected=projected)
    outputs, end = projected_lstm(
        LstmCall(
            inputs,
            lengths=torch.tensor(LENGTHS),
            weights=both,
            state=start,
            cell_clip=cell_clip,
            projection_clip=projection_clip,
            dropout=None,
        )
    )
    for direction in range(2):
        for row, length in enumerate(LENGTHS):
            weight = both[direction]
            expected, hidden, cell = lstm_steps(
                list(inputs[direction, row, :length].numpy()),
                input_weight=weight.input.numpy(),
                recurrent_weight=weight.recurrent.numpy(),
                bias=weight.bias.numpy(),
                projection_weight=None if weight.projection is None else weight.projection.numpy(),
                cell_clip=cell_clip,
                projection_clip=projection_clip,
                hidden=start.hidden[direction, row].numpy(),
                cell=start.cell[direction, row].numpy(),
            )
            found = outputs[direction, row].numpy()
            numpy.testing.assert_allclose(
                found[:length],
                numpy.reshape(expected, (length, -1) if length else (0, found.shape[1])),
            )
            assert not found[length:].any()
            numpy.testing.assert_allclose(end.hidden[direction, row].numpy(), hidden)
            numpy.testing.assert_allclose(end.cell[direction, row].numpy(), cell)


def test_dropout_is_a_factor_of_every_step() -> None:
    inputs = torch.randn(2, len(LENGTHS), TIME, INPUT, dtype=torch.float64)
    dropout = torch.ones(2, len(LENGTHS), HIDDEN, dtype=torch.float64)
    dropout[:, :, 1] = 0.0
    outputs, end = projected_lstm(
        LstmCall(
            inputs,
            lengths=torch.tensor(LENGTHS),
            weights=weights(),
            state=state(),
            cell_clip=None,
            projection_clip=None,
            dropout=dropout,
        )
    )
    assert not outputs[..., 1].any()
    assert outputs[:, 0, :, 0].all()
    # a sentence without steps keeps what it had
    assert end.hidden[:, 1, 1].all() and not end.hidden[:, 0, 1].any()


def test_gradients_are_those_of_the_function() -> None:
    inputs = torch.randn(2, len(LENGTHS), TIME, INPUT, dtype=torch.float64)
    start = state()
    tensors = [inputs, start.hidden, start.cell]
    for weight in weights():
        tensors += [weight.input, weight.recurrent, weight.bias, weight.projection]

    def run(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        inputs, hidden, cell, *rest = values
        outputs, end = projected_lstm(
            LstmCall(
                inputs,
                lengths=torch.tensor(LENGTHS),
                weights=[DirectionWeights(*rest[:4]), DirectionWeights(*rest[4:])],
                state=LayerState(hidden, cell),
                cell_clip=0.8,
                projection_clip=0.9,
                dropout=None,
            )
        )
        return outputs, end.hidden, end.cell

    assert torch.autograd.gradcheck(run, tuple(t.requires_grad_() for t in tensors))
    assert torch.autograd.gradgradcheck(run, tuple(tensors), fast_mode=True)
