"""Tests of which calls kernels/native/ computes, and of its errors."""

import subprocess
import sys
import weakref
from pathlib import Path
from typing import Optional

import pytest
import torch

from elmo_components.kernels import PRECISIONS, native, projected_lstm, use_backend
from elmo_components.kernels.native import library
from tests.closeness import assert_close
from tests.kernels.native_test import call, compiled


@compiled
def test_calls_that_cannot_be_computed_are_named() -> None:
    given = call([2, 1])
    assert native.unsupported(given) is None
    assert "float64" in str(native.unsupported(given._replace(inputs=given.inputs.double())))
    assert "meta" in str(native.unsupported(given._replace(inputs=given.inputs.to("meta"))))
    with torch.autograd.forward_ad.dual_level():
        assert "forward mode" in str(native.unsupported(given))


@compiled
def test_autocast_needs_instructions_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    found = library.find()
    for bfloat16, reason in ((4, None), (None, "no AVX-512 BF16")):
        monkeypatch.setattr(
            library, "find", lambda number=bfloat16: found._replace(bfloat16=number)
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            unsupported = native.unsupported(call([2, 1]))
        assert unsupported is reason if reason is None else reason in str(unsupported)
        assert native.unsupported(call([2, 1])) is None


@compiled
@pytest.mark.skipif(not hasattr(torch, "func"), reason="torch has no vmap for modules")
@pytest.mark.parametrize("part", ["inputs", "weights"])
def test_within_vmap_another_backend_computes(part: str) -> None:
    given = call([2, 3, 1])
    scales = torch.tensor([1.0, 2.0])

    def run(scale: torch.Tensor) -> torch.Tensor:
        weights = [weight._replace(recurrent=weight.recurrent * scale) for weight in given.weights]
        changes = {"inputs": given.inputs * scale, "weights": weights}
        changed = given._replace(**{part: changes[part]})
        reasons.append(native.unsupported(changed))
        return projected_lstm(changed)[0]

    reasons: list[Optional[str]] = []
    found = torch.func.vmap(run)(scales)
    assert "no memory" in str(reasons[0])
    for scale, one in zip(scales, found):
        assert_close(one, run(scale))
    assert reasons[1:] == [None, None]


@pytest.mark.skipif(not hasattr(torch, "func"), reason="torch has no functional transforms")
def test_derivatives_of_functions_are_computed() -> None:
    given = call([2, 3, 1])

    def total(inputs: torch.Tensor) -> torch.Tensor:
        return projected_lstm(given._replace(inputs=inputs))[0].pow(2).sum()

    with use_backend("reference"):
        expected = torch.func.grad(total)(given.inputs)
    assert_close(torch.func.grad(total)(given.inputs), expected)
    _, forward = torch.func.jvp(total, (given.inputs,), (torch.ones_like(given.inputs),))
    assert_close(forward, expected.sum())


@compiled
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_torchs_default_type_does_not_matter(tiny_folder: Path, dtype: str) -> None:
    code = f"""
import numpy, torch
from elmo_components.elmo import Elmo
elmo = Elmo.from_pretrained({str(tiny_folder)!r})
sentences = [["The", "bank"], ["x" * 60] * 70]
def results():
    elmo.bilm.char_cnn.clear_cache()
    vectors = elmo.embed(sentences)
    ids = torch.ones(2, 5, 50, dtype=torch.int64)
    elmo.bilm.requires_grad_()
    elmo.zero_grad()
    elmo.bilm(ids)[0].sum().backward()
    gradients = [parameter.grad.numpy().copy() for parameter in elmo.bilm.parameters()]
    elmo.bilm.requires_grad_(False)
    return [*vectors, *gradients]
expected = results()
torch.set_default_dtype(torch.{dtype})
for one, other in zip(results(), expected):
    assert one.dtype == numpy.float32
    numpy.testing.assert_array_equal(one, other)
"""
    # what is written beyond an array ends a process
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@compiled
def test_what_the_processor_lacks_is_computed_in_the_next_higher_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = library.find()._replace(instructions=2, int8=3, bfloat16=4)
    monkeypatch.setattr(library, "find", lambda: found)
    chosen = [library.instructions_for(name) for name in PRECISIONS]
    assert chosen == [2, 4, 3]
    found = found._replace(int8=None)
    assert library.instructions_for("int8") == 4
    found = found._replace(bfloat16=None)
    assert library.instructions_for("int8") == library.instructions_for("bfloat16") == 2
    found = found._replace(int8=3)
    assert library.instructions_for("bfloat16") == 2


@compiled
@pytest.mark.parametrize(
    "change, message",
    [
        ({"lengths": torch.tensor([10, 1])}, r"lengths must be from 0 to 9; found \[10, 1\]"),
        ({"lengths": torch.tensor([-1, 1])}, r"found \[-1, 1\]"),
        ({"lengths": torch.tensor([1])}, r"lengths must be of shape \(2,\); found \(1,\)"),
        ({"inputs": torch.zeros(2, 2, 9, 5)}, r"input weight must be of shape \(24, 5\)"),
        ({"inputs": torch.zeros(1, 2, 9, 3)}, r"hidden state must be of shape \(1, 2, 4\)"),
        ({"dropout": torch.ones(2, 1, 4)}, r"dropout must be of shape \(2, 2, 4\)"),
    ],
)
def test_sizes_that_do_not_fit_are_errors(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        native.projected_lstm(call([2, 1])._replace(**change))


@pytest.mark.parametrize("backend", ["cpu", pytest.param("native", marks=compiled)])
def test_what_is_saved_is_freed_by_the_backward_pass(backend: str) -> None:
    given = call([5, 3, 1])
    given = given._replace(inputs=given.inputs.requires_grad_())
    saved: list[tuple[torch.Size, weakref.ref]] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        copy = tensor.detach().clone()
        saved.append((copy.shape, weakref.ref(copy)))
        return copy

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with use_backend(backend), hooks:
        outputs = projected_lstm(given)[0]
    # (directions, rows, cell_size)
    assert torch.Size((2, 9, 6)) in [shape for shape, _ in saved]
    assert all(tensor() is not None for _, tensor in saved)
    (gradient,) = torch.autograd.grad(outputs.sum(), given.inputs)
    assert not any(tensor() is not None for _, tensor in saved)
    with use_backend("reference"):
        (expected,) = torch.autograd.grad(projected_lstm(given)[0].sum(), given.inputs)
    assert_close(gradient, expected)


@compiled
def test_it_is_taken_where_it_can_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    compute = native.projected_lstm
    monkeypatch.setattr(
        native, "projected_lstm", lambda given: names.append("native") or compute(given)
    )
    given = call([2, 1])
    projected_lstm(given)
    with use_backend("cpu"):
        projected_lstm(given)
    projected_lstm(given._replace(inputs=given.inputs.clone().requires_grad_()))
    assert names == ["native", "native"]
