"""Tests of the comparison in benchmarks: what it trains, writes and draws."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("matplotlib", reason="only the development extras have it")
sys.path.insert(0, str(ROOT / "benchmarks"))
compare, compare_report, compare_results, compare_speed, compare_tables, sampling, tune = map(
    __import__,
    (
        "compare",
        "compare_report",
        "compare_results",
        "compare_speed",
        "compare_tables",
        "sampling",
        "tune",
    ),
)
sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture
def data(tmp_path: Path, fixtures: Path) -> Path:
    """The fixtures, where published data would be."""
    folder = tmp_path / "data" / "ner" / "wnut17"
    folder.parent.mkdir(parents=True)
    shutil.copytree(fixtures / "data" / "ner", folder)
    questions = tmp_path / "data" / "classification" / "trec"
    questions.parent.mkdir()
    shutil.copytree(fixtures / "data" / "questions", questions)
    return tmp_path / "data"


def test_a_table_has_the_mean_and_every_run() -> None:
    runs = [
        compare_results.Result(
            "", "ner", "elmo", 1.0, seed, {"score": score, "seconds": 1.0, "epochs": 1}
        )
        for seed, score in enumerate([0.31, 0.35, 0.33])
    ]
    assert "| ELMo | 33.0 ± 2.0 | 31.0, 35.0, 33.0 |" in compare_tables.table(runs, "ner", {})


def test_runs_are_made_once_and_become_tables_and_pictures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{word} {' '.join(['0.1'] * 300)}\n" for word in ("the", ".")))
    few = {"dataset_reader.max_instances": 12, "trainer.num_epochs": 1}
    arguments = ["compare.py", str(data), "--output", str(tmp_path / "out"), "--seeds", "0"]
    arguments += ["--tasks", "trec6", "--kinds", "learned", "word2vec", "--shares", "1", "0.5"]
    arguments += ["--word2vec", str(vectors), "--overrides", json.dumps(few)]
    monkeypatch.setattr(sys, "argv", arguments)
    compare.main()
    printed = capsys.readouterr().out
    assert printed.count("trec6-word2vec-0.5-0: ") == 1
    # what is there is not trained again
    monkeypatch.setattr(compare, "subprocess", None)
    compare.main()
    monkeypatch.setattr(sys, "argv", ["speed", str(tmp_path / "out")])
    compare_speed.main()
    speeds = json.loads((tmp_path / "out" / "speed.json").read_text())["trec6"]
    assert list(speeds) == ["learned", "word2vec"]
    assert speeds["learned"]["parameters"] >= speeds["learned"]["trained_parameters"] > 0
    results = tmp_path / "results"
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path / "out"), "--results", str(results)])
    compare_report.main()
    assert {path.name for path in results.iterdir()} == {
        "curves.png",
        "runs.json",
        "scores.png",
        "tables.md",
    }
    table = (results / "tables.md").read_text()
    (run,) = (
        run
        for run in json.loads((results / "runs.json").read_text())
        if (run["kind"], run["share"]) == ("word2vec", 1.0)
    )
    score = f"{100 * run['found']['score']:.1f}"
    assert f"| word2vec | {score} | {score} |" in table
    assert f" {speeds['word2vec']['sentences_per_second']:.0f} | " in table
