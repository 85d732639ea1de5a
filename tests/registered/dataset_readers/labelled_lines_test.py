"""Tests of registered/labelled_lines_reader.py."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader
from allennlp.data.data_loaders import MultiProcessDataLoader

import elmo_components.registered  # noqa: F401

# As TREC's files have it.
TREC: dict[str, Any] = {
    "separator": " ",
    "num_columns": 2,
    "label_column": 0,
    "text_column": 1,
    "encoding": "iso-8859-1",
}


def make(**settings: object) -> DatasetReader:
    return DatasetReader.from_params(Params({"type": "elmo_labelled_lines", **settings}))


def read(path: Path, **settings: object) -> list[tuple[list[str], str]]:
    return [
        ([token.text for token in instance["tokens"]], instance["label"].label)
        for instance in make(**settings).read(str(path))
    ]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_tsv_file_is_read_whatever_its_line_ends_and_its_mark(tmp_path: Path) -> None:
    text = '\ufefftext\tlabel\r\nIt\'s "fine" .\tgood\r\n\r\nNo !\t bad \r\n'
    assert read(write(tmp_path / "a.tsv", text), header_lines=1) == [
        (["It's", '"fine"', "."], "good"),
        (["No", "!"], "bad"),
    ]


def test_trecs_questions_are_read_with_coarse_and_with_fine_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "LOC:city Where is Orléans ?\nNUM:date When ?\n", "iso-8859-1")
    coarse = read(path, label_separator=":", **TREC)
    assert coarse == [(["Where", "is", "Orléans", "?"], "LOC"), (["When", "?"], "NUM")]
    assert [label for _, label in read(path, **TREC)] == ["LOC:city", "NUM:date"]
    fine = read(path, label_separator=":", label_part=1, **TREC)
    assert [label for _, label in fine] == ["city", "date"]


def test_a_tokenizer_splits_texts_and_columns_may_be_anywhere(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("7|pos|Don't go.\n")
    found = read(
        tmp_path / "a.tsv.gz",
        separator="|",
        text_column=-1,
        label_column=1,
        tokenizer={"type": "spacy_blank"},
    )
    assert found == [(["Do", "n't", "go", "."], "pos")]


def test_workers_share_the_texts(fixtures: Path) -> None:
    path = str(fixtures / "data" / "remarks" / "dev.tsv")
    alone = sorted(str(instance["tokens"]) for instance in make(header_lines=1).read(path))
    loader = MultiProcessDataLoader(make(header_lines=1), path, batch_size=8, num_workers=2)
    assert sorted(str(instance["tokens"]) for instance in loader.iter_instances()) == alone
    assert len(alone) == 45


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "a.tsv holds no text"),
        ("text\tlabel\n", {"header_lines": 1}, "a.tsv holds no text"),
        ("a\tb\nc d\n", {}, r"line 2: .* in column 1, with '\\t' between columns; found \['c d'\]"),
        ("a\t\n", {}, "line 1: a text and a label must stand here"),
        ("a\tb\n\n \tb\n", {}, "line 3: a text must have tokens; found ' '"),
        ("a\n", {"text_column": 0, "label_column": -1}, "line 1: a text and a label must stand"),
        ("a\tb\n", {"label_separator": ":", "label_part": 1}, "must have a part 1, with ':'"),
    ],
)
def test_lines_without_what_must_be_there_are_errors(
    tmp_path: Path, text: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(write(tmp_path / "a.tsv", text), **settings)


def test_another_encoding_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "café\tplace\n", "iso-8859-1")
    with pytest.raises(ConfigurationError, match="encoded as `encoding` says, utf-8-sig"):
        read(path)
    assert read(path, encoding="iso-8859-1") == [(["café"], "place")]
    with pytest.raises(ConfigurationError, match="unknown encoding: latin-99"):
        make(encoding="latin-99")
