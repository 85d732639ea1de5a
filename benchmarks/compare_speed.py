"""
How fast the models of a comparison are, side by side.

    python benchmarks/compare_speed.py OUTPUT

OUTPUT is compare.py's; `speed.json` is written into it. The models of a task take turns, a batch of
the test set each, so what else the machine does slows all alike. One thread computes.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import torch
from allennlp.common import Params
from allennlp.common.plugins import import_plugins
from allennlp.data import DatasetReader, Instance, Vocabulary
from allennlp.models import Model
from compare_results import LAYERS, NAMES, TASKS, by_kind, read

# Sentences computed at once, and how many such batches.
BATCH = 32
BATCHES = 20


def main() -> None:
    """Measures one run of each task and kind."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    torch.set_num_threads(1)
    import_plugins()
    results = list(read(output))
    found = {}
    for task in TASKS:
        kinds = by_kind(results, task, names=NAMES | LAYERS)
        folders = {kind: output / "runs" / runs[0].name for kind, runs in kinds.items()}
        found[task] = measure(folders)
        print(json.dumps({task: found[task]}, indent=1), flush=True)
    (output / "speed.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def measure(folders: Mapping[str, Path]) -> dict[str, dict[str, float]]:
    """
    Returns the speed and the size of models, by what `folders` calls them.

    Parameters
    ----------
    folders : `Mapping[str, Path]`
        Those of runs that have the same test set. What a model has learned is of no matter to
        its speed, so that one made anew from its configuration is as good.
    """
    models, batches = {}, {}
    for name, folder in folders.items():
        models[name], instances = _model_and_instances(folder)
        batches[name] = [instances[at : at + BATCH] for at in range(0, len(instances), BATCH)]
    seconds = {name: [] for name in folders}
    for turn in range(min(map(len, batches.values()), default=0)):
        for name, model in models.items():
            batch = batches[name][turn]
            start = time.perf_counter()
            model.forward_on_instances(batch)
            seconds[name].append((time.perf_counter() - start) / len(batch))
    return {
        # the first batch pays for what is set up once
        name: {
            "sentences_per_second": 1 / median(seconds[name][1:] or seconds[name]),
            **_size(model),
        }
        for name, model in models.items()
    }


def _model_and_instances(folder: Path) -> tuple[Model, list[Instance]]:
    params = Params.from_file(folder / "model" / "config.json")
    vocabulary = Vocabulary.from_files(folder / "model" / "vocabulary")
    model = Model.from_params(params["model"], vocab=vocabulary).eval()
    reader = DatasetReader.from_params(params["dataset_reader"])
    instances = list(reader.read(params["test_data_path"]))[: BATCH * BATCHES]
    for instance in instances:
        reader.apply_token_indexers(instance)
    return model, instances


def _size(model: Model) -> dict[str, float]:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return {
        "parameters": sum(size for size, _ in sizes),
        "trained_parameters": sum(size for size, trained in sizes if trained),
    }


if __name__ == "__main__":
    main()
