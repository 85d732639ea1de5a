"""Trainings in two processes and on two nodes."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands import train as train_command

from tests.registered.training.recorded import (
    FORKED,
    SENTENCES,
    batches,
    configuration,
    metrics_of,
    records,
    run,
    run_nodes,
    train,
    write_data,
)

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch was built without torch.distributed"
)


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forks the processes, which spares them the imports."""
    monkeypatch.setattr(train_command.mp, "spawn", FORKED)
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


def shared(data: Path) -> dict[str, Any]:
    """A configuration whose batches the processes share, with a sparse softmax and no dropout."""
    return configuration(
        data,
        data_loader={"type": "elmo_global_batches"},
        model={
            "dropout": 0.0,
            "softmax": {"type": "sampled", "num_samples": 30, "sparse": True},
        },
        trainer={
            "optimizer": {"type": "dense_sparse_adam", "lr": 0.01},
            "grad_norm": 1.0,
            "callbacks": [
                "elmo_resume",
                "elmo_progress",
                {"type": "elmo_lost_process", "timeout_seconds": 60},
                "record",
            ],
        },
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training in one process ("one"), and one on two nodes ("node0", "node1")."""
    data = write_data(tmp_path_factory.mktemp("trained"))
    run(shared(data), data / "one")
    assert run_nodes(shared(data), [data / "node0", data / "node1"]) == [0, 0]
    return data


def losses(*found: list[dict[str, Any]]) -> dict[tuple[int, int], float]:
    """Returns the losses of all processes' batches together."""
    ranks = [batches(each) for each in found]
    assert all(each.keys() == ranks[0].keys() for each in ranks)
    return {
        place: sum(each[place]["batch_loss"] for each in ranks) / len(ranks) for place in ranks[0]
    }


def words_seen(found: list[dict[str, Any]]) -> list[tuple[int, tuple[int, ...]]]:
    """Returns the epoch and the words of each sentence; padding and sentence ends are 0."""
    return [
        (epoch, tuple(word for word in row if word))
        for (epoch, _), values in batches(found).items()
        for row in values["words"][0]
        if any(row)
    ]


def test_two_nodes_train_as_one_process_does(trained: Path) -> None:
    one = records(trained / "one")
    two = [records(trained / f"node{rank}", rank) for rank in range(2)]
    expected = losses(one)
    assert len(expected) > 20
    assert losses(*two) == pytest.approx(expected, abs=1e-5)
    # each sentence once an epoch, in one of the processes
    assert sorted(words_seen(two[0]) + words_seen(two[1])) == sorted(words_seen(one))
    assert len(words_seen(one)) == 3 * 3 * SENTENCES
    expected_metrics = metrics_of(trained / "one" / "metrics.json")
    for node in ("node0", "node1"):
        metrics = metrics_of(trained / node / "metrics.json")
        for name, value in expected_metrics.items():
            if "per_second" not in name:
                assert metrics[name] == pytest.approx(value, abs=1e-5, rel=1e-5), name
        # AllenNLP's warning of processes that have no batch left
        assert "finishing" not in (trained / node / "out_worker0.log").read_text()


def test_a_lost_node_ends_the_other_and_both_resume_to_the_same_losses(
    trained: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / "node0", tmp_path / "node1"]
    codes = run_nodes(shared(trained), folders, kill=(1, 5), rank=1)
    assert all(codes)
    log = (folders[0] / "out_worker0.log").read_text()
    assert "Process 0 of 2 lost another process" in log and "Start all nodes again" in log
    before = [len(records(folder, rank)) for rank, folder in enumerate(folders)]
    # killed while it wrote, whereas the other node has written all
    cut = folders[1] / "training_state_e1_b3.th"
    cut.write_bytes(cut.read_bytes()[:-100])
    assert run_nodes(shared(trained), folders, recover=True) == [0, 0]
    assert (folders[0] / "model_state_e1_b3.th.incomplete").exists()
    resumed = [records(folder, rank)[before[rank] :] for rank, folder in enumerate(folders)]
    expected = losses(records(trained / "one"))
    found = losses(*resumed)
    assert min(found) == (1, 1)
    assert found == pytest.approx({place: expected[place] for place in found}, abs=1e-5)
    assert metrics_of(folders[0] / "metrics.json") == pytest.approx(
        metrics_of(trained / "node0" / "metrics.json"), abs=1e-5
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_of_a_node_resumes_with_its_own_random_numbers(
    rank: int, trained: Path, tmp_path: Path
) -> None:
    settings = shared(trained)
    # drawn from each process's own generator
    settings["model"]["dropout"] = 0.5
    settings["trainer"]["num_epochs"] = 2
    assert run_nodes(settings, [tmp_path / "whole"], processes=2) == [0]
    folder = tmp_path / "killed"
    assert run_nodes(settings, [folder], processes=2, kill=(1, 5), rank=rank) == [1]
    before = [len(records(folder, rank)) for rank in range(2)]
    assert run_nodes(settings, [folder], processes=2, recover=True) == [0]
    for each in range(2):
        expected = batches(records(tmp_path / "whole", each))
        found = batches(records(folder, each)[before[each] :])
        assert min(found) == (1, 4)
        for place, values in found.items():
            for name in ("batch_loss", "loss", "perplexity", "learning_rate"):
                assert values[name] == pytest.approx(expected[place][name], abs=1e-6), (place, name)
    assert metrics_of(folder / "metrics.json") == pytest.approx(
        metrics_of(tmp_path / "whole" / "metrics.json"), abs=1e-6
    )


def test_accumulated_pieces_train_as_their_batch_does(trained: Path, tmp_path: Path) -> None:
    found = []
    for steps in (1, 3):
        settings = shared(trained)
        settings["data_loader"]["num_gradient_accumulation_steps"] = steps
        settings["trainer"].update(num_epochs=1, num_gradient_accumulation_steps=steps)
        run(settings, tmp_path / str(steps))
        found.append(losses(records(tmp_path / str(steps))))
    assert found[0] == pytest.approx(found[1], abs=1e-5)
