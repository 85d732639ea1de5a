"""The tables of a comparison, in Markdown."""

import statistics
from collections.abc import Mapping

from compare_results import EARLIER, LAYERS, NAMES, PROBES, TASKS, Result, by_kind, mean


def table(results: list[Result], task: str, speeds: Mapping[str, Mapping[str, float]]) -> str:
    """Returns one task's kinds: score, seconds of training, and what `speeds` has of them."""
    names = NAMES | LAYERS | EARLIER
    kinds = by_kind(results, task, names=names)
    lines = [
        f"**{TASKS[task]}**",
        "",
        "| vectors | test, % | each run | error against learned | training, s | epochs "
        "| sentences/s | parameters trained, of all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = kinds.get("learned")
    for kind, runs in kinds.items():
        scores = [100 * run.found["score"] for run in runs]
        spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
        each = ", ".join(f"{score:.1f}" for score in scores)
        change = ""
        if base is not None and kind != "learned":
            change = f"{100 * (mean(base) - mean(runs)) / (1 - mean(base)):+.0f} %"
        speed = " | "
        if kind in speeds:
            sizes = [speeds[kind][key] / 1e6 for key in ("trained_parameters", "parameters")]
            rate = speeds[kind]["sentences_per_second"]
            speed = f"{rate:.0f} | {sizes[0]:.1f} M of {sizes[1]:.1f} M"
        lines.append(
            f"| {names[kind]} | {statistics.mean(scores):.1f}{spread} | {each} | {change} "
            f"| {mean(runs, 'seconds'):.0f} | {mean(runs, 'epochs'):.0f} | {speed} |"
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
    names = NAMES | EARLIER
    for task in TASKS:
        kinds = [by_kind(results, task, share, names=names) for share in shares]
        for kind, name in names.items():
            if sum(kind in found for found in kinds) < 2:
                continue
            cells = [f"{100 * mean(found[kind]):.1f}" if kind in found else "" for found in kinds]
            lines.append(f"| {TASKS[task]} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def probes_table(probes: Mapping[str, Mapping[str, float]]) -> str:
    """Returns what each layer knows."""
    layers = list(dict.fromkeys(layer for scores in probes.values() for layer in scores))
    lines = [
        "**By layer, accuracy, %**",
        "",
        "| probe | " + " | ".join(layers) + " |",
        "|---|" + "---|" * len(layers),
    ]
    for probe, scores in probes.items():
        cells = [f"{100 * scores[layer]:.1f}" if layer in scores else "" for layer in layers]
        lines.append(f"| {PROBES[probe]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
