"""Tests of kernels/products.py and kernels/engines.py, against float64 products."""

import threading
from functools import partial
from typing import Optional

import pytest
import torch

from elmo_components.kernels.engines import (
    Engine,
    bfloat16_training,
    blas,
    blas_training,
    fbgemm,
    has_fbgemm,
    has_onednn,
    join,
    onednn,
)
from elmo_components.kernels.products import TRAINING, TRAINING_BFLOAT16, Product


def onednn_bfloat16(weights: list[torch.Tensor]) -> Engine:
    return onednn([weight.bfloat16() for weight in weights])


needs_fbgemm = pytest.mark.skipif(not has_fbgemm(), reason="torch has no fbgemm here")
# with the error relative to the largest product
ENGINES = [
    pytest.param(blas, 1e-6, id="blas"),
    pytest.param(blas_training, 1e-6, id="blas_training"),
    pytest.param(bfloat16_training, 1e-2, id="bfloat16_training"),
    pytest.param(fbgemm, 3e-2, id="fbgemm", marks=needs_fbgemm),
    *(
        pytest.param(
            engine,
            error,
            id=f"onednn {dtype}",
            marks=pytest.mark.skipif(not has_onednn(dtype), reason=f"no {dtype} in oneDNN here"),
        )
        for engine, error, dtype in (
            (onednn, 1e-6, torch.float32),
            (onednn_bfloat16, 1e-2, torch.bfloat16),
        )
    ),
]


def normal(*shape: int) -> list[torch.Tensor]:
    return [torch.randn(*shape) for _ in range(2)]


def exact(inputs: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(
        [part.double() @ weight.double().t() for part, weight in zip(inputs, weights)]
    )


@pytest.mark.parametrize("engine, error", ENGINES)
@pytest.mark.parametrize("rows", [1, 7, 40])
@pytest.mark.parametrize("addend", ["none", "joined", "by direction", "bias", "slice"])
def test_an_engine_computes_the_product(engine: Engine, error: float, rows: int, addend: str):
    weights = normal(48, 33)
    # rows of very different sizes, in a part of a larger tensor
    inputs = (torch.randn(2, rows + 2, 33) * torch.logspace(-1, 1, rows + 2).view(1, -1, 1))[
        :, 1:-1
    ]
    added: Optional[list[torch.Tensor]] = {
        "none": None,
        "joined": [torch.randn(2, rows, 48)],
        "by direction": normal(1, rows, 48),
        "bias": [torch.randn(2, 1, 48)],
        "slice": [torch.randn(2, rows + 5, 48)[:, 4:-1]],
    }[addend]
    expected = exact(inputs, weights) + (0.0 if added is None else join(added))
    bias = added[0].clone() if addend == "bias" else None
    found = join(engine(weights)(inputs, added))
    assert found.shape == (2, rows, 48) and found.dtype == torch.float32
    assert (found - expected).abs().max() <= error * expected.abs().max()
    if bias is not None:
        assert torch.equal(added[0], bias)


PRECISIONS = ["float32", "bfloat16", "int8", TRAINING, TRAINING_BFLOAT16]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rows", [1, 3])
def test_each_precision_has_its_error(precision: str, rows: int) -> None:
    weights, inputs = normal(1024, 256), torch.randn(2, rows, 256)
    expected = exact(inputs, weights)
    found = join(Product(weights, precision)(inputs))
    error = 1e-6 if precision in ("float32", TRAINING) else 0.03
    assert (found - expected).abs().max() <= error * expected.abs().max()
    zeros = Product([torch.zeros(8, 4)] * 2, precision)(torch.zeros(2, rows, 4))
    assert not join(zeros).any()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_float64_stays_float64(precision: str) -> None:
    weights = [weight.double() for weight in normal(48, 33)]
    inputs = torch.randn(2, 5, 33, dtype=torch.float64)
    torch.testing.assert_close(join(Product(weights, precision)(inputs)), exact(inputs, weights))


@needs_fbgemm
@pytest.mark.parametrize("rows", [slice(0, 1), slice(7, 8), slice(5, 30)])
def test_a_row_in_int8_does_not_depend_on_the_other_rows(rows: slice) -> None:
    product = Product(normal(256, 128), "int8")
    inputs = torch.randn(2, 33, 128) * torch.logspace(-3, 3, 33).view(1, 33, 1)
    addend = torch.randn(2, 33, 256)
    together = join(product(inputs, [addend.clone()]))
    assert torch.equal(join(product(inputs[:, rows], [addend[:, rows].clone()])), together[:, rows])


@needs_fbgemm
def test_int8_keeps_the_relative_error_of_small_rows() -> None:
    weights = normal(256, 128)
    inputs = torch.randn(2, 3, 128) * torch.tensor([1e-4, 1.0, 1e4]).view(1, 3, 1)
    expected = exact(inputs, weights)
    errors = (join(Product(weights, "int8")(inputs)) - expected).norm(dim=2)
    assert (errors <= 0.02 * expected.norm(dim=2)).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_default_device_does_not_matter(precision: str) -> None:
    weights, inputs = normal(1024, 256), torch.randn(2, 3, 256)
    expected = join(Product(weights, precision)(inputs))
    with torch.device("meta") if hasattr(torch, "set_default_device") else torch.no_grad():
        found = join(Product(weights, precision)(inputs))
    assert torch.equal(found, expected)


@needs_fbgemm
def test_packing_in_several_threads_leaves_the_quantized_engine_as_it_was() -> None:
    before = torch.backends.quantized.engine
    weights = normal(512, 256)
    threads = [threading.Thread(target=partial(Product, weights, "int8")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.backends.quantized.engine == before
