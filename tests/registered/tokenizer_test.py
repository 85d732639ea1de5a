"""Tests of registered/tokenizer.py."""

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Tokenizer

import elmo_components.registered  # noqa: F401


def test_tokens_know_their_place_and_white_space_makes_none() -> None:
    text = " Mr. Díaz's  dog\tisn't\nhere. "
    tokens = Tokenizer.from_params(Params({"type": "spacy_blank"})).tokenize(text)
    assert [token.text for token in tokens] == [
        *("Mr.", "Díaz", "'s", "dog", "is", "n't", "here", "."),
    ]
    assert all(text[token.idx : token.idx_end] == token.text for token in tokens)


def test_other_languages_have_other_rules() -> None:
    german = Tokenizer.from_params(Params({"type": "spacy_blank", "language": "de"}))
    assert german.tokenize("z.B. am Nachmittag")[0].text == "z.B."


def test_a_language_that_spacy_has_not_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no rules for 'qq'"):
        Tokenizer.from_params(Params({"type": "spacy_blank", "language": "qq"}))


def test_no_text_has_no_tokens() -> None:
    tokenizer = Tokenizer.from_params(Params({"type": "spacy_blank"}))
    assert tokenizer.tokenize("") == tokenizer.tokenize(" \n\t") == []
