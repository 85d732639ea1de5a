"""Tests of tokenization.py."""

import pickle
import sys

import pytest

from elmo_components.pretraining.tokenization import SpacyRules, split_of


def test_lines_are_split_at_spaces_and_into_characters() -> None:
    line = " The cat's \u00a0mat.\n"
    assert split_of("just_spaces")(line) == ["The", "cat's", "mat."]
    assert split_of("character")(" ab\u3000c\n") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("spacy_blank", "The cat's mat.", ["The", "cat", "'s", "mat", "."]),
        ('{"type": "spacy_blank", "language": "de"}', "z.B. am Tag", ["z.B.", "am", "Tag"]),
        ("spacy_blank", "10\u00a0000 \udce4", ["10", "000", "\udce4"]),
    ],
)
def test_spacy_s_rules_split_lines(name: str, line: str, words: list[str]) -> None:
    pytest.importorskip("spacy")
    assert split_of(name)(line) == words


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spaci", "must be one of just_spaces, character, spacy_blank.*found 'spaci'"),
        ('{"type": "character", "byte_encoding": "utf-8"}', "`allennlp elmo-vocabulary` takes"),
        ("{", "must be a name or JSON"),
    ],
)
def test_other_tokenizers_are_errors(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_of(name)


def test_a_missing_language_and_a_missing_spacy_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("spacy")
    with pytest.raises(ValueError, match="no rules for 'qq'"):
        SpacyRules("qq")
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ValueError, match=r"pip install 'elmo_components\[spacy\]'"):
        SpacyRules("en")


def test_rules_are_pickled_for_the_workers_of_a_data_loader() -> None:
    pytest.importorskip("spacy")
    rules = pickle.loads(pickle.dumps(SpacyRules("en")))
    assert rules.spans("a b") == [(0, 1), (2, 3)]
