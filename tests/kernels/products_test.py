"""Tests of kernels/products.py and kernels/engines.py, against float64 products."""

import json

import pytest
import torch

from elmo_components.kernels import engines, products
from elmo_components.kernels.engines import ENGINES, join, missing
from elmo_components.kernels.products import CANDIDATES, Product

# relative to the largest value of the product
TOLERANCES = {"blas": 1e-6, "blas_unpacked": 1e-6, "onednn": 1e-6, "bfloat16": 1e-2}
TOLERANCES.update({"bfloat16_unpacked": 1e-2, "fbgemm": 3e-2, "int8_onednn": 3e-2})


def weights(*shape: int) -> list[torch.Tensor]:
    return [torch.randn(*shape) for _ in range(2)]


def exact(inputs: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(
        [part.double() @ weight.double().t() for part, weight in zip(inputs, weights)]
    )


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("rows", [1, 2, 7, 40])
@pytest.mark.parametrize("addend", ["none", "full", "bias"])
def test_an_engine_multiplies(name: str, rows: int, addend: str) -> None:
    lacking = missing(name)
    if lacking is not None:
        pytest.skip(f"torch {torch.__version__}: {lacking}")
    both = weights(48, 33)
    # rows of very different sizes, as a quantised input has them at worst
    inputs = torch.randn(2, rows, 33) * torch.logspace(-1, 1, rows).view(1, rows, 1)
    added = {
        "none": None,
        "full": torch.randn(2, rows, 48),
        "bias": torch.randn(2, 1, 48),
    }[addend]
    wanted = exact(inputs, both) + (0.0 if added is None else added)
    bias = None if addend != "bias" else added.clone()
    found = join(ENGINES[name](both)(inputs, None if added is None else [added]))
    if addend == "bias" and rows > 1:
        assert torch.equal(added, bias)
    assert found.shape == (2, rows, 48)
    assert (found - wanted).abs().max() <= TOLERANCES[name] * wanted.abs().max()


def test_inputs_that_are_a_part_of_a_larger_tensor_are_multiplied() -> None:
    both = weights(48, 33)
    inputs = torch.randn(2, 9, 33)[:, 2:5]
    for name in ENGINES:
        if missing(name) is None:
            addend = torch.randn(2, 9, 48)[:, 4:7]
            wanted = exact(inputs, both) + addend
            found = join(ENGINES[name](both)(inputs, [addend]))
            assert (found - wanted).abs().max() <= TOLERANCES[name] * wanted.abs().max()


@pytest.mark.parametrize("name", ENGINES)
def test_what_is_added_may_come_for_each_direction(name: str) -> None:
    lacking = missing(name)
    if lacking is not None:
        pytest.skip(f"torch {torch.__version__}: {lacking}")
    both, inputs = weights(48, 33), torch.randn(2, 5, 33)
    parts = [torch.randn(1, 5, 48) for _ in range(2)]
    wanted = exact(inputs, both) + torch.cat(parts)
    found = join(ENGINES[name](both)(inputs, parts))
    assert (found - wanted).abs().max() <= TOLERANCES[name] * wanted.abs().max()


def test_weights_and_inputs_of_zeros_give_zeros() -> None:
    for precision in CANDIDATES:
        found = Product([torch.zeros(8, 4)] * 2, precision)(torch.zeros(2, 3, 4))
        assert torch.equal(join(found), torch.zeros(2, 3, 8))


def test_the_engine_that_is_clearly_fastest_is_chosen_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def engine(name: str, loops: int):
        def make(weights):
            def run(inputs, addend):
                calls.append((name, inputs.size(1)))
                for _ in range(loops):
                    torch.randn(100, 100)
                return [inputs]

            return run

        return make

    names = {"first": engine("first", 200), "slow": engine("slow", 2000), "fast": engine("fast", 1)}
    monkeypatch.setattr(products, "ENGINES", names)
    monkeypatch.setattr(products, "missing", lambda name: None)
    monkeypatch.setattr(products, "CANDIDATES", {"float32": tuple(names)})
    monkeypatch.setattr(products, "_fastest", {})
    for _ in range(2):
        product = Product(weights(512, 256), "float32")
        product(torch.randn(2, 3, 256))
        product(torch.randn(2, 3, 256))
    # one that is far slower than the best so far is tried with a row alone
    assert set(calls) == {("first", 3), ("slow", 1), ("fast", 1), ("fast", 3)}
    assert calls.count(("slow", 1)) == 2 and calls.count(("first", 3)) <= 5
    assert calls[-4:] == [("fast", 3)] * 4


def test_what_the_installed_torch_lacks_is_logged_once_and_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lacking(weights):
        raise RuntimeError("the operator")

    monkeypatch.setitem(ENGINES, "bfloat16", lacking)
    missing.cache_clear()
    both, inputs = weights(48, 33), torch.randn(2, 5, 33)
    with caplog.at_level("INFO", logger=engines.logger.name):
        for _ in range(2):
            found = join(Product(both, "bfloat16")(inputs))
    missing.cache_clear()
    logged = [record.getMessage() for record in caplog.records]
    wanted = f"torch {torch.__version__} cannot run the engine 'bfloat16': the operator"
    assert [message for message in logged if "bfloat16" in message] == [wanted]
    torch.testing.assert_close(found.double(), exact(inputs, both), rtol=1e-4, atol=1e-4)


def test_the_engines_that_need_no_release_in_particular_are_always_there() -> None:
    assert missing("blas") is None
    assert missing("blas_unpacked") is None


def test_an_operator_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def engine(weights):
        return torch.ops.elmo_components.not_there(weights)

    monkeypatch.setitem(ENGINES, "other", engine)
    assert "not_there" in missing("other")
    missing.cache_clear()


def test_training_always_takes_the_same_engine() -> None:
    assert len(CANDIDATES[products.TRAINING]) == 1
    assert len(CANDIDATES[products.TRAINING_BFLOAT16]) == 1


def test_float64_stays_float64() -> None:
    both = [weight.double() for weight in weights(48, 33)]
    inputs = torch.randn(2, 5, 33, dtype=torch.float64)
    for precision in CANDIDATES:
        torch.testing.assert_close(join(Product(both, precision)(inputs)), exact(inputs, both))


def test_the_global_choice_of_a_quantized_engine_is_left_as_it_was() -> None:
    if missing("fbgemm") is not None:
        pytest.skip(f"torch {torch.__version__}: {missing('fbgemm')}")
    before = torch.backends.quantized.engine
    ENGINES["fbgemm"](weights(8, 4))
    assert torch.backends.quantized.engine == before


def test_what_another_process_chose_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_fastest", {("blas", "onednn", 2, 300, 1): "onednn"})
    noted = json.loads(json.dumps(products.choices()))
    monkeypatch.setattr(products, "_fastest", {})
    products.adopt_choices(noted)
    assert products._fastest == {("blas", "onednn", 2, 300, 1): "onednn"}
