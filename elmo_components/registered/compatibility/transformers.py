"""
A mend of AllenNLP 2.10.1 on today's transformers, applied when this module is imported.

AllenNLP asks for a tokenizer with `add_special_tokens`, which it says again in every call that it
matters to. From transformers 4.4x on, a tokenizer refuses to be made with it, as it has a method
of that name, so that every configuration with a `pretrained_transformer` or
`pretrained_transformer_mismatched` ends in `AttributeError: add_special_tokens conflicts with the
method add_special_tokens`.
"""

from typing import Any

from allennlp.common import cached_transformers

__all__ = ["get_tokenizer_as_it_comes"]

# The original is kept, because `get_tokenizer_as_it_comes` takes its place.
_get_tokenizer = cached_transformers.get_tokenizer


def get_tokenizer_as_it_comes(model_name: str, **settings: Any) -> Any:
    """
    Returns what `cached_transformers.get_tokenizer` does, made without `add_special_tokens`.

    # Parameters

    model_name : `str`
        A transformer's name or folder.
    """
    settings.pop("add_special_tokens", None)
    return _get_tokenizer(model_name, **settings)


cached_transformers.get_tokenizer = get_tokenizer_as_it_comes
