"""`Tokenizer`s that need no model of a language, only its rules."""

from collections.abc import Sequence

from allennlp.common.checks import ConfigurationError
from allennlp.data.tokenizers import Token, Tokenizer

from elmo_components.pretraining.tokenization import SpacyRules

__all__ = ["JoinedTokenizer", "SpacyBlankTokenizer", "join_tokens"]

# The first character of a token that follows the last one without a space, as in OpenNMT.
JOINER = "\uffed"
# Replaces a joiner in the text itself: it looks the same and is as rare.
SQUARE = "\u25a0"


@Tokenizer.register("spacy_blank")
class SpacyBlankTokenizer(Tokenizer):
    """
    Splits text by spaCy's rules for a language, `spacy.blank(language)`, and downloads nothing.
    White space is no token.

    Registered as a `Tokenizer` with name "spacy_blank".

    # Parameters

    language : `str`
        spaCy's code of the language, such as "en", "de" or "xx" for many.
    """

    def __init__(self, language: str = "en") -> None:
        try:
            self._rules = SpacyRules(language)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    def tokenize(self, text: str) -> list[Token]:
        """Returns the tokens of `text`, with `idx` and `idx_end`, in characters."""
        spans = self._rules.spans(text)
        return [Token(text=text[start:end], idx=start, idx_end=end) for start, end in spans]


@Tokenizer.register("spacy_blank_joined")
class JoinedTokenizer(SpacyBlankTokenizer):
    """
    Splits text as `SpacyBlankTokenizer` does, and marks each token that follows without a space.

    "Ja, dat is 'm." becomes `Ja`, `\uffed,`, `dat`, `is`, `'m`, `\uffed.`, which `join_tokens`
    reverses. So a model that writes tokens also learns where to put spaces.

    Registered as a `Tokenizer` with name "spacy_blank_joined".

    # Parameters

    language : `str`
        spaCy's code of the language. See `SpacyBlankTokenizer`.
    """

    def tokenize(self, text: str) -> list[Token]:
        """Returns the tokens of `text`, with `idx` and `idx_end`, in characters."""
        tokens = super().tokenize(text.replace(JOINER, SQUARE))
        for before, token in zip(tokens, tokens[1:]):
            if token.idx == before.idx_end:
                token.text = f"{JOINER}{token.text}"
        return tokens


def join_tokens(tokens: Sequence[str]) -> str:
    """Returns the text of tokens that `JoinedTokenizer` made, with single spaces in it."""
    return " ".join(tokens).replace(f" {JOINER}", "").replace(JOINER, "")
