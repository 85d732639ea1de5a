"""`Tokenizer`s that need no model of a language, only its rules."""

from collections.abc import Sequence

import spacy
from allennlp.common.checks import ConfigurationError
from allennlp.data.tokenizers import Token, Tokenizer

__all__ = ["JoinedTokenizer", "SpacyBlankTokenizer", "join_tokens"]

# What a token begins with that follows the one before without a space. OpenNMT has it so, too.
JOINER = "\uffed"
# What stands for a joiner of the text itself, which looks the same and is as rare.
SQUARE = "\u25a0"


@Tokenizer.register("spacy_blank")
class SpacyBlankTokenizer(Tokenizer):
    """
    Splits text by spaCy's rules for a language, `spacy.blank(language)`: nothing is downloaded.
    White space makes no tokens. Tokens know their place in the text.

    Registered as a `Tokenizer` with name "spacy_blank".

    # Parameters

    language : `str`
        spaCy's code of the language, such as "en", "de" or "xx" for many.
    """

    def __init__(self, language: str = "en") -> None:
        try:
            self._spacy = spacy.blank(language)
        except ImportError as error:
            raise ConfigurationError(f"spaCy has no rules for {language!r}: {error}") from error

    def tokenize(self, text: str) -> list[Token]:
        """Returns the tokens of `text`, with `idx` and `idx_end`, in characters."""
        return [
            Token(text=token.text, idx=token.idx, idx_end=token.idx + len(token.text))
            for token in self._spacy(text)
            if not token.is_space
        ]


@Tokenizer.register("spacy_blank_joined")
class JoinedTokenizer(SpacyBlankTokenizer):
    """
    Splits text as `SpacyBlankTokenizer` does, and marks each token before which there is no space.

    "Ja, dat is 'm." becomes `Ja`, `\uffed,`, `dat`, `is`, `'m`, `\uffed.`; `join_tokens` makes the
    text of it again. A model that writes such tokens so learns spaces and punctuation as it does
    words.

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
