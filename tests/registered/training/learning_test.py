"""A language model learns with the optimizers and settings that the docs name."""

from pathlib import Path
from typing import Any

import pytest

from tests.registered.training.recorded import configuration, metrics_of, train


@pytest.mark.parametrize(
    "model, trainer",
    [
        # bilm-tf's optimizer
        (
            {},
            {"optimizer": {"type": "adagrad", "lr": 0.2, "initial_accumulator_value": 1.0}},
        ),
        ({"recompute_gates": True}, {"num_gradient_accumulation_steps": 3, "grad_norm": 10.0}),
        ({"softmax": {"type": "full", "tied": True}}, {}),
    ],
    ids=["adagrad", "accumulation", "tied"],
)
def test_a_model_learns_with(model: dict[str, Any], trainer: dict[str, Any], data: Path) -> None:
    settings = configuration(data, model=model, trainer=trainer)
    settings["trainer"].update(learning_rate_scheduler=None, num_epochs=6)
    train(settings, data / "run")
    first, last = (
        metrics_of(data / "run" / f"metrics_epoch_{epoch}.json")["validation_perplexity"]
        for epoch in (0, 5)
    )
    assert last < 0.8 * first
