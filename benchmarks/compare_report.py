"""
The tables and pictures of a comparison, in Markdown and PNG.

    python benchmarks/compare_report.py OUTPUT --results docs/results

OUTPUT is compare.py's; `speed.json` and `probes.json` in it, if there, are compare_speed.py's and
probes.py's. What is not there yet is left out of the tables.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from compare_pictures import draw_curves, draw_probes, draw_scores
from compare_results import TASKS, read
from compare_tables import curves_table, probes_table, table

from elmo_components.inspection.system import processor_name


def main() -> None:
    """Writes all that there are runs for."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    results = list(read(arguments.output))
    speeds = _read(arguments.output / "speed.json")
    tasks = [task for task in TASKS if any(result.task == task for result in results)]
    parts = [table(results, task, speeds.get(task, {})) for task in tasks]
    draw_scores(results, arguments.results / "scores.png")
    if len({result.share for result in results}) > 1:
        draw_curves(results, arguments.results / "curves.png")
        parts.append(curves_table(results))
    probes = _read(arguments.output / "probes.json")
    if probes:
        draw_probes(probes, arguments.results / "layers.png")
        parts.append(probes_table(probes))
    header = (
        f"Measured on {processor_name()}, one thread a run, torch {torch.__version__}. "
        "Sentences a second: of the test set, met for the first time, 32 at once, the models of a "
        "task by turns."
    )
    text = "\n\n".join([header, *parts]) + "\n"
    (arguments.results / "tables.md").write_text(text, encoding="utf-8")
    summary = [{**result._asdict(), "found": dict(result.found)} for result in results]
    (arguments.results / "runs.json").write_text(
        json.dumps(summary, indent=1) + "\n", encoding="utf-8"
    )


def _read(path: Path) -> dict[str, dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


if __name__ == "__main__":
    main()
