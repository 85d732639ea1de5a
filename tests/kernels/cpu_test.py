"""Holds kernels/cpu.py, forward and backward, to kernels/reference.py."""

import copy
import pickle
from collections.abc import Iterator
from itertools import product
from typing import Optional

import pytest
import torch

from elmo_components.config import LstmConfig
from elmo_components.kernels import cpu, reference, use_backend
from elmo_components.kernels.call import DirectionWeights, LayerState, LstmCall
from elmo_components.modules.lstm import ElmoLstm
from tests.closeness import assert_close

TIME, INPUT, CELL = 9, 3, 6
LENGTHS = [[5, 0, 3, 1], [3, 3], [1], [0, 0], [7, 2, 2, 9, 1]]


def call(
    lengths: list[int],
    *,
    projected: bool = True,
    dropout: bool = False,
    dtype: torch.dtype = torch.float64,
    directions: int = 2,
    **settings: object,
) -> LstmCall:
    """Returns a call with random tensors that all require gradients."""
    hidden = 4 if projected else CELL

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=dtype).requires_grad_()

    weights = [
        DirectionWeights(
            normal(4 * CELL, INPUT),
            normal(4 * CELL, hidden),
            normal(4 * CELL),
            normal(hidden, CELL) if projected else None,
        )
        for _ in range(directions)
    ]
    batch = len(lengths)
    kept = torch.rand(directions, batch, hidden, dtype=dtype) > 0.3
    return LstmCall(
        inputs=normal(directions, batch, TIME, INPUT),
        lengths=torch.tensor(lengths),
        weights=weights,
        state=LayerState(normal(directions, batch, hidden), normal(directions, batch, CELL)),
        dropout=kept / 0.7 if dropout else None,
        **settings,
    )


def leaves(call: LstmCall) -> list[torch.Tensor]:
    parts = [part for weight in call.weights for part in weight if part is not None]
    return [call.inputs, *call.state, *parts]


def results(backend: object, call: LstmCall) -> list[torch.Tensor]:
    """Returns the outputs, the state, and the gradients of all for fixed gradients of these."""
    outputs, state = backend.projected_lstm(call)
    computed = [outputs, *state]
    generator = torch.Generator().manual_seed(3)
    given = [
        torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part.dtype)
        for part in computed
    ]
    gradients = torch.autograd.grad(computed, leaves(call), given, allow_unused=True)
    return computed + [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves(call), gradients)
    ]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("recompute_gates", [True, False])
def test_outputs_and_all_gradients_are_the_reference_s(
    lengths: list[int], projected: bool, recompute_gates: bool
) -> None:
    for cell_clip, projection_clip, dropout in product([None, 0.5], [None, 0.7], [False, True]):
        given = call(
            lengths,
            projected=projected,
            dropout=dropout,
            cell_clip=cell_clip,
            projection_clip=projection_clip,
            recompute_gates=recompute_gates,
        )
        for found, expected in zip(results(cpu, given), results(reference, given)):
            torch.testing.assert_close(found, expected)


def test_one_direction_alone_and_float32_are_computed_too() -> None:
    given = call(LENGTHS[0], directions=1, dtype=torch.float32, cell_clip=0.5)
    for found, expected in zip(results(cpu, given), results(reference, given)):
        assert_close(found, expected)


def test_without_gradients_the_outputs_are_the_same() -> None:
    given = call(LENGTHS[0], cell_clip=0.5, projection_clip=0.7, dropout=True)
    with torch.no_grad():
        found, expected = cpu.projected_lstm(given), reference.projected_lstm(given)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1])
    assert not found[0].requires_grad


def test_steps_in_several_blocks_are_the_same_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    given = call(LENGTHS[4], cell_clip=0.5, projection_clip=0.7)
    whole = results(cpu, given)
    # two directions of 4 * CELL float64: three rows a block
    monkeypatch.setattr("elmo_components.kernels.cpu_forward.BLOCK", 3 * 2 * 4 * CELL * 8)
    for found, expected in zip(results(cpu, given), whole):
        torch.testing.assert_close(found, expected)


def test_gradients_reach_the_inputs_of_frozen_weights() -> None:
    given = call(LENGTHS[0])
    for leaf in leaves(given)[1:]:
        leaf.requires_grad_(False)
    outputs = [backend.projected_lstm(given)[0] for backend in (cpu, reference)]
    found, expected = (torch.autograd.grad(part.sum(), given.inputs)[0] for part in outputs)
    torch.testing.assert_close(found, expected)


def test_frozen_inputs_leave_the_weights_their_gradients() -> None:
    given = call(LENGTHS[0])
    given.inputs.requires_grad_(False)
    weight = given.weights[1].recurrent
    outputs = [backend.projected_lstm(given)[0] for backend in (cpu, reference)]
    found, expected = (torch.autograd.grad(part.sum(), weight)[0] for part in outputs)
    torch.testing.assert_close(found, expected)


def test_a_second_backward_pass_gives_the_same_gradients() -> None:
    given = call(LENGTHS[0], cell_clip=0.5)
    total = cpu.projected_lstm(given)[0].sum()
    first = torch.autograd.grad(total, leaves(given), retain_graph=True)
    for found, expected in zip(torch.autograd.grad(total, leaves(given)), first):
        torch.testing.assert_close(found, expected)


def test_derivatives_of_derivatives_are_refused_with_what_to_do() -> None:
    given = call(LENGTHS[0])
    total = cpu.projected_lstm(given)[0].sum()
    with pytest.raises(RuntimeError, match=r'use_backend\("reference"\)'):
        torch.autograd.grad(total, given.inputs, create_graph=True)


