"""
The tables and pictures of a comparison, in Markdown and PNG.

    python benchmarks/compare_report.py OUTPUT --results docs/results

OUTPUT is compare.py's; `probes.json` in it, if there, is probes.py's. What is not there yet is left
out of the tables.
"""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from processor import processor_name

NAMES = {
    "learned": "learned with the task",
    "word2vec": "word2vec",
    "fasttext": "fastText",
    "elmo": "ELMo",
    "elmo_tuned": "ELMo, fine-tuned on the text",
    "elmo_learned": "ELMo and learned",
    "elmo_word2vec": "ELMo and word2vec",
    "transformer": "MiniLM (transformer), frozen",
}
# in the tables, but in no picture
LAYERS = {
    "elmo_layer_0": "ELMo, layer 0 (characters) alone",
    "elmo_layer_1": "ELMo, layer 1 alone",
    "elmo_layer_2": "ELMo, layer 2 alone",
    "elmo_mean": "ELMo, mean of all",
}
TASKS = {
    "ner": "Named entities, WNUT-17, F1",
    "pos": "Parts of speech, UD EWT, accuracy",
    "sst5": "Sentiment, SST-5, accuracy",
    "trec6": "Questions, TREC-6, accuracy",
}
PROBES = {"pos": "parts of speech, UD EWT", "wic": "senses, WiC"}


class Result(NamedTuple):
    """One run, as its folder says."""

    task: str
    kind: str
    share: float
    seed: int
    found: Mapping[str, Any]


