"""
The table of docs/speed.md, from a file that run.py wrote.

    python benchmarks/table.py [benchmarks/results/cpu.json]

writes it between the two marker comments of that page.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "cpu.json"
START, END = "<!-- made by benchmarks/table.py -->\n", "<!-- end -->\n"


def table(results: dict[str, Any]) -> str:
    """Returns the Markdown of all rows, and of where they were measured."""
    peaks = results["peaks"]
    lines = [
        "| | AllenNLP | here | times | of the limit |",
        "|---|---|---|---|---|",
    ]
    for part in results["rows"].values():
        for row in part:
            share = f"{row['ours'] / row['limit']:.0%}" if "limit" in row else ""
            lines.append(
                f"| {row['case']} | {row['allennlp']:,.0f} | {row['ours']:,.0f} {row['unit']} "
                f"| {row['times_allennlp']:.1f} | {share} |"
            )
    lines += [
        "",
        f"Medians of alternating runs in one process: {results['machine']}, "
        f"{results['threads']} threads, torch {results['torch']}, {results['date']}. The limit "
        f"follows from this machine's peaks, measured in the same run: {peaks['float32']}, "
        f"{peaks['bfloat16']} and {peaks['int8']} GFLOP/s in float32, bfloat16 and int8, "
        f"{peaks['memory']} GB/s.",
    ]
    return "\n".join(lines) + "\n"


def with_table(page: str, results: dict[str, Any]) -> str:
    """Returns the page's text with the table of these results."""
    before, rest = page.split(START)
    after = rest.split(END)[1]
    return before + START + table(results) + END + after


def main() -> None:
    """Writes docs/speed.md."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    page = ROOT / "docs" / "speed.md"
    results = json.loads(path.read_text(encoding="utf-8"))
    page.write_text(with_table(page.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
