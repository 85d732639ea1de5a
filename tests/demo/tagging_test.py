"""Tests the tagger behind the page, with a pipe of the tests and with a real archive."""

import sys
from pathlib import Path

import pytest

from elmo_components.demo.tagging import MAX_CHARACTERS, Piece, TextTagger, load_tagger
from tests.demo.pipes import entity_pipeline, tag_pipeline

TEXT = " Ada met Bob,\n Ada left."


def test_the_pieces_are_the_text_with_entities_and_their_probabilities() -> None:
    pieces = TextTagger(entity_pipeline())(TEXT)
    assert "".join(piece.text for piece in pieces) == TEXT
    assert [piece for piece in pieces if piece.label] == [
        Piece("Ada", "person", 0.75),
        Piece("Bob", "person", 0.75),
        Piece("Ada", "person", 0.75),
    ]


def test_tags_label_each_token() -> None:
    pieces = TextTagger(tag_pipeline())("Ada left")
    assert pieces == [Piece("Ada", "X", 0.5), Piece(" "), Piece("left", "X", 0.5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Enter a text"),
        (" \n\t", "Enter a text"),
        ("a" * (MAX_CHARACTERS + 1), "at most 10,000 characters; found 10,001"),
    ],
)
def test_an_empty_and_a_huge_text_are_errors(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextTagger(entity_pipeline())(text)


def test_a_real_archive_labels_a_text(fixtures: Path) -> None:
    pytest.importorskip("allennlp")
    tagger = load_tagger(fixtures / "before" / "tagger.tar.gz", language="en")
    text = "Ms. Haag plays Elianti in New York ."
    pieces = tagger(text)
    assert "".join(piece.text for piece in pieces) == text
    labelled = [piece for piece in pieces if piece.label]
    assert labelled
    for piece in labelled:
        assert piece.score is not None
        assert 0.0 <= piece.score <= 1.0


def test_a_missing_archive_and_other_files_are_one_line(fixtures: Path, tmp_path: Path) -> None:
    pytest.importorskip("allennlp")
    with pytest.raises(FileNotFoundError, match=r"no archive .*nothing.tar.gz. Give the model.tar"):
        load_tagger(tmp_path / "nothing.tar.gz", language="en")
    (tmp_path / "text").write_text("text")
    whole = (fixtures / "before" / "tagger.tar.gz").read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    language_model = fixtures / "before" / "language_model.tar.gz"
    wrong = (tmp_path / "text", tmp_path, language_model, tmp_path / "half.tar.gz")
    for path in wrong:
        with pytest.raises(ValueError, match="cannot be used") as caught:
            load_tagger(path, language="en")
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_unknown_language_is_an_error(fixtures: Path) -> None:
    with pytest.raises(ValueError, match=r"'klingon', which must be a code"):
        load_tagger(fixtures / "before" / "tagger.tar.gz", language="klingon")


def test_a_missing_spacy_names_the_extra(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ValueError, match=r"spaCy: pip install 'elmo_components\[spacy\]'"):
        load_tagger(fixtures / "before" / "tagger.tar.gz", language="en")
