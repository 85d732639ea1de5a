"""
The losses of a pre-training in one process, in two, on two nodes, with accumulated gradients and in
bfloat16: how far those of 200 steps are apart.

    python benchmarks/distributed_bench.py OUTPUT

trains `language_model/bilm.jsonnet` on the fixtures, without dropout, by AllenNLP's own trainer.
Nodes are processes of this machine.
"""

import argparse
import json
import multiprocessing
import resource
from functools import partial
from math import nan
from pathlib import Path
from typing import Any, Optional
from unittest import mock

import torch
from allennlp.commands import train
from allennlp.common import Params
from allennlp.common.util import find_open_port
from allennlp.training.callbacks import TrainerCallback
from torch.multiprocessing import start_processes

import elmo_components.registered  # noqa: F401

CONFIGURATION = "training_configs/language_model/bilm.jsonnet"
STEPS = 200
FULL = {"model": {"softmax": {"type": "full"}}}
BFLOAT16 = {"model": {"precision": "bfloat16"}}
FLOAT64 = {"dtype": torch.float64}
TWO_PROCESSES = {"distributed": {"cuda_devices": [-1, -1]}}


def accumulated(steps: int) -> dict[str, Any]:
    setting = {"num_gradient_accumulation_steps": steps}
    return {"data_loader": setting, "trainer": setting}


# name, settings, the training that it is compared with
RUNS: list[tuple[str, dict[str, Any], str]] = [
    ("one process", {}, "one process"),
    ("two processes", TWO_PROCESSES, "one process"),
    ("two nodes", {"nodes": 2}, "one process"),
    # roundings grow from step to step, so that float64 shows whether anything else differs
    ("one process, float64", FLOAT64, "one process, float64"),
    ("two processes, float64", {**TWO_PROCESSES, **FLOAT64}, "one process, float64"),
    ("two nodes, float64", {"nodes": 2, **FLOAT64}, "one process, float64"),
    ("3 pieces, float64", {**accumulated(3), **FLOAT64}, "one process, float64"),
    ("full softmax, float64", {**FULL, **FLOAT64}, "full softmax, float64"),
    (
        "full softmax, float64, 3 pieces",
        {**FULL, **FLOAT64, **accumulated(3)},
        "full softmax, float64",
    ),
    ("3 pieces", accumulated(3), "one process"),
    ("another seed", {"pytorch_seed": 2}, "one process"),
    ("bfloat16", BFLOAT16, "one process"),
    ("two processes, bfloat16", {**TWO_PROCESSES, **BFLOAT16}, "bfloat16"),
]


@TrainerCallback.register("write_losses")
class WriteLosses(TrainerCallback):
    """Writes each step's loss, and the peak memory."""

    def __init__(self, serialization_dir: str) -> None:
        super().__init__(serialization_dir)
        self.losses: list[float] = []

    def on_batch(self, trainer: Any, *arguments: Any, **keywords: Any) -> None:
        if keywords["is_training"]:
            self.losses.append(arguments[2]["batch_loss"])

    def on_end(self, trainer: Any, *arguments: Any, **keywords: Any) -> None:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        written = {"losses": self.losses, "megabytes": peak}
        (Path(self.serialization_dir) / f"losses{rank}.json").write_text(json.dumps(written))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="*", help="names of trainings")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[float]] = {}
    print("| training | steps | mean of the last 20 | largest difference | from | peak MB |")
    print("|---|---|---|---|---|---|")
    for name, settings, reference in RUNS:
        if arguments.only and name not in arguments.only:
            continue
        found[name], peak = _train(settings, arguments.output / name.replace(" ", "_"))
        last = sum(found[name][-20:]) / len(found[name][-20:])
        differences = [abs(a - b) for a, b in zip(found[name], found.get(reference, []))]
        print(
            f"| {name} | {len(found[name])} | {last:.4f} | {max(differences, default=nan):.1e} | "
            f"{reference} | {peak:.0f} |",
            flush=True,
        )


def _train(settings: dict[str, Any], folder: Path) -> tuple[list[float], float]:
    """Returns the losses of all processes' batches together, and the highest peak memory."""
    nodes = settings.get("nodes", 1)
    distributed: Optional[dict[str, Any]] = settings.get("distributed")
    if nodes > 1:
        distributed = {"cuda_devices": [-1], "num_nodes": nodes, "primary_port": find_open_port()}
    folders = [folder.with_name(f"{folder.name}_{node}") for node in range(nodes)]
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_node, args=(settings, folders[node], distributed, node))
        for node in range(nodes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0, f"a training in {folder} failed"
    written = [
        json.loads(path.read_text()) for each in folders for path in each.glob("losses*.json")
    ]
    losses = [sum(step) / len(step) for step in zip(*(each["losses"] for each in written))]
    return losses[:STEPS], max(each["megabytes"] for each in written)


def _node(settings: dict[str, Any], folder: Path, distributed: Any, node: int) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(settings.get("dtype", torch.float32))
    params = Params.from_file(CONFIGURATION).as_dict(quiet=True)
    for name in ("model", "data_loader", "trainer"):
        params[name].update(settings.get(name, {}))
    if "pytorch_seed" in settings:
        params["pytorch_seed"] = settings["pytorch_seed"]
    params["model"]["dropout"] = 0.0
    params["trainer"].update(num_epochs=20, callbacks=["elmo_lost_process", "write_losses"])
    params["trainer"]["learning_rate_scheduler"]["num_epochs"] = 30
    params["evaluate_on_test"] = False
    if distributed is not None:
        params["distributed"] = distributed
    # forked, which spares the processes the imports
    forked = partial(start_processes, start_method="fork")
    with mock.patch.object(train.mp, "spawn", forked):
        train.train_model(Params(params), str(folder), force=True, node_rank=node)


if __name__ == "__main__":
    main()
