"""Trainings in two processes."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands import train as train_command
from torch.multiprocessing import start_processes

from tests.registered.training.recorded import (
    SENTENCES,
    batches,
    configuration,
    metrics_of,
    records,
    train,
)

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch was built without torch.distributed"
)


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forks the processes, which spares them the imports."""
    monkeypatch.setattr(train_command.mp, "spawn", partial(start_processes, start_method="fork"))
    # which AllenNLP sets and does not reset
    monkeypatch.setitem(os.environ, "ALLENNLP_PROCS_PER_NODE", "2")


@pytest.mark.parametrize(
    "softmax", ["full", {"type": "full", "tied": True}, {"type": "adaptive", "cutoffs": [20]}]
)
def test_two_processes_train_as_one_does_with_their_batches_together(
    softmax: Any, data: Path
) -> None:
    settings = configuration(data)
    settings["model"].update(dropout=0.0, softmax=softmax)
    settings["trainer"].update(
        num_epochs=2,
        callbacks=["record"],
        optimizer={"type": "sgd", "lr": 0.5},
        learning_rate_scheduler=None,
    )
    settings["data_loader"] = {"batch_size": 12, "max_instances_in_memory": 12}
    train(settings, data / "one")
    settings["data_loader"] = {"batch_size": 6, "max_instances_in_memory": 6}
    settings["distributed"] = {"cuda_devices": [-1, -1]}
    train(settings, data / "two")
    expected, found = (torch.load(data / folder / "best.th") for folder in ("one", "two"))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    metrics = metrics_of(data / "two" / "metrics.json")
    for name, value in metrics_of(data / "one" / "metrics.json").items():
        # AllenNLP's validation loss is a mean over batches of different sizes
        if "perplexity" in name or name == "training_loss":
            assert metrics[name] == pytest.approx(value, rel=1e-4), name

    def seen(folder: str, rank: int) -> list[tuple[int, ...]]:
        # padding is 0, as is </S>, the end of each sentence
        return [
            tuple(word for word in row if word)
            for values in batches(records(data / folder, rank)).values()
            for row in values["words"][0]
        ]

    first, second = seen("two", 0), seen("two", 1)
    assert len(first) == len(second) == 2 * 3 * SENTENCES // 2
    assert sorted(first + second) == sorted(seen("one", 0))


def test_sparse_gradients_are_refused(data: Path) -> None:
    settings = configuration(data)
    settings["model"]["softmax"] = {"type": "sampled", "num_samples": 30, "sparse": True}
    settings["trainer"]["callbacks"] = []
    settings["distributed"] = {"cuda_devices": [-1, -1]}
    with pytest.raises(Exception, match="Set sparse to false"):
        train(settings, data / "run")
