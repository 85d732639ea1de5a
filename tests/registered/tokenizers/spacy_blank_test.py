"""Tests of registered/tokenizer.py."""

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Tokenizer

import elmo_components.registered  # noqa: F401
from elmo_components.registered.tokenizers.spacy_blank import (
    JoinedTokenizer,
    SpacyBlankTokenizer,
    join_tokens,
)


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


TEXTS = [
    "Ja, dat is 'm.",
    'Er sagte: "Saftig-grünes Gras (z.B. hier)!" -- und ging...',
    "don't  stop\tnow\n",
    "« Oui », 3,5 % of $40? a/b.",
    "",
]


@pytest.mark.parametrize("language", ["en", "de", "nl"])
@pytest.mark.parametrize("text", TEXTS)
def test_joined_tokens_are_the_text_again_but_for_the_width_of_spaces(
    text: str, language: str
) -> None:
    tokens = JoinedTokenizer(language).tokenize(text)
    assert join_tokens([token.text for token in tokens]) == " ".join(text.split())
    bare = SpacyBlankTokenizer(language).tokenize(text)
    assert [token.text.lstrip("\uffed") for token in tokens] == [token.text for token in bare]
    assert [token.idx for token in tokens] == [token.idx for token in bare]


def test_a_joined_token_is_marked_where_no_space_is_before_it() -> None:
    tokenizer = Tokenizer.from_params(Params({"type": "spacy_blank_joined", "language": "nl"}))
    tokens = tokenizer.tokenize("Ja, dat is het.")
    assert [token.text for token in tokens] == ["Ja", "\uffed,", "dat", "is", "het", "\uffed."]


def test_joiners_that_the_text_has_do_not_join() -> None:
    tokens = JoinedTokenizer("en").tokenize("a \uffed b")
    assert join_tokens([token.text for token in tokens]) == "a \u25a0 b"


def test_joiners_at_the_start_leave_no_trace() -> None:
    assert join_tokens(["\uffed.", "So", "\uffed."]) == ". So."
