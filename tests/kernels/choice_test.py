"""Tests of the choice between backends, in kernels/__init__.py."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from elmo_components.kernels import (
    BackendUnavailable,
    cpu,
    describe_backend,
    native,
    projected_lstm,
    reference,
    use_backend,
)
from tests.kernels.cpu_test import LENGTHS, call


def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns a list to which each backend adds its name when it is called."""
    names: list[str] = []
    for name, backend in (("cpu", cpu), ("reference", reference)):
        compute = backend.projected_lstm

        def spy(call, name=name, compute=compute):
            names.append(name)
            return compute(call)

        monkeypatch.setattr(backend, "projected_lstm", spy)
    return names


def test_the_fastest_backend_that_can_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    names = used(monkeypatch)
    projected_lstm(call(LENGTHS[0]))
    projected_lstm(call(LENGTHS[0], dtype=torch.bfloat16))
    assert names == ["cpu", "reference"]


def test_a_named_backend_is_taken_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    names = used(monkeypatch)
    with use_backend("reference"):
        projected_lstm(call(LENGTHS[0]))
        with use_backend("cpu"):
            projected_lstm(call(LENGTHS[0]))
            with pytest.raises(BackendUnavailable, match=r"'cpu' cannot .* are torch.bfloat16"):
                projected_lstm(call(LENGTHS[0], dtype=torch.bfloat16))
        projected_lstm(call(LENGTHS[0]))
    projected_lstm(call(LENGTHS[0]))
    assert names == ["reference", "cpu", "reference", "cpu"]


def test_the_choice_is_a_thread_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    names = used(monkeypatch)
    with use_backend("reference"):
        thread = threading.Thread(target=projected_lstm, args=(call(LENGTHS[0]),))
        thread.start()
        thread.join()
    assert names == ["cpu"]


def test_an_unknown_backend_is_an_error() -> None:
    with pytest.raises(
        ValueError, match="must be one of auto, native, cpu, reference; found 'gpus'"
    ):
        use_backend("gpus").__enter__()


@pytest.mark.parametrize(
    "name, wanted", [("reference", "reference"), ("cuda", "one of auto, native")]
)
def test_the_environment_says_what_to_begin_with(name: str, wanted: str) -> None:
    code = (
        "from elmo_components import kernels; from tests.kernels.cpu_test import call\n"
        "kernels.reference.projected_lstm = lambda call: print('reference')\n"
        "kernels.projected_lstm(call([2]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ELMO_BACKEND": name},
        capture_output=True,
        text=True,
    )
    assert wanted in run.stdout + run.stderr


def test_a_backend_is_described_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with use_backend("cpu"):
        assert describe_backend() == "cpu: chosen by name"
    monkeypatch.setattr(native, "unavailable", lambda: None)
    monkeypatch.setattr(native, "describe", lambda: "compiled")
    with use_backend("auto"):
        assert describe_backend() == "native: compiled"
    with use_backend("native"):
        assert describe_backend() == "native: chosen by name; compiled"
    monkeypatch.setattr(native, "unavailable", lambda: "it was not compiled")
    with use_backend("auto"):
        assert describe_backend() == "cpu: native is faster, but it was not compiled"
    with use_backend("native"):
        assert describe_backend() == "native: chosen by name, but it was not compiled"


def test_without_the_library_a_call_is_computed_and_its_name_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native, "unavailable", lambda: "it was not compiled")
    names = used(monkeypatch)
    given = call(LENGTHS[0], dtype=torch.float32)
    with torch.no_grad():
        projected_lstm(given)
    assert names == ["cpu"]
    with use_backend("native"), pytest.raises(BackendUnavailable, match="it was not compiled"):
        projected_lstm(given)
