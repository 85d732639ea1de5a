"""Tests of registered/callbacks.py, by trainings that are killed."""

import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional
from unittest import mock

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.training.callbacks import TrainerCallback
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_components import registered
from elmo_components.pretraining import corpus

# Fork, for this process has imported all, which takes most of the time of a tiny training.
FORK = multiprocessing.get_context("fork")
ARCHITECTURE = {
    "char_cnn": {
        "embedding": {"dim": 4},
        "filters": [[1, 4], [2, 8]],
        "n_highway": 1,
        "n_characters": 262,
        "max_characters_per_token": 50,
        "activation": "relu",
    },
    "lstm": {
        "dim": 16,
        "projection_dim": 8,
        "n_layers": 2,
        "cell_clip": 3,
        "proj_clip": 3,
        "use_skip_connections": True,
    },
}
SENTENCES = 24
WORDS = [f"{letter}{number}" for letter in "abcdefgh" for number in range(12)]

# The epoch and batch after which the recorder kills its process; (epoch, None) is an epoch's end.
kill_after: Optional[tuple[int, Optional[int]]] = None


@TrainerCallback.register("record")
class Recorder(TrainerCallback):
    """Writes down what happens in training, and may end it."""

    def on_start(self, trainer: GradientDescentTrainer, **kwargs: Any) -> None:  # type: ignore[override]
        opened = corpus.open_shard

        def opening(shard: Path) -> Any:
            if shard.name.startswith("train"):
                self.write(opened=shard.name)
            return opened(shard)

        mock.patch.object(corpus, "open_shard", opening).start()

    def on_batch(self, trainer: GradientDescentTrainer, *args: Any, **kwargs: Any) -> None:
        inputs, _, metrics, epoch, batch = args
        if not kwargs["is_training"]:
            return
        words = [part["targets"]["words"]["tokens"].tolist() for part in inputs]
        self.write(
            epoch=epoch,
            batch=batch,
            loss=metrics["batch_loss"],
            mean_loss=metrics["loss"],
            perplexity=metrics["perplexity"],
            learning_rate=trainer.optimizer.param_groups[0]["lr"],
            total=trainer._total_batches_completed,
            words=words,
        )
        if kill_after == (epoch, batch):
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch(self, trainer: GradientDescentTrainer, *args: Any, **kwargs: Any) -> None:
        if kill_after == (kwargs["epoch"], None):
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, **values: Any) -> None:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        with open(Path(self.serialization_dir) / f"record{rank}", "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def sentences(seed: int, number: int) -> list[str]:
    """Returns sentences in which a word makes the next one likely."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for length in torch.randint(1, 12, (number,), generator=generator).tolist():
        steps = torch.randint(1, 4, (length,), generator=generator).cumsum(0)
        found.append(" ".join(WORDS[int(step) % len(WORDS)] for step in steps))
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three shards to train on, a file to validate on, and their vocabulary."""
    (tmp_path / "train").mkdir()
    for shard in range(3):
        lines = sentences(shard, SENTENCES)
        (tmp_path / "train" / f"train{shard}.txt").write_text("\n".join(lines))
    (tmp_path / "validation.txt").write_text("\n".join(sentences(7, 12)))
    (tmp_path / "vocabulary").mkdir()
    words = ["</S>", "<S>", "<UNK>", *WORDS[:-5]]
    (tmp_path / "vocabulary" / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    (tmp_path / "vocabulary" / "non_padded_namespaces.txt").write_text("vocab\n")
    return tmp_path


def configuration(data: Path, **changes: Any) -> dict[str, Any]:
    """Returns a configuration; dictionaries in `changes` add to those of the same name."""
    found: dict[str, Any] = {
        "dataset_reader": {"type": "elmo_corpus", "shuffle_seed": 3, "buffer_size": 32},
        "validation_dataset_reader": {"type": "elmo_corpus"},
        "train_data_path": str(data / "train"),
        "validation_data_path": str(data / "validation.txt"),
        "vocabulary": {
            "type": "from_files",
            "directory": str(data / "vocabulary"),
            "oov_token": "<UNK>",
        },
        "model": {
            "type": "elmo_language_model",
            "architecture": ARCHITECTURE,
            "softmax": {"type": "sampled", "num_samples": 30},
            "dropout": 0.1,
        },
        "data_loader": {
            "batch_sampler": {
                "type": "max_tokens_sampler",
                "max_tokens": 96,
                "sorting_keys": ["inputs"],
            },
            "max_instances_in_memory": 40,
        },
        "trainer": {
            "num_epochs": 3,
            "cuda_device": -1,
            "validation_metric": "-perplexity",
            "optimizer": {"type": "adam", "lr": 0.01},
            "learning_rate_scheduler": {
                "type": "linear_with_warmup",
                "warmup_steps": 5,
                "num_steps_per_epoch": 12,
            },
            "checkpointer": {"type": "elmo_checkpointer", "save_every_num_batches": 3},
            "callbacks": ["elmo_resume", "elmo_progress", "record"],
            "run_confidence_checks": False,
        },
    }
    for name, change in changes.items():
        old = found.get(name)
        found[name] = {**old, **change} if isinstance(old, dict) else change
    return found


def train(settings: dict[str, Any], folder: Path, **options: Any) -> None:
    train_model(Params(json.loads(json.dumps(settings))), str(folder), **options)


def run(
    settings: dict[str, Any],
    folder: Path,
    *,
    kill: Optional[tuple[int, Optional[int]]] = None,
    recover: bool = False,
) -> None:
    """Trains in a process of its own, which is killed if it is said when, and fails never else."""

    def work() -> None:
        global kill_after
        kill_after = kill
        torch.set_num_threads(1)
        train(settings, folder, recover=recover)

    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == (0 if kill is None else -signal.SIGKILL)


def records(folder: Path, rank: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"record{rank}").read_text().splitlines()]


def batches(found: Sequence[dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    return {(values["epoch"], values["batch"]): values for values in found if "batch" in values}


def openings(found: Sequence[dict[str, Any]]) -> list[str]:
    return [values["opened"] for values in found if "opened" in values]


def metrics_of(path: Path) -> dict[str, Any]:
    """Returns the metrics of a file, without what measures time and memory."""
    metrics = json.loads(path.read_text())
    skipped = ("duration", "memory", "start_epoch", "_epochs")
    return {key: metrics[key] for key in metrics if not any(part in key for part in skipped)}


STREAMS = {"type": "elmo_corpus", "packing": "streams", "num_streams": 4, "unroll_steps": 8}
TINY = Path(__file__).parents[3] / "fixtures" / "models" / "tiny"
TEACHER = {"type": "elmo", "pretrained_file": str(TINY), "size": 16, "decay_steps": 30}
VARIANTS: dict[str, dict[str, Any]] = {
    "sentences": {},
    "teacher": {
        "dataset_reader": {"teacher_indexer": {"type": "elmo_character_ids"}},
        "model": {"teacher": TEACHER},
    },
    # all instances are in memory, and counting the batches draws random numbers
    "in memory": {
        "dataset_reader": {"shuffle_seed": None},
        "data_loader": {"max_instances_in_memory": None},
    },
    "streams": {
        "dataset_reader": STREAMS,
        "validation_dataset_reader": {**STREAMS, "num_streams": 3},
        "data_loader": {"batch_sampler": None, "batch_size": 4, "max_instances_in_memory": 4},
        "validation_data_loader": {"batch_size": 3, "max_instances_in_memory": 3},
    },
    # epochs that end within a pass over the corpus, so that the streams go on after a validation,
    # and groups of batches of which the last one of an epoch is smaller
    "streams, parted": {
        "dataset_reader": STREAMS,
        "validation_dataset_reader": STREAMS,
        "data_loader": {
            "batch_sampler": None,
            "batch_size": 4,
            "max_instances_in_memory": 4,
            "batches_per_epoch": 11,
        },
        "validation_data_loader": {"batch_size": 4, "max_instances_in_memory": 4},
    },
}
# stands for the number of an epoch's last batch
LAST = -1


@pytest.mark.parametrize(
    "variant, accumulated, kills",
    [
        # in the first epoch, before and after its first checkpoint; when all batches of an epoch
        # are trained; when it has ended; after the checkpoint of that; later in an epoch
        ("sentences", 1, [(0, 2), (0, 5), (0, LAST), (1, None), (2, 1), (2, 5)]),
        ("in memory", 1, [(1, 5), (2, 1)]),
        ("teacher", 1, [(0, 2), (1, 5)]),
        ("streams", 1, [(0, 5), (1, LAST)]),
        ("streams, parted", 2, [(1, 5), (1, LAST), (2, 1)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_killed_training_goes_on_to_the_same_losses(
    variant: str, accumulated: int, kills: list[tuple[int, Optional[int]]], data: Path
) -> None:
    settings = configuration(data, **VARIANTS[variant])
    settings["trainer"]["num_gradient_accumulation_steps"] = accumulated
    run(settings, data / "undisturbed")
    undisturbed = records(data / "undisturbed")
    expected = batches(undisturbed)
    last = {epoch: max(batch for other, batch in expected if other == epoch) for epoch in range(3)}
    assert min(last.values()) > 5
    for number, (epoch, batch) in enumerate(kills):
        kill = (epoch, last[epoch] if batch == LAST else batch)
        folder = data / f"killed{number}"
        run(settings, folder, kill=kill)
        before = len(records(folder))
        run(settings, folder, recover=True)
        resumed = records(folder)[before:]
        found = batches(resumed)
        # it goes on after the last checkpoint, of each third batch and of each epoch's end; the
        # recorder kills before the checkpoint that the batch itself may have
        start = (epoch, ((kill[1] or last[epoch] + 1) - 1) // 3 * 3 + 1)
        assert sorted(found) == sorted(place for place in expected if place >= start), kill
        for place, values in found.items():
            for name, value in expected[place].items():
                if name == "words":
                    assert values[name] == value, (kill, place)
                else:
                    assert values[name] == pytest.approx(value, abs=1e-6), (kill, place, name)
        for path in ("metrics_epoch_0.json", "metrics_epoch_1.json", "metrics.json"):
            assert metrics_of(folder / path) == pytest.approx(
                metrics_of(data / "undisturbed" / path), abs=1e-6
            )
        if variant == "sentences":
            # three shards an epoch, and nothing of those that are finished
            assert openings(resumed) == openings(undisturbed)[3 * epoch :]
            assert len(openings(resumed)) == 3 * (3 - epoch)


def test_a_checkpoint_whose_writing_was_cut_off_is_passed_over(data: Path) -> None:
    settings = configuration(data)
    run(settings, data / "undisturbed")
    expected = batches(records(data / "undisturbed"))
    for name in ("model_state", "training_state"):
        folder = data / name
        run(settings, folder, kill=(1, 5))
        cut = folder / f"{name}_e1_b3.th"
        cut.write_bytes(cut.read_bytes()[:-100])
        if name == "model_state":
            # it is written first
            (folder / "training_state_e1_b3.th").unlink()
        before = len(records(folder))
        run(settings, folder, recover=True)
        found = batches(records(folder)[before:])
        assert min(found) == (1, 1)
        for place, values in found.items():
            assert values["loss"] == pytest.approx(expected[place]["loss"], abs=1e-6)


def test_streams_go_on_after_a_validation_in_between(data: Path) -> None:
    """Five steps of two epochs are those of ten steps of one, but for the validation."""
    variant = VARIANTS["streams, parted"]
    losses = []
    for epochs, number in ((1, 10), (2, 5)):
        settings = configuration(data, **variant)
        settings["data_loader"]["batches_per_epoch"] = number
        settings["trainer"].update(num_epochs=epochs, learning_rate_scheduler=None)
        folder = data / f"epochs{epochs}"
        run(settings, folder)
        losses.append([values["loss"] for values in batches(records(folder)).values()])
    assert len(losses[0]) == 10 and losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_tokens_per_second_reach_the_progress_bar_and_tensorboard(data: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    shown = []

    @TrainerCallback.register("shown", exist_ok=True)
    class Shown(TrainerCallback):
        def on_batch(self, trainer: GradientDescentTrainer, *args: Any, **kwargs: Any) -> None:
            if kwargs["is_training"]:
                shown.append(args[2].get("tokens_per_second"))

    clock = iter(range(0, 10_000, 10))
    settings = configuration(data)
    settings["dataset_reader"]["shuffle_seed"] = None
    settings["trainer"].update(num_epochs=1, learning_rate_scheduler=None)
    settings["trainer"]["callbacks"] = [
        "elmo_progress",
        "shown",
        {"type": "tensorboard", "summary_interval": 1, "should_log_learning_rate": True},
    ]
    settings["data_loader"] = {"batch_size": SENTENCES}
    with mock.patch.object(registered.callbacks.time, "perf_counter", lambda: next(clock)):
        train(settings, data / "run")
    # a step for each word, and one for the sentence's end
    tokens = [
        sum(len(line.split()) + 1 for line in sentences(shard, SENTENCES)) for shard in range(3)
    ]
    assert shown == [None, tokens[1] / 10, (tokens[1] + tokens[2]) / 20]
    (log,) = (data / "run" / "log" / "train").iterdir()
    # each event stands between its length, 8 bytes and a checksum of 4, and another checksum
    content, logged = log.read_bytes(), []
    while content:
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        logged += [
            value.simple_value
            for value in event.summary.value
            if value.tag == "train/batch_tokens_per_second"
        ]
    assert logged == pytest.approx(shown[1:])


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


@pytest.mark.parametrize("steps, warned", [(4, 1), (6, 0)])
def test_a_learning_rate_that_ends_too_early_is_told_once(
    data: Path, steps: int, warned: int
) -> None:
    settings = configuration(data, trainer={"num_epochs": 1, "callbacks": ["elmo_progress"]})
    settings["data_loader"] = {"batch_size": 12}
    settings["dataset_reader"]["shuffle_seed"] = None
    schedule = {"type": "linear_with_warmup", "warmup_steps": 2, "num_steps_per_epoch": steps}
    settings["trainer"]["learning_rate_scheduler"] = schedule
    with mock.patch.object(registered.callbacks.logger, "warning") as warning:
        train(settings, data / "run")
    assert warning.call_count == warned


def test_what_cannot_be_is_refused(data: Path) -> None:
    settings = configuration(data)
    settings["trainer"]["use_amp"] = True
    with pytest.raises(ValueError, match="Using AMP requires a cuda device"):
        train(settings, data / "amp")
    for callback in ("elmo_resume", "elmo_progress"):
        settings = configuration(data, trainer={"callbacks": [callback]})
        with (
            mock.patch.object(registered.callbacks, "ElmoLanguageModel", str),
            pytest.raises(ConfigurationError, match=f"{callback} .*language_model; found Elmo"),
        ):
            train(settings, data / callback)
    settings = configuration(data)
    with (
        mock.patch.object(registered.callbacks, "MultiProcessDataLoader", str),
        pytest.raises(ConfigurationError, match="data loader multiprocess; found Multi"),
    ):
        train(settings, data / "loader")


@pytest.mark.skipif(
    not torch.distributed.is_available(),
    reason="torch was built without what trains in several processes",
)
def test_two_processes_share_the_sentences_and_measure_together(data: Path) -> None:
    settings = configuration(data)
    settings["model"].update(dropout=0.0, softmax="full")
    settings["data_loader"] = {"batch_size": 6, "max_instances_in_memory": 6}
    settings["trainer"].update(
        num_epochs=1,
        callbacks=["record"],
        optimizer={"type": "sgd", "lr": 0.0},
        learning_rate_scheduler=None,
    )
    train(settings, data / "one")
    settings["distributed"] = {"cuda_devices": [-1, -1]}
    train(settings, data / "two", include_package=["tests.registered.training.callbacks_test"])
    for name, value in metrics_of(data / "one" / "metrics.json").items():
        # AllenNLP's losses are means over batches, however many tokens these have
        if "perplexity" in name:
            found = metrics_of(data / "two" / "metrics.json")[name]
            assert found == pytest.approx(value, rel=1e-6), name

    def seen(folder: str, rank: int) -> list[tuple[int, ...]]:
        # padding is 0, as is </S>, the end of each sentence
        rows = [
            tuple(row)
            for values in batches(records(data / folder, rank)).values()
            for row in values["words"][0]
        ]
        return [tuple(word for word in row if word) for row in rows]

    first, second = seen("two", 0), seen("two", 1)
    assert len(first) == len(second) == 3 * SENTENCES // 2
    assert sorted(first + second) == sorted(seen("one", 0))


def test_distributed_training_is_not_resumed_inexactly(data: Path) -> None:
    callback = registered.callbacks.ElmoResume(str(data))
    trainer = mock.Mock(_distributed=True)
    with pytest.raises(ConfigurationError, match="training in one process"):
        callback.on_start(trainer)


def test_sparse_gradients_are_refused_in_distributed_training(data: Path) -> None:
    settings = configuration(data)
    settings["model"]["softmax"] = {"type": "sampled", "num_samples": 30, "sparse": True}
    with (
        mock.patch.object(registered.language_model, "is_distributed", lambda: True),
        pytest.raises(ConfigurationError, match="sparse"),
    ):
        train(settings, data / "run")
