"""The pictures of a comparison, as PNG files."""

import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compare_results import EARLIER, NAMES, PROBES, TASKS, Result, by_kind


def draw_scores(results: list[Result], path: Path) -> None:
    """Draws each task's kinds as bars, in the same rows for all, with every run as a dot."""
    from matplotlib import pyplot

    by_task = {task: kinds for task in TASKS if (kinds := by_kind(results, task))}
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
        for kind, name in (NAMES | EARLIER).items():
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
        axis.set_xticks(range(len(scores)), list(scores), rotation=30, ha="right")
        axis.set_ylim(min(heights) - 5, max(heights) + 2)
        axis.set_title(f"{PROBES[probe]}, accuracy", fontsize=10)
    _write(figure, path)


def _write(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.savefig(path, dpi=110)
    pyplot.close(figure)
