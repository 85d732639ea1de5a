"""
What a pre-trained ELMo gives a named-entity tagger: F1 with it and without it, by labelled share.

    python benchmarks/ner_gain.py FOLDER --output OUTPUT

FOLDER has `train.conll`, `dev.conll` and `test.conll` as WNUT-17 has them. For each seed the tagger
of training_configs/tagging/ner.jsonnet learns from a share of the training sentences, and so does
that of ner_without_elmo.jsonnet; the epoch that is best on the development sentences is measured on
the test sentences. A run that OUTPUT holds already is not made again, so an interrupted measurement
goes on. The table and the picture are written last.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONFIGS = {
    "elmo": ROOT / "training_configs" / "tagging" / "ner.jsonnet",
    "without": ROOT / "training_configs" / "tagging" / "ner_without_elmo.jsonnet",
}
METRIC = "test_f1-measure-overall"


def main() -> None:
    """Makes the runs that are missing, and the table and the picture of all."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.5, 1.0])
    parser.add_argument("--kinds", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--overrides", default="{}", help="JSON for `allennlp train -o`")
    parser.add_argument("--results", type=Path, help="a JSON file for the table")
    parser.add_argument("--picture", type=Path, help="an .svg or .png file")
    arguments = parser.parse_args()
    scores: dict[str, dict[str, list[float]]] = {}
    for share in sorted(arguments.shares, reverse=True):
        for kind in arguments.kinds:
            for seed in range(arguments.seeds):
                score = _run(arguments, kind, share, seed)
                scores.setdefault(kind, {}).setdefault(f"{share:g}", []).append(score)
                print(f"{kind} {share:.0%} seed {seed}: F1 {100 * score:.1f}", flush=True)
    if arguments.results:
        arguments.results.write_text(json.dumps(scores, indent=2) + "\n")
    if arguments.picture:
        draw(scores, arguments.picture)


def draw(scores: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Draws each kind's mean F1 over seeds, and its range, by the share of labelled sentences."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    for kind, label in (("elmo", "with ELMo"), ("without", "without")):
        shares = sorted(scores.get(kind, {}), key=float)
        points = [[100 * score for score in scores[kind][share]] for share in shares]
        places = [100 * float(share) for share in shares]
        (line,) = axes.plot(places, list(map(statistics.mean, points)), marker="o", label=label)
        axes.fill_between(
            places,
            list(map(min, points)),
            list(map(max, points)),
            color=line.get_color(),
            alpha=0.2,
        )
    axes.set_xlabel("labelled sentences, % of all")
    axes.set_ylabel("F1 on the test sentences")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def sample(text: str, share: float, seed: int) -> str:
    """Returns a random share of a file's sentences, in their order; blank lines part them."""
    sentences: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            sentences[-1].append(line)
        elif sentences[-1]:
            sentences.append([])
    sentences = [sentence for sentence in sentences if sentence]
    number = max(1, round(share * len(sentences)))
    chosen = sorted(random.Random(seed).sample(range(len(sentences)), number))
    return "".join("\n".join(sentences[place]) + "\n\n" for place in chosen)


def _run(arguments: argparse.Namespace, kind: str, share: float, seed: int) -> float:
    folder = arguments.output / f"{kind}-{share:g}-{seed}"
    metrics = folder / "metrics.json"
    if not metrics.exists():
        arguments.output.mkdir(parents=True, exist_ok=True)
        train = arguments.output / f"train-{share:g}-{seed}.conll"
        text = (arguments.folder / "train.conll").read_text(encoding="utf-8")
        train.write_text(sample(text, share, seed), encoding="utf-8")
        overrides = {
            "train_data_path": str(train),
            "validation_data_path": str(arguments.folder / "dev.conll"),
            "test_data_path": str(arguments.folder / "test.conll"),
            "random_seed": seed,
            "numpy_seed": seed,
            "pytorch_seed": seed,
            **json.loads(arguments.overrides),
        }
        command = [sys.executable, "-m", "allennlp", "train", str(CONFIGS[kind])]
        command += ["--serialization-dir", str(folder), "--force", "--overrides"]
        command += [json.dumps(overrides), "--include-package", "elmo_components"]
        with open(arguments.output / f"{folder.name}.log", "w", encoding="utf-8") as log:
            subprocess.run(command, stdout=log, stderr=log, check=True)
    return float(json.loads(metrics.read_text())[METRIC])


if __name__ == "__main__":
    main()
