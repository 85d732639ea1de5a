"""Tests of tagged_corpus.py, through `elmo predict`."""

from pathlib import Path

import pytest

from elmo_components.commands import predict
from tests.commands.running import run
from tests.registered.spacy_tagger_test import NAMES, PARTS, train

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = {"type": "crf_tagger", "label_encoding": "BIO", "calculate_span_f1": False}
    return train(tmp_path_factory.mktemp("names") / "trained", NAMES, model)


def test_entities_are_columns(names: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("In Oslo\n\n  Ana Díaz, in Oslo \n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"tokens": ["the", "Ana"]}\n', encoding="utf-8")
    inputs = [tmp_path / "a.txt", tmp_path / "b.jsonl"]
    run(predict, names, *inputs, tmp_path / "out", "--empty-lines", "keep")
    first, empty, last = parquet.read_table(tmp_path / "out" / "a.txt.parquet").to_pylist()
    assert first["words"] == ["In", "Oslo"] and first["line"] == 0
    assert empty == {"line": 1, "sentence": "", "words": [], "entities": []}
    assert last["sentence"] == "Ana Díaz, in Oslo" and last["line"] == 2
    person, place = last["entities"]
    assert (person["type"], person["text"]) == ("person", "Ana Díaz")
    assert (person["start"], person["end"], person["first"], person["last"]) == (0, 8, 0, 1)
    assert (place["type"], place["text"], place["start"]) == ("location", "Oslo", 13)
    assert 0.9 < place["score"] <= 1.0
    (row,) = parquet.read_table(tmp_path / "out" / "b.jsonl.parquet").to_pylist()
    assert row["words"] == ["the", "Ana"]
    assert [one["text"] for one in row["entities"]] == ["Ana"]
    assert (tmp_path / "out" / "_SUCCESS").exists()


def test_tags_of_tokens_are_a_column(tmp_path: Path) -> None:
    archive = train(tmp_path / "trained", PARTS, {"type": "simple_tagger"})
    (tmp_path / "a.txt").write_text("Cats bark.\n", encoding="utf-8")
    run(predict, archive, tmp_path / "a.txt", tmp_path / "out")
    (row,) = parquet.read_table(tmp_path / "out" / "a.txt.parquet").to_pylist()
    assert row["tags"] == ["NOUN", "VERB", "PUNCT"] and len(row["scores"]) == 3
    # one folder is one model's
    other = train(tmp_path / "other", PARTS.replace("VERB", "VERBS"), {"type": "simple_tagger"})
    with pytest.raises(ValueError, match="of a job with other settings: archive was"):
        run(predict, other, tmp_path / "a.txt", tmp_path / "out")


def test_another_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no archive"):
        run(predict, tmp_path / "none.tar.gz", "a.txt", "out")
    (tmp_path / "a.txt").write_text("x\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"must be a model\.tar\.gz of a tagger"):
        run(predict, tmp_path / "a.txt", "a.txt", "out")
