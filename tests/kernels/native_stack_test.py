"""Tests of all layers by one compiled call, and of the threads that compute it."""

import ctypes
import os

import pytest
import torch

from elmo_components.config import LstmConfig
from elmo_components.kernels import PRECISIONS, LayerState, StackCall, native, use_backend
from elmo_components.kernels.native import forward, openmp
from elmo_components.kernels.native.structures import OpenMp
from elmo_components.modules.lstm import ElmoLstm
from elmo_components.modules.lstm_state import LstmState
from tests.closeness import assert_close
from tests.kernels.native_test import call, compiled, num_threads

__all__ = ["num_threads"]

LENGTHS = [5, 0, 3, 1]


def lstm(*, skip: bool = True, cell_size: int = 40, **settings: object) -> ElmoLstm:
    """Returns two layers of random weights, whose cells and outputs are clipped."""
    config = LstmConfig(9, cell_size, 2, 0.5, 0.3, skip)
    return ElmoLstm(config, input_size=9, **settings).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns inputs and a mask."""
    mask = torch.arange(6) < torch.tensor(LENGTHS).unsqueeze(1)
    return torch.randn(len(LENGTHS), 6, 9), mask


@compiled
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("cell_size", [40, 9])
def test_all_layers_and_states_are_the_reference_s(
    num_threads: int, skip: bool, cell_size: int
) -> None:
    module, (inputs, mask) = lstm(skip=skip, cell_size=cell_size), batch()
    # inputs of other strides are read as they are
    for given in (inputs, torch.stack([inputs, inputs], dim=1)[:, 1], inputs.mT.contiguous().mT):
        for state in (
            None,
            LstmState(torch.randn(2, 2, 4, 9), torch.randn(2, 2, 4, cell_size)),
        ):
            for include_inputs in (False, True):
                with torch.no_grad():
                    found = module(given, mask, state, include_inputs=include_inputs)
                    with use_backend("reference"):
                        expected = module(given, mask, state, include_inputs=include_inputs)
                for one, other in zip((found[0], *found[1]), (expected[0], *expected[1])):
                    assert_close(one, other)
                assert not found[0][:, ~mask].any()


@compiled
def test_one_call_computes_them_without_gradients_and_dropout_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[StackCall] = []
    run = native.bidirectional_layers
    monkeypatch.setattr(
        native, "bidirectional_layers", lambda given: calls.append(given) or run(given)
    )
    inputs, mask = batch()
    module = lstm(recurrent_dropout=0.5)
    module(inputs, mask)
    with torch.no_grad():
        module.train()(inputs, mask)
        with use_backend("cpu"):
            module.eval()(inputs, mask)
        module.double()(inputs.double(), mask)
        assert not calls
        module.float()(inputs, mask)
    assert len(calls) == 1


@compiled
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_sentence_alone_and_in_a_batch_has_equal_vectors(
    num_threads: int, precision: str
) -> None:
    module, (inputs, mask) = lstm(precision=precision), batch()
    # sentences of very different sizes
    inputs *= torch.tensor([0.1, 1.0, 3.0, 9.0]).view(4, 1, 1)
    with torch.no_grad():
        together = module(inputs, mask)[0]
        for row in range(len(LENGTHS)):
            alone = module(inputs[row : row + 1], mask[row : row + 1])[0]
            assert torch.equal(alone[:, 0], together[:, row])


@compiled
def test_wrong_shapes_are_errors() -> None:
    pairs = [call([2, 1], (9, 9, 20)).weights for _ in range(2)]
    given = StackCall(
        inputs=torch.zeros(2, 4, 9),
        lengths=torch.tensor([4, 1]),
        weights=pairs,
        outputs=torch.zeros(2, 2, 4, 18),
        state=None,
        skip_connections=True,
        packed=lstm()._packed,
        cell_clip=None,
        projection_clip=None,
        precision="float32",
    )
    native.bidirectional_layers(given)
    for change, message in (
        ({"inputs": torch.zeros(2, 4, 8)}, r"input weight must be of shape \(80, 8\)"),
        ({"lengths": torch.tensor([5, 1])}, "lengths must be from 0 to 4"),
        ({"outputs": torch.zeros(2, 2, 4, 20)}, "outputs must be of shape"),
        ({"outputs": torch.zeros(2, 2, 3, 18)}, "outputs must be of shape"),
        ({"outputs": torch.zeros(3, 2, 4, 18)}, "weights for 3 layers"),
        ({"outputs": torch.zeros(2, 2, 4, 36)[..., ::2]}, "contiguous"),
        ({"state": LayerState(torch.zeros(2, 2, 3, 9), torch.zeros(2, 2, 2, 20))}, "hidden state"),
    ):
        with pytest.raises(ValueError, match=message):
            native.bidirectional_layers(given._replace(**change))


@compiled
def test_with_too_few_threads_of_openmp_one_thread_computes(
    monkeypatch: pytest.MonkeyPatch, num_threads: int
) -> None:
    given = call([5, 2, 3], (8, 9, 200))
    expected = native.projected_lstm(given)[0]
    work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    sizes: list[int] = []

    @ctypes.CFUNCTYPE(None, work, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    def parallel(member: object, data: int, threads: int, flags: int) -> None:
        sizes.append(threads)
        member(data)

    one = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1)
    addresses = [ctypes.cast(function, ctypes.c_void_p) for function in (parallel, one, one)]
    monkeypatch.setattr(forward, "openmp", lambda: OpenMp(*addresses))
    assert torch.equal(native.projected_lstm(given)[0], expected)
    assert bool(sizes) == (num_threads > 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_does_not_use_the_parent_s_threads() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0 if openmp.openmp().parallel is None else 1)
    assert os.waitpid(child, 0)[1] == 0
