"""Tests of benchmarks/ner_gain.py."""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("matplotlib", reason="only the development extras have it")

SPEC = spec_from_file_location("ner_gain", ROOT / "benchmarks" / "ner_gain.py")
ner_gain = module_from_spec(SPEC)
SPEC.loader.exec_module(ner_gain)

TEXT = "a\tO\nb\tB-x\n\nc\tO\n\t\nd\tO\ne\tO\n\n\nf\tO\n"


def test_a_share_has_whole_sentences_each_once_in_their_order() -> None:
    assert ner_gain.sample(TEXT, 1.0, 0) == "a\tO\nb\tB-x\n\nc\tO\n\nd\tO\ne\tO\n\nf\tO\n\n"
    halves = {ner_gain.sample(TEXT, 0.5, seed) for seed in range(20)}
    assert len(halves) > 1
    for half in halves:
        sentences = half.strip("\n").split("\n\n")
        assert len(sentences) == 2 and sentences == sorted(sentences)
    assert ner_gain.sample(TEXT, 0.001, 0).count("\n\n") == 1


def test_runs_are_made_once_and_written_as_a_table_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"dataset_reader.max_instances": 20, "trainer.num_epochs": 1}
    results, picture = tmp_path / "results.json", tmp_path / "picture.svg"
    arguments = [str(ROOT / "fixtures/data/ner"), "--output", str(tmp_path / "runs")]
    arguments += ["--seeds", "1", "--shares", "0.5", "--kinds", "without"]
    arguments += ["--results", str(results), "--picture", str(picture)]
    monkeypatch.setattr(sys, "argv", ["ner_gain.py", *arguments, "--overrides", json.dumps(few)])
    ner_gain.main()
    metrics = json.loads((tmp_path / "runs/without-0.5-0/metrics.json").read_text())
    assert json.loads(results.read_text()) == {
        "without": {"0.5": [metrics["test_f1-measure-overall"]]}
    }
    assert "<svg" in picture.read_text()
    # what is there is not trained again
    monkeypatch.setattr(ner_gain.subprocess, "run", None)
    ner_gain.main()
