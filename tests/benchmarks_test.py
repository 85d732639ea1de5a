"""Holds README's table of speeds to the measured results, and runs the benchmarks' code once."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_readme_has_the_measured_speeds() -> None:
    with_table = runpy.run_path(str(ROOT / "benchmarks" / "table.py"))["with_table"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks" / "results" / "cpu.json").read_text())
    assert with_table(readme, results) == readme


def test_the_indexer_s_benchmark_runs_and_keeps_other_rows(tmp_path: Path) -> None:
    output = tmp_path / "cpu.json"
    output.write_text('{"rows": {"lstm": []}}')
    subprocess.run(
        [
            *(sys.executable, ROOT / "benchmarks" / "run.py"),
            *("--only", "indexer", "--repeats", "1", "--output", output),
        ],
        check=True,
        capture_output=True,
    )
    results = json.loads(output.read_text())
    assert set(results["rows"]) == {"lstm", "indexer"}
    assert all(row["times_allennlp"] > 0 for row in results["rows"]["indexer"])


def test_the_memory_benchmark_runs() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "embed_memory_bench.py", "--sentences", "200"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(run.stdout)["sentences"] == 200
