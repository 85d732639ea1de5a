"""A `Tokenizer` that needs no model of a language, only its rules."""

import spacy
from allennlp.common.checks import ConfigurationError
from allennlp.data.tokenizers import Token, Tokenizer

__all__ = ["SpacyBlankTokenizer"]


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