def test_weights_changed_between_forward_and_backward_are_noticed() -> None:
    given = call(LENGTHS[0])
    total = cpu.projected_lstm(given)[0].sum()
    with torch.no_grad():
        given.weights[0].recurrent.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_calls_that_cannot_be_taken_are_named() -> None:
    given = call(LENGTHS[0])
    assert cpu.unsupported(given) is None
    assert "bfloat16" in str(cpu.unsupported(given._replace(inputs=given.inputs.bfloat16())))
    mixed = given._replace(inputs=given.inputs.float())
    assert "float64" in str(cpu.unsupported(mixed))
    elsewhere = given._replace(inputs=given.inputs.to("meta"))
    assert "meta" in str(cpu.unsupported(elsewhere))
    dropout = torch.ones(2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert "dropout" in str(cpu.unsupported(given._replace(dropout=dropout)))


@pytest.fixture(params=["auto", "cpu"])
def chosen(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs a test with the fastest backend, which may be the compiled one, and with this one."""
    with use_backend(request.param):
        yield


CONFIG = LstmConfig(
    hidden_size=40,
    cell_size=72,
    num_layers=2,
    cell_clip=3.0,
    projection_clip=3.0,
    skip_connections=True,
)


def lstm(**settings: object) -> ElmoLstm:
    return ElmoLstm(CONFIG, input_size=40, **settings)


def batch(dtype: Optional[torch.dtype] = None) -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.arange(7).unsqueeze(0) < torch.tensor([7, 3, 5]).unsqueeze(1)
    return torch.randn(3, 7, 40, dtype=dtype), mask


def expected(module: ElmoLstm, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), use_backend("reference"):
        return module(inputs, mask)[0]


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("gradients", [True, False])
def test_weights_that_change_are_laid_out_anew(training: bool, gradients: bool) -> None:
    module = lstm().train(training)
    inputs, mask = batch()

    def check() -> None:
        with torch.set_grad_enabled(gradients):
            found = module(inputs, mask)[0].detach()
        torch.testing.assert_close(found, expected(module, inputs, mask))

    check()
    with torch.no_grad():
        module.forward_layers[0].recurrent_weight.mul_(0.5)
    check()
    # as AllenNLP's moving averages do; no version is counted
    for parameter in module.parameters():
        parameter.data.copy_(0.1 * torch.randn_like(parameter))
    check()
    module.load_state_dict(lstm().state_dict())
    check()
    module.double()
    inputs = inputs.double()
    check()
    module.float()
    inputs = inputs.float()
    module.backward_layers[1].projection_weight = torch.nn.Parameter(0.1 * torch.randn(40, 72))
    check()


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_copy_and_a_pickle_compute_the_same_and_share_nothing(precision: str) -> None:
    module = lstm(precision=precision).eval()
    inputs, mask = batch()
    with torch.no_grad():
        before = module(inputs, mask)[0]
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            torch.testing.assert_close(other(inputs, mask)[0], before)
            other.forward_layers[0].bias.add_(1.0)
            assert not torch.allclose(other(inputs, mask)[0], before)
        torch.testing.assert_close(module(inputs, mask)[0], before)


@pytest.mark.usefixtures("chosen")
def test_inference_mode_leaves_nothing_behind_that_training_trips_over() -> None:
    module, (inputs, mask) = lstm(), batch()
    with torch.inference_mode():
        before = module(inputs, mask)[0]
    outputs = module(inputs, mask)[0]
    outputs.sum().backward()
    torch.testing.assert_close(outputs.detach(), before.clone())


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("precision, least", [("bfloat16", 0.999), ("int8", 0.99)])
def test_lower_precisions_are_close(precision: str, least: float) -> None:
    config = LstmConfig(256, 1024, 2, 3.0, 3.0, True)
    module = ElmoLstm(config, input_size=256, precision=precision).eval()
    lengths = torch.tensor([9, 1, 4])
    mask = torch.arange(9).unsqueeze(0) < lengths.unsqueeze(1)
    inputs = torch.randn(3, 9, 256)
    with torch.no_grad():
        found = module(inputs, mask)[0]
    cosines = torch.nn.functional.cosine_similarity(
        found[:, mask], expected(module, inputs, mask)[:, mask], dim=-1
    )
    assert cosines.mean() >= least
    assert found.dtype == torch.float32


@pytest.mark.usefixtures("chosen")
def test_gradients_are_always_of_full_precision() -> None:
    module, (inputs, mask) = lstm(precision="int8"), batch()
    exact = lstm()
    exact.load_state_dict(module.state_dict())
    for one in (module, exact):
        one(inputs, mask)[0].sum().backward()
    for one, other in zip(module.parameters(), exact.parameters()):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.usefixtures("chosen")
def test_in_training_a_change_through_data_shows_whatever_its_place() -> None:
    module, (inputs, mask) = lstm(), batch()
    module(inputs, mask)
    module.forward_layers[0].recurrent_weight.data[3, 5] += 1.0
    torch.testing.assert_close(module(inputs, mask)[0].detach(), expected(module, inputs, mask))


@pytest.mark.usefixtures("chosen")
@pytest.mark.skipif(not hasattr(torch, "set_default_device"), reason="torch has no default device")
def test_the_default_device_does_not_matter() -> None:
    module, (inputs, mask) = lstm(), batch()
    lengths = mask.sum(1)
    with torch.device("meta"), torch.no_grad():
        found, _ = module.directions(torch.stack([inputs, inputs]), lengths + 2 * (lengths < 7))
    with torch.no_grad():
        again, _ = module.directions(torch.stack([inputs, inputs]), lengths + 2 * (lengths < 7))
    assert all(torch.equal(one, other) for one, other in zip(found, again))


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"precision must be one of .*; found 'float16'"):
        lstm(precision="float16")
