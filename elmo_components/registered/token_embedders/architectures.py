"""Architectures of biLMs by name, as numbers, or from a file of options."""

import json
from collections.abc import Mapping
from typing import Any, Optional, Union

from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary

from elmo_components import checkpoints
from elmo_components.checkpoints import CheckpointError
from elmo_components.checkpoints.architectures import ARCHITECTURES, NAMESPACE
from elmo_components.checkpoints.names import SHIPPED
from elmo_components.config import ElmoConfig

__all__ = ["read_architecture"]


def read_architecture(
    architecture: Union[str, Mapping[str, Any]], vocab: Optional[Vocabulary] = None
) -> ElmoConfig:
    """
    Returns the numbers of an architecture.

    # Parameters

    architecture : `Union[str, Mapping[str, Any]]`
        The name of a known model, the path of a published `options.json`, or its contents.
    vocab : `Optional[Vocabulary]`
        Stores the numbers of a file, so that the archive of a model does not need the file.

    # Raises

    `ConfigurationError` for numbers that no biLM can have and for a file that cannot be read.
    """
    if isinstance(architecture, str):
        if architecture in ARCHITECTURES:
            return ARCHITECTURES[architecture]
        architecture = _from_file(architecture, vocab)
    try:
        return ElmoConfig.from_options(architecture)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _from_file(path: str, vocab: Optional[Vocabulary]) -> Mapping[str, Any]:
    if vocab is not None:
        for token in vocab.get_token_to_index_vocabulary(NAMESPACE):
            if token.startswith("{"):
                stored = json.loads(token)
                if stored["path"] == path:
                    return stored["options"]
    try:
        # the alphabet of "chinese" is in the checkpoint alone
        config = (
            checkpoints.load(path).config if path in SHIPPED else checkpoints.read_options(path)
        )
        options = config.to_options()
    except (FileNotFoundError, CheckpointError) as error:
        names = ", ".join(dict.fromkeys([*SHIPPED, *ARCHITECTURES]))
        raise ConfigurationError(
            f"architecture must be one of {names}, a file of options, or their numbers; found "
            f"{path!r}: {error}"
        ) from error
    if vocab is not None:
        vocab.add_token_to_namespace(json.dumps({"path": path, "options": options}), NAMESPACE)
    return options
