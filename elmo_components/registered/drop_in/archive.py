"""Finds the weights file of an archive from within the modules that AllenNLP builds from it."""

import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Optional, Union

from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.models.model import _DEFAULT_WEIGHTS, Model
from allennlp.nn.util import read_state_dict

from elmo_components.checkpoints.allennlp.fields import (
    ALLENNLP_NAMES,
    PUBLISHED,
    config_from_shapes,
)
from elmo_components.config import ElmoConfig

__all__ = ["STOCK_LOAD", "config_in", "load_model", "weights_to_come"]

# The method that `load_model` can replace.
STOCK_LOAD = Model.__dict__["load"]

_weights_file: ContextVar[Optional[Path]] = ContextVar("_weights_file", default=None)


def load_model(
    cls: type[Model],
    config: Params,
    serialization_dir: Union[str, os.PathLike],
    weights_file: Optional[Union[str, os.PathLike]] = None,
    cuda_device: int = -1,
) -> Model:
    """Calls `Model.load`; meanwhile `weights_to_come` returns the file of the model's weights."""
    token = _weights_file.set(Path(weights_file or Path(serialization_dir, _DEFAULT_WEIGHTS)))
    try:
        return STOCK_LOAD.__func__(cls, config, serialization_dir, weights_file, cuda_device)
    finally:
        _weights_file.reset(token)


def weights_to_come() -> Optional[Path]:
    """
    Returns the weights file that AllenNLP will load into the model under construction; `None` for
    a model that is not from an archive.
    """
    return _weights_file.get()


def config_in(weights: Path) -> ElmoConfig:
    """
    Returns the sizes of the ELMo in a model's weights. Settings that shapes do not tell are those
    of the published ELMos.

    # Raises

    `ConfigurationError` for no ELMo, or ELMos of different sizes.
    """
    state: dict[str, Any] = read_state_dict(weights)
    marker = ALLENNLP_NAMES.embedding
    prefixes = [name[: -len(marker)] for name in state if name.endswith(marker)]
    configs = {
        config_from_shapes(
            {
                name[len(prefix) :]: tensor.shape
                for name, tensor in state.items()
                if name.startswith(prefix)
            },
            PUBLISHED,
        )
        for prefix in prefixes
    }
    if len(configs) != 1:
        raise ConfigurationError(
            f"Without a readable options_file {weights} must have ELMos of one architecture; "
            f"found {len(configs)}, at {prefixes}. Set the options_file of each"
        )
    return configs.pop()
