"""Tests of the reader of Word in Context."""

from pathlib import Path
from typing import Any

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance

import elmo_components.registered  # noqa: F401

LINE = "board\tN\t2-2\tRoom and board .\tHe nailed boards up .\n"


def make(**settings: object) -> DatasetReader:
    return DatasetReader.from_params(Params({"type": "elmo_word_in_context", **settings}))


def read(path: Path) -> list[Instance]:
    return list(make().read(str(path)))


def summary(instance: Instance) -> tuple[Any, ...]:
    """The word as it stands in both sentences, and the label."""
    words = (
        instance[name].tokens[instance[f"{name}_index"].sequence_index].text
        for name in ("first", "second")
    )
    return (*words, instance["label"].label)


def test_labels_come_from_the_file_beside_as_published(tmp_path: Path) -> None:
    (tmp_path / "train.data.txt").write_text(
        LINE + "go\tV\t0-3\tGo !\tLet me now go\n", encoding="utf-8"
    )
    (tmp_path / "train.gold.txt").write_text("F\nT\n", encoding="utf-8")
    instances = read(tmp_path / "train.data.txt")
    assert [summary(one) for one in instances] == [("board", "boards", 0), ("Go", "go", 1)]
    assert [one["metadata"].metadata["word"] for one in instances] == ["board", "go"]


def test_labels_may_be_the_last_column(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(LINE.replace(" .\n", " .\tT\r\n"), encoding="utf-8")
    assert [summary(one) for one in read(path)] == [("board", "boards", 1)]


def test_the_encoding_of_a_file_is_read_and_a_wrong_one_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("é\tN\t0-0\té a\té b\tT\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"a\.tsv, line 1: the text is not utf-8"):
        read(path)
    (instance,) = make(encoding="latin-1").read(str(path))
    assert summary(instance) == ("é", "é", 1)


@pytest.mark.parametrize(
    ("text", "gold", "message"),
    [
        ("", None, "has no pair of sentences"),
        (LINE, None, "has no labels. Put them in a sixth column, or in a file"),
        (LINE, "T\nF\n", "a label for each line of .*: 1; found 2"),
        (LINE, "yes\n", "line 1: the label must be T or F; found 'yes'"),
        (
            LINE + LINE.replace("\n", "\tT\n"),
            None,
            "line 1: a line must have a word, .* or in none, a label; found",
        ),
        (
            LINE.replace("2-2", "2-9"),
            "T\n",
            "line 1: second_index must be at least 0 and less than 5",
        ),
        (LINE.replace("2-2", "2"), "T\n", 'line 1: the positions must be two numbers as in "2-3"'),
        ("a\tb\n", "T\n", "line 1: a line must have a word, its part of speech"),
    ],
)
def test_files_of_another_form_are_errors(
    tmp_path: Path, text: str, gold: str, message: str
) -> None:
    (tmp_path / "a.data.txt").write_text(text, encoding="utf-8")
    if gold is not None:
        (tmp_path / "a.gold.txt").write_text(gold, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path / "a.data.txt")
