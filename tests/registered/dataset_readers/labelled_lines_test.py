"""Tests of the reader of labelled lines."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Token

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


def test_a_carriage_return_within_a_line_is_white_space(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "It is\rfine .\tgood\r\nNo !\tbad\r\n")
    assert read(path) == [(["It", "is", "fine", "."], "good"), (["No", "!"], "bad")]


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


def test_quotation_marks_of_csv_are_read(tmp_path: Path) -> None:
    text = 'text,label\r\n"Good, really ""good""",pos\r\n\r\n"two\nlines",neg\r\nplain,neg\r\n'
    path = write(tmp_path / "a.csv", text)
    expected = [
        (["Good,", "really", '"good"'], "pos"),
        (["two", "lines"], "neg"),
        (["plain"], "neg"),
    ]
    assert read(path, separator=",", header_lines=1) == expected
    quoted = write(tmp_path / "a.tsv", '"a\tb"\tpos\n')
    assert read(quoted, quoted=True) == [(["a", "b"], "pos")]
    with pytest.raises(ConfigurationError, match=r"a\.tsv, line 1: there must be 2 columns"):
        read(quoted, num_columns=2, quoted=False, separator=" ")
    with pytest.raises(ConfigurationError, match="quoted needs a separator of one character"):
        make(separator="||", quoted=True)


def test_a_no_break_space_is_in_a_token(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "10\u00a0000  people\tpos\n")
    assert read(path) == [(["10\u00a0000", "people"], "pos")]


def test_text_words_and_tokens_make_the_same_instance() -> None:
    for text in ("a  b", ["a", "b"], [Token("a"), Token("b")]):
        instance = make(label_namespace="my_labels").text_to_instance(text, "x")
        assert [token.text for token in instance["tokens"]] == ["a", "b"]
        instance["label"].count_vocab_items(counter := {"my_labels": {"x": 0}})
        assert counter["my_labels"]["x"] == 1


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "a.tsv has no text"),
        ("text\tlabel\n", {"header_lines": 1}, "a.tsv has no text"),
        ("a\tb\nc d\n", {}, r"line 2: there must be 2 columns, with '\\t' .* found 1: \['c d'\]"),
        ("a\tb\nc\td\te\n", {}, "line 2: there must be 2 columns, .* found 3"),
        ("a\tb\n", {"label_column": 2}, "line 1: there must be columns 0 and 2"),
        ('a,b\n"c\n', {"separator": ","}, "a.tsv, line 2: unexpected end of data"),
        (",\n", {"separator": ","}, "line 1: a line must have a text and a label"),
        ("a\t\n", {}, "line 1: a line must have a text and a label"),
        ("a\tb\n\n \tb\n", {}, "line 3: a text must have tokens; found ' '"),
        ("a\n", {"text_column": 0, "label_column": -1}, "line 1: a line must have a text"),
        ("a\tb\rc\td", {}, r"a.tsv: lines must end with \\n; found \\r alone"),
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
    with pytest.raises(
        ConfigurationError, match=r"a.tsv, line 1: the text is not utf-8 \(byte 0xe9\). Set enc"
    ):
        read(path)
    assert read(path, encoding="iso-8859-1") == [(["café"], "place")]
    with pytest.raises(ConfigurationError, match="unknown encoding: latin-99"):
        make(encoding="latin-99")
