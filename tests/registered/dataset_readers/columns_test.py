"""Tests of registered/reader.py."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader
from allennlp.data.data_loaders import MultiProcessDataLoader

import elmo_components.registered  # noqa: F401


def make(**settings: object) -> DatasetReader:
    return DatasetReader.from_params(Params({"type": "elmo_columns", **settings}))


def read(path: Path, **settings: object) -> list[tuple[list[str], list[str]]]:
    return [
        ([token.text for token in instance["tokens"]], list(instance["tags"].labels))
        for instance in make(**settings).read(str(path))
    ]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_read_as_published_files_have_them(tmp_path: Path) -> None:
    # blank lines that hold a tab, several between sentences, a token that looks like a comment,
    # two tags for one token, no line end at the end
    text = "\n#tag\tO\n,\tO\n\t\n\n\nNew\tB-location,B-group\nYork\tI-location"
    assert read(write(tmp_path / "a.conll", text), separator="\t", tag_separator=",") == [
        (["#tag", ","], ["O", "O"]),
        (["New", "York"], ["B-location", "I-location"]),
    ]


def test_conllu_is_read_by_skipping_what_is_no_token(tmp_path: Path) -> None:
    text = (
        "# text = don't #1\n1-2\tdon't\t_\t_\n1\tdo\tdo\tAUX\n2\tn't\tnot\tPART\n"
        "2.1\tgone\tgo\tVERB\n3\t#\t#\tSYM\n4\t1\t1\tNUM\n\n"
    )
    found = read(
        write(tmp_path / "a.conllu", text),
        separator="\t",
        token_column=1,
        tag_column=3,
        skip=r"#|\d+[-.]",
    )
    assert found == [(["do", "n't", "#", "1"], ["AUX", "PART", "SYM", "NUM"])]


def test_metadata_holds_the_words_and_files_may_be_compressed(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.conll.gz", "wt", encoding="utf-8") as file:
        file.write("Ångström NNP I-NP B-per\n")
    (instance,) = make().read(str(tmp_path / "a.conll.gz"))
    assert instance["metadata"].metadata == {"words": ["Ångström"]}
    assert instance["tags"].labels == ["B-per"]


def test_a_suffix_of_tokens_is_taken_off(tmp_path: Path) -> None:
    # a digit may be a character too, and a place may have two digits
    path = write(tmp_path / "a.conll", "医0\tO\n生1\tO\n10\tO\n:10\tO\n")
    ((tokens, _),) = read(path, separator="\t", token_suffix="(?<=.)\\d+")
    assert tokens == ["医", "生", "1", ":"]


def test_workers_share_the_sentences(fixtures: Path) -> None:
    path = str(fixtures / "data" / "ner" / "dev.conll")
    settings: dict[str, Any] = {"token_indexers": {"elmo": {"type": "elmo_character_ids"}}}
    alone = [instance["metadata"].metadata["words"] for instance in make(**settings).read(path)]
    loader = MultiProcessDataLoader(make(**settings), path, batch_size=8, num_workers=2)
    shared = [instance["metadata"].metadata["words"] for instance in loader.iter_instances()]
    assert len(alone) == 90 and sorted(shared) == sorted(alone)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.conll holds no sentence"),
        ("\n\t\n  \n", "a.conll holds no sentence"),
        ("a O\nb\n", r"line 2: a token and a tag must stand here; \['b'\]"),
        ("a\tO\n\tO\n", "line 2: a token and a tag must stand here"),
    ],
)
def test_files_without_what_must_be_there_are_errors(
    tmp_path: Path, text: str, message: str
) -> None:
    separator = "\t" if "\tO" in text else None
    with pytest.raises(ConfigurationError, match=message):
        read(write(tmp_path / "a.conll", text), separator=separator)


def test_a_missing_column_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="tag in column 3; found"):
        read(write(tmp_path / "a.conll", "a O\n"), tag_column=3)


@pytest.mark.parametrize("tag", ["NOUN", "", "X-per", "L-per", "BI-per"])
def test_a_tag_of_another_encoding_is_an_error(tmp_path: Path, tag: str) -> None:
    path = write(tmp_path / "a.conll", f"a\tB-per\nb\tI-per\nc\tO\nd\t{tag},O\n")
    with pytest.raises(ConfigurationError, match=f"line 4: '{tag}' is no tag of the encoding BIO"):
        read(path, separator="\t", tag_separator=",", label_encoding="BIO")
    ((_, tags),) = read(path, separator="\t", tag_separator=",")
    assert tags[-1] == tag


@pytest.mark.parametrize("beginning", ["", "z\tB-per\n\n"])
def test_spans_that_begin_with_i_are_another_encoding(tmp_path: Path, beginning: str) -> None:
    text = beginning + "a\tI-per\nb\tI-per\nc\tI-loc\n\nd\tI-loc\n"
    path = write(tmp_path / "a.conll", text)
    number = int(bool(beginning))
    message = rf"begin with I- \(3\) than with B- \({number}\), which is the encoding IOB1"
    with pytest.raises(ConfigurationError, match=message):
        read(path, separator="\t", label_encoding="BIO")
    sentences = read(path, separator="\t", label_encoding="IOB1")
    assert sentences[-1] == (["d"], ["I-loc"])
    # as many right as wrong
    right = write(tmp_path / "b.conll", text + "\ne\tB-loc\nf\tI-loc\n" * 3)
    assert read(right, separator="\t", label_encoding="BIO")


def test_a_mark_of_byte_order_is_no_token(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "\ufeffa\tO\n")
    assert read(path) == [(["a"], ["O"])]


def test_an_unknown_encoding_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="must be one of BIO, IOB1, BIOUL, BMES, or null"):
        make(label_encoding="IOB2")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere.conll")
