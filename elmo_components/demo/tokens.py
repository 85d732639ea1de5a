"""Splits text into tokens with spaCy's rules for a language."""

from collections.abc import Callable
from typing import Any

__all__ = ["blank_pipeline", "splitter"]


def blank_pipeline(language: str) -> Any:
    """
    Returns spaCy's pipeline of a language with a tokenizer only, which needs no download.

    # Raises

    `ValueError` for a language that spaCy does not know, and without spaCy.
    """
    try:
        import spacy
    except ImportError as error:
        raise ValueError(
            f"The demo needs {error.name}: pip install 'elmo_components[demo]'"
        ) from error

    try:
        return spacy.blank(language)
    # its error for an unknown code, or for a language that needs another library
    except ImportError as error:
        raise ValueError(
            f"spaCy cannot split the language {language!r}. --language must be a code such as en, "
            f"de or zh: {str(error).partition(chr(10))[0]}"
        ) from error


def splitter(language: str) -> Callable[[str], list[str]]:
    """Returns a function that splits a sentence into tokens. Errors are as in `blank_pipeline`."""
    pipeline = blank_pipeline(language)
    return lambda sentence: [token.text for token in pipeline(sentence) if not token.is_space]
