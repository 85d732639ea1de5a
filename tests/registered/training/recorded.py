"""Small trainings of a language model that are recorded, and may be killed."""

import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Optional
from unittest import mock

import torch
from allennlp.commands import train as train_command
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.util import find_open_port
from allennlp.training.callbacks import TrainerCallback
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer
from torch.multiprocessing import start_processes

import elmo_components.registered  # noqa: F401
from elmo_components.pretraining import corpus

# Fork, for this process has imported all, which takes most of the time of a tiny training.
FORK = multiprocessing.get_context("fork")
FORKED = partial(start_processes, start_method="fork")
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
# The rank of the process that is killed.
kill_rank = 0


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
        words = [
            part[field]["words"]["tokens"].tolist()
            for part in inputs
            for field in ("targets", "tokens")
            if field in part
        ]
        measured = {name: value for name, value in metrics.items() if "per_second" not in name}
        self.write(
            epoch=epoch,
            batch=batch,
            **measured,
            learning_rate=trainer.optimizer.param_groups[0]["lr"],
            total=trainer._total_batches_completed,
            hooks=sum(len(module._forward_hooks) for module in trainer.model.modules()),
            words=words,
        )
        if kill_after == (epoch, batch) and kill_rank == _rank():
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch(self, trainer: GradientDescentTrainer, *args: Any, **kwargs: Any) -> None:
        if kill_after == (kwargs["epoch"], None) and kill_rank == _rank():
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, **values: Any) -> None:
        path = Path(self.serialization_dir) / f"record{_rank()}"
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def sentences(seed: int, number: int) -> list[str]:
    """Returns sentences in which a word makes the next one likely."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for length in torch.randint(1, 12, (number,), generator=generator).tolist():
        steps = torch.randint(1, 4, (length,), generator=generator).cumsum(0)
        found.append(" ".join(WORDS[int(step) % len(WORDS)] for step in steps))
    return found


def write_data(tmp_path: Path) -> Path:
    """Writes three shards to train on, a file to validate on, and their vocabulary."""
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
    """Trains in a new process, which is killed after the epoch and batch `kill`."""

    def work() -> None:
        global kill_after
        kill_after = kill
        torch.set_num_threads(1)
        train(settings, folder, recover=recover)

    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == (0 if kill is None else -signal.SIGKILL)


def run_nodes(
    settings: dict[str, Any],
    folders: Sequence[Path],
    *,
    processes: int = 1,
    kill: Optional[tuple[int, Optional[int]]] = None,
    rank: int = 0,
    recover: bool = False,
    seconds: float = 120.0,
) -> list[int]:
    """
    Trains on several nodes, each a new process with a folder and processes of its own; one of all
    is killed after the epoch and batch `kill`. Returns the nodes' exit codes. All must end in time.
    """
    settings = {**settings, "distributed": _nodes(len(folders), processes)}

    def work(node: int) -> None:
        global kill_after, kill_rank
        kill_after, kill_rank = kill, rank
        torch.set_num_threads(1)
        with mock.patch.object(train_command.mp, "spawn", FORKED):
            train(settings, folders[node], recover=recover, node_rank=node)

    nodes = [FORK.Process(target=work, args=(node,)) for node in range(len(folders))]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join(seconds)
    late = [node for node in nodes if node.is_alive()]
    for node in late:
        node.kill()
    assert not late, "a node did not end"
    return [node.exitcode or 0 for node in nodes]


def _nodes(number: int, processes: int) -> dict[str, Any]:
    return {
        "cuda_devices": [-1] * processes,
        "num_nodes": number,
        "primary_address": "127.0.0.1",
        "primary_port": _port(),
    }


@lru_cache(maxsize=1)
def _port() -> int:
    # always the same, since a resumed training must have the same configuration
    return find_open_port()


def records(folder: Path, rank: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"record{rank}").read_text().splitlines()]


def batches(found: Sequence[dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    return {(values["epoch"], values["batch"]): values for values in found if "batch" in values}


def openings(found: Sequence[dict[str, Any]]) -> list[str]:
    return [values["opened"] for values in found if "opened" in values]


def metrics_of(path: Path) -> dict[str, Any]:
    """Returns the metrics of a file but for times and memory."""
    metrics = json.loads(path.read_text())
    skipped = ("duration", "memory", "start_epoch", "_epochs")
    return {key: metrics[key] for key in metrics if not any(part in key for part in skipped)}
