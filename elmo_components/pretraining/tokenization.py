"""Splits lines into words without AllenNLP: at spaces, into characters, or by spaCy's rules."""

import json
import re
from collections.abc import Callable
from typing import Any

__all__ = [
    "SPACY_BLANK",
    "TOKENIZERS",
    "WHITE_SPACE",
    "SpacyRules",
    "Split",
    "settings_of",
    "split_of",
]

# Splits a line into words.
Split = Callable[[str], list[str]]

WHITE_SPACE, CHARACTERS, SPACY_BLANK = "just_spaces", "character", "spacy_blank"
# Under AllenNLP's names, or ours. AllenNLP has more.
TOKENIZERS = (WHITE_SPACE, CHARACTERS, SPACY_BLANK)

# spaCy takes no lone surrogate, such as Python's for a byte of standard input that is not UTF-8.
SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def split_of(tokenizer: str) -> Split:
    """
    Returns the function that splits a line, given the name of a tokenizer or its JSON.

    >>> split_of("character")("ab c")
    ['a', 'b', 'c']

    # Parameters

    tokenizer : `str`
        One of `TOKENIZERS`, or JSON such as `{"type": "spacy_blank", "language": "de"}`.

    # Raises

    `ValueError` for another tokenizer, a language that spaCy does not have, and without spaCy.
    """
    settings = settings_of(tokenizer)
    name, language = settings.pop("type", None), None
    if name == SPACY_BLANK:
        language = settings.pop("language", "en")
    if name not in TOKENIZERS or settings:
        raise ValueError(
            f"--tokenizer must be one of {', '.join(TOKENIZERS)}, or JSON such as "
            f'{{"type": "spacy_blank", "language": "de"}}; found {tokenizer!r}. '
            "`allennlp elmo-vocabulary` takes AllenNLP's other tokenizers"
        )
    if name == WHITE_SPACE:
        return str.split
    if name == CHARACTERS:
        return lambda line: [character for character in line if not character.isspace()]
    rules = SpacyRules(str(language))
    # white space in a token, such as a no-break space, splits it
    return lambda line: " ".join(rules.words(line)).split()


class SpacyRules:
    """
    Splits a text by spaCy's rules for a language. Nothing is downloaded.

    # Parameters

    language : `str`
        spaCy's code, such as "en", "de" or "xx" for many.

    # Raises

    `ValueError` for a language that spaCy does not have, and without spaCy.
    """

    def __init__(self, language: str) -> None:
        spacy = _spacy()
        try:
            # a pipeline with a tokenizer only
            self.pipeline: Any = spacy.blank(language)
        except ImportError as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"spaCy has no rules for {language!r}, which must be a code such as en, de or zh: "
                f"{reason}"
            ) from error

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Returns the tokens' beginnings and ends, in characters. White space is no token."""
        document = self.pipeline(SURROGATE.sub(REPLACEMENT, text))
        return [
            (token.idx, token.idx + len(token.text)) for token in document if not token.is_space
        ]

    def words(self, text: str) -> list[str]:
        """Returns the tokens."""
        return [text[start:end] for start, end in self.spans(text)]


def settings_of(tokenizer: str) -> dict[str, Any]:
    """
    Returns the parameters of a tokenizer, given its name or its JSON; "type" is its name.

    # Raises

    `ValueError` for broken JSON.
    """
    if not tokenizer.lstrip().startswith("{"):
        return {"type": tokenizer}
    try:
        return dict(json.loads(tokenizer))
    except ValueError as error:
        raise ValueError(
            f"--tokenizer must be a name or JSON; found {tokenizer!r}: {error}"
        ) from error


def _spacy() -> Any:
    try:
        import spacy
    except ModuleNotFoundError as error:
        raise ValueError(
            "Tokens by the rules of a language need spaCy: pip install 'elmo_components[spacy]'"
        ) from error
    return spacy
