"""
A patch that lets AllenNLP 2.10.1 build tokenizers of newer transformers, applied on import.

AllenNLP passes `add_special_tokens` to a tokenizer's constructor, and again to each call that needs
it. From transformers 4.4x on, the constructor refuses the argument, so every configuration with
`pretrained_transformer` or `pretrained_transformer_mismatched` ends in `AttributeError:
add_special_tokens conflicts with the method add_special_tokens`.
"""

import logging
from typing import Any

from allennlp.common import cached_transformers

__all__ = ["get_tokenizer_without_special_tokens"]

logger = logging.getLogger(__name__)

# the function that `get_tokenizer_without_special_tokens` replaces
_get_tokenizer = cached_transformers.get_tokenizer


def get_tokenizer_without_special_tokens(model_name: str, **settings: Any) -> Any:
    """
    Calls `cached_transformers.get_tokenizer` without `add_special_tokens`.

    # Parameters

    model_name : `str`
        A transformer's name or folder.
    """
    settings.pop("add_special_tokens", None)
    return _get_tokenizer(model_name, **settings)


def _tokenizers_refuse_add_special_tokens() -> bool:
    tokenizer: Any = cached_transformers.transformers.PreTrainedTokenizerBase
    try:
        tokenizer(add_special_tokens=True)
    except AttributeError:
        return True
    # other errors of the abstract class
    except (NotImplementedError, TypeError, ValueError):
        return False
    return False


if _tokenizers_refuse_add_special_tokens():
    logger.info("Patching AllenNLP: tokenizers of transformers without add_special_tokens")
    cached_transformers.get_tokenizer = get_tokenizer_without_special_tokens
