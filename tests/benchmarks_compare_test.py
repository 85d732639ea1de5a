"""Tests of the comparison in benchmarks: what it trains, writes and draws."""

import argparse
import json
import shutil
import sys
from pathlib import Path

import pytest

from elmo_components.elmo import Elmo
from tests.conftest import ROOT

pytest.importorskip("matplotlib", reason="only the development extras have it")
sys.path.insert(0, str(ROOT / "benchmarks"))
compare, compare_report, compare_speed, sampling, tune = map(
    __import__, ("compare", "compare_report", "compare_speed", "sampling", "tune")
)
sys.path.remove(str(ROOT / "benchmarks"))

BLOCKS = "a\tO\nb\tB-x\n\nc\tO\n\t\nd\tO\ne\tO\n\n\nf\tO\n"


def test_a_share_has_whole_sentences_each_once_in_their_order() -> None:
    assert sampling.sample_blocks(BLOCKS, 1.0, 0) == (
        "a\tO\nb\tB-x\n\nc\tO\n\nd\tO\ne\tO\n\nf\tO\n\n"
    )
    halves = {sampling.sample_blocks(BLOCKS, 0.5, seed) for seed in range(20)}
    assert len(halves) > 1
    for half in halves:
        sentences = half.strip("\n").split("\n\n")
        assert len(sentences) == 2 and sentences == sorted(sentences)
    assert sampling.sample_blocks(BLOCKS, 0.001, 0).count("\n\n") == 1


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
    assert f"| word2vec | {100 * run['found']['score']:.1f} | 1 |" in table
    assert f" {speeds['word2vec']['sentences_per_second']:.0f} | " in table


def test_each_kind_of_vectors_has_a_configuration_for_each_task(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "tune", lambda config, folder: folder / "tuned.safetensors")
    vectors = tmp_path / "vectors.txt"
    arguments = argparse.Namespace(
        data=data, output=tmp_path, word2vec=vectors, fasttext=vectors, transformer="folder"
    )
    for task, size in (("ner", 300 + 128), ("trec6", 300)):
        for kind in compare.KINDS + compare.VARIANTS:
            folder = tmp_path / f"{task}-{kind}"
            folder.mkdir()
            run = compare.Run(task, kind, 1.0, 7)
            config = compare.config_of(run, folder, data, compare._files(run, arguments))
            assert config["pytorch_seed"] == 7
            encoder = config["model"].get("encoder") or config["model"]["seq2vec_encoder"]
            if kind == "fasttext":
                assert encoder["input_size"] == size
            indexers = config["dataset_reader"]["token_indexers"]
            embedders = config["model"]["text_field_embedder"]["token_embedders"]
            assert indexers.keys() == embedders.keys()


def test_elmo_is_tuned_on_the_text_of_a_task_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "NUM_EPOCHS", 2)
    run = compare.Run("trec6", "elmo", 1.0, 0)
    config = compare.config_of(run, tmp_path, data)
    path = tune.tune(config, tmp_path)
    shipped, tuned = Elmo.from_pretrained("english"), Elmo.from_pretrained(path)
    assert tuned.config == shipped.config
    assert (tmp_path / "text.txt").read_text().count("\n") > 100
    words = [["What", "is", "a", "question", "?"]]
    change = abs(tuned.embed(words)[0] - shipped.embed(words)[0]).max()
    assert 0 < change < 1
    monkeypatch.setattr(tune, "subprocess", None)
    assert tune.tune(config, tmp_path) == path