def main() -> None:
    """Writes all that there are runs for."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    results = list(read(arguments.output))
    parts = [table(results, task) for task in TASKS if any(r.task == task for r in results)]
    draw_scores(results, arguments.results / "scores.png")
    if len({result.share for result in results}) > 1:
        draw_curves(results, arguments.results / "curves.png")
        parts.append(curves_table(results))
    probes = arguments.output / "probes.json"
    if probes.exists():
        found = json.loads(probes.read_text(encoding="utf-8"))
        draw_probes(found, arguments.results / "layers.png")
        parts.append(probes_table(found))
    header = (
        f"Measured on {processor_name()}, one thread a run, torch {torch.__version__}. "
        "Sentences a second: of the test set, met for the first time, 32 at once."
    )
    text = "\n\n".join([header, *parts]) + "\n"
    (arguments.results / "tables.md").write_text(text, encoding="utf-8")
    summary = [{**result._asdict(), "found": dict(result.found)} for result in results]
    (arguments.results / "runs.json").write_text(
        json.dumps(summary, indent=1) + "\n", encoding="utf-8"
    )


def read(output: Path) -> Iterable[Result]:
    """Yields the runs that were finished."""
    for path in sorted((output / "runs").glob("*/run.json")):
        task, kind, share, seed = path.parent.name.split("-")
        found = json.loads(path.read_text(encoding="utf-8"))
        yield Result(task, kind, float(share), int(seed), found)


def mean(results: Iterable[Result], key: str = "score") -> float:
    """Returns the mean of what runs found."""
    return statistics.mean(result.found[key] for result in results)


def _by_kind(
    results: Iterable[Result], task: str, share: float = 1.0, *, names: Mapping[str, str] = NAMES
) -> dict[str, list[Result]]:
    found = defaultdict(list)
    for result in results:
        if result.task == task and result.share == share:
            found[result.kind].append(result)
    return {kind: found[kind] for kind in names if kind in found}


def table(results: list[Result], task: str) -> str:
    """Returns one task's kinds: score, seconds of training, speed and sizes."""
    names = NAMES | LAYERS
    kinds = _by_kind(results, task, names=names)
    lines = [
        f"**{TASKS[task]}**",
        "",
        "| vectors | test, % | runs | error against learned | training, s | epochs "
        "| sentences/s | parameters trained, of all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = kinds.get("learned")
    for kind, runs in kinds.items():
        scores = [100 * run.found["score"] for run in runs]
        spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
        change = ""
        if base is not None and kind != "learned":
            change = f"{100 * (mean(base) - mean(runs)) / (1 - mean(base)):+.0f} %"
        sizes = [round(mean(runs, key) / 1e6, 1) for key in ("trained_parameters", "parameters")]
        lines.append(
            f"| {names[kind]} | {statistics.mean(scores):.1f}{spread} | {len(scores)} | {change} "
            f"| {mean(runs, 'seconds'):.0f} | {mean(runs, 'epochs'):.0f} "
            f"| {mean(runs, 'sentences_per_second'):.0f} | {sizes[0]} M of {sizes[1]} M |"
        )
    return "\n".join(lines)


def curves_table(results: list[Result]) -> str:
    """Returns the scores by the share of labelled data."""
    shares = sorted({result.share for result in results})
    lines = [
        "**By the share of the training data, test, %**",
        "",
        "| task | vectors | " + " | ".join(f"{100 * share:g} %" for share in shares) + " |",
        "|---|---|" + "---|" * len(shares),
    ]
    for task in TASKS:
        kinds = [_by_kind(results, task, share) for share in shares]
        for kind, name in NAMES.items():
            if sum(kind in found for found in kinds) < 2:
                continue
            cells = [f"{100 * mean(found[kind]):.1f}" if kind in found else "" for found in kinds]
            lines.append(f"| {task} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def probes_table(probes: Mapping[str, Mapping[str, float]]) -> str:
    """Returns what each layer knows."""
    layers = list(next(iter(probes.values())))
    lines = [
        "**By layer, accuracy, %**",
        "",
        "| probe | " + " | ".join(layers) + " |",
        "|---|" + "---|" * len(layers),
    ]
    for probe, scores in probes.items():
        cells = [f"{100 * scores[layer]:.1f}" for layer in layers]
        lines.append(f"| {PROBES[probe]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw_scores(results: list[Result], path: Path) -> None:
    """Draws each task's kinds as bars, in the same rows for all, with every run as a dot."""
    from matplotlib import pyplot

    by_task = {task: kinds for task in TASKS if (kinds := _by_kind(results, task))}
    rows = [kind for kind in NAMES if any(kind in kinds for kinds in by_task.values())]
    size = (4.2 * len(by_task), 1.0 + 0.4 * len(rows))
    figure, axes = pyplot.subplots(
        1, len(by_task), figsize=size, layout="constrained", squeeze=False, sharey=True
    )
    for axis, (task, kinds) in zip(axes[0], by_task.items()):
        scores = {kind: [100 * run.found["score"] for run in runs] for kind, runs in kinds.items()}
        least, most = min(map(min, scores.values())), max(map(max, scores.values()))
        # differences are small beside the whole
        start = 0 if least < 35 else least - 5
        for kind, found in scores.items():
            row, middle = rows.index(kind), statistics.mean(found)
            colour = "tab:orange" if "elmo" in kind else "tab:gray"
            axis.barh(row, middle - start, left=start, color=colour, alpha=0.75)
            axis.plot(found, [row] * len(found), "k.", markersize=4)
            axis.annotate(
                f"{middle:.1f}",
                (max(found), row),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axis.set_xlim(start, most + 0.15 * (most - start))
        axis.set_title(TASKS[task], fontsize=10)
    axes[0][0].set_yticks(range(len(rows)), [NAMES[kind] for kind in rows])
    axes[0][0].invert_yaxis()
    _write(figure, path)


def draw_curves(results: list[Result], path: Path) -> None:
    """Draws scores by the share of labelled data."""
    from matplotlib import pyplot

    tasks = [task for task in TASKS if len({r.share for r in results if r.task == task}) > 1]
    figure, axes = pyplot.subplots(
        1, len(tasks), figsize=(4.8 * len(tasks), 3.6), layout="constrained", squeeze=False
    )
    for axis, task in zip(axes[0], tasks):
        for kind, name in NAMES.items():
            points = defaultdict(list)
            for result in results:
                if (result.task, result.kind) == (task, kind):
                    points[100 * result.share].append(100 * result.found["score"])
            if len(points) > 1:
                shares = sorted(points)
                means = [statistics.mean(points[share]) for share in shares]
                axis.plot(shares, means, marker="o", label=name)
        axis.set_xscale("log")
        axis.set_xticks(shares, [f"{share:g} %" for share in shares])
        axis.set_title(TASKS[task], fontsize=10)
        axis.set_xlabel("labelled data")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    _write(figure, path)


def draw_probes(probes: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draws what each layer knows."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(probes), figsize=(4.2 * len(probes), 3.2), layout="constrained", squeeze=False
    )
    for axis, (probe, scores) in zip(axes[0], probes.items()):
        heights = [100 * score for score in scores.values()]
        bars = axis.bar(list(scores), heights, color="tab:orange", alpha=0.75)
        axis.bar_label(bars, fmt="%.1f", fontsize=8)
        axis.set_ylim(min(heights) - 5, max(heights) + 2)
        axis.set_title(f"{PROBES[probe]}, accuracy", fontsize=10)
    _write(figure, path)


def _write(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
