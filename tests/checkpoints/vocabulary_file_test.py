"""Tests of checkpoints/vocabulary_file.py."""

from pathlib import Path

import pytest

from elmo_components.checkpoints import CheckpointError
from elmo_components.checkpoints.vocabulary_file import (
    find_vocabulary,
    read_vocabulary,
    save_vocabulary,
)


def test_words_come_back(tmp_path: Path) -> None:
    words = ("</S>", "<S>", "<UNK>", "a b", "x\u2028y", "10\u00a0000", "caf\u00e9")
    save_vocabulary(words, tmp_path / "vocab.txt")
    assert read_vocabulary(tmp_path / "vocab.txt") == words


@pytest.mark.parametrize("word", ["a\n", "a\nb", "a\rb", "\u00a0a", "!!!MAXTERMID"])
def test_words_that_would_not_come_back_are_named(tmp_path: Path, word: str) -> None:
    with pytest.raises(CheckpointError) as error:
        save_vocabulary(("fine", word), tmp_path / "vocab.txt")
    assert str(error.value) == f"A line of vocab.txt cannot hold {word!r}"
    assert list(tmp_path.iterdir()) == []


def test_the_last_line_may_end_or_not(tmp_path: Path) -> None:
    for text in ("a\n\nb", "a\n\nb\n", "a\r\n\r\n b \r\n"):
        (tmp_path / "vocab.txt").write_bytes(text.encode())
        assert read_vocabulary(tmp_path / "vocab.txt") == ("a", "", "b")


def test_what_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(CheckpointError, match=r"vocab\.txt must be UTF-8"):
        read_vocabulary(tmp_path / "vocab.txt")


def test_the_vocabulary_is_found_by_its_name_or_because_it_is_the_only_one(tmp_path: Path) -> None:
    assert find_vocabulary(tmp_path) is None
    (tmp_path / "vocab-2016-09-10.txt").touch()
    assert find_vocabulary(tmp_path) == tmp_path / "vocab-2016-09-10.txt"
    (tmp_path / "my_vocabulary.txt").touch()
    with pytest.raises(CheckpointError, match=r"found my_vocabulary\.txt, vocab-2016-09-10\.txt"):
        find_vocabulary(tmp_path)
    (tmp_path / "vocab.txt").touch()
    assert find_vocabulary(tmp_path) == tmp_path / "vocab.txt"
