"""Tests of benchmarks/: docs/speed.md has the measured results, and each benchmark runs."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig

ROOT = Path(__file__).parent.parent


def test_docs_have_the_measured_speeds() -> None:
    with_table = runpy.run_path(str(ROOT / "benchmarks" / "table.py"))["with_table"]
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks" / "results" / "cpu.json").read_text())
    assert with_table(page, results) == page


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


def test_the_pretraining_benchmark_trains_models_of_one_size_on_the_same_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "pretraining_bench.py"))
    config = ElmoConfig(
        CharCnnConfig(4, ((1, 4), (2, 8)), 1, "relu"), LstmConfig(6, 10, 2, 3.0, 3.0, True)
    )
    lines = (ROOT / "fixtures" / "data" / "lm" / "train.txt").read_text().splitlines()
    rows = benchmark["measure"](
        [line.split() for line in lines],
        repeats=1,
        peaks={"float32": 100.0, "bfloat16": 200.0},
        shapes={"tiny": config},
        batch_sizes=(4, 8),
    )
    assert [row["case"] for row in rows] == [
        f"tiny, pre-training, {number} sentences, {precision}"
        for number in (4, 8)
        for precision in ("float32", "bfloat16")
    ]
    for row in rows:
        assert 0 < row["allennlp"] < row["limit"] and 0 < row["ours"] < row["limit"]
        # padding has a vector and a bias there
        parameters = row["parameters"]
        assert parameters["allennlp"] - parameters["ours"] == config.lstm.hidden_size + 1
        for parts in row["milliseconds"].values():
            assert set(parts) == {"character_encoder", "lstm", "softmax", "optimizer"}


def test_the_memory_benchmark_runs() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "embed_memory_bench.py", "--sentences", "200"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(run.stdout)["sentences"] == 200


def test_the_speeds_by_batch_size_are_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "batches.png"
    run = subprocess.run(
        [
            *(sys.executable, ROOT / "benchmarks" / "batch_sizes.py", "--picture", picture),
            *("--sizes", "1", "4", "--repeats", "1"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [line.split("|")[1].strip() for line in run.stdout.splitlines() if line[:1] == "|"]
    assert rows == ["sentences", "---", "1", "4"]
    assert picture.read_bytes()[:4] == b"\x89PNG"
