"""
ELMo for plain PyTorch and for AllenNLP.

`Elmo` is the model. The public names are imported at their first use, so the commands that need no
torch start at once. `import elmo_components.registered` registers the AllenNLP components.
"""

import importlib
import logging
import sys
from typing import TYPE_CHECKING, Any

from elmo_components.version import __version__

if TYPE_CHECKING:
    from elmo_components.caching.layer_cache import LayerCache
    from elmo_components.characters import CharacterMapper
    from elmo_components.checkpoints import Checkpoint, CheckpointError
    from elmo_components.config import ElmoConfig
    from elmo_components.elmo import Elmo
    from elmo_components.embedding.file_job import embed_file
    from elmo_components.modules.bilm import BiLm
    from elmo_components.modules.char_cnn import CharCnn
    from elmo_components.modules.lstm import ElmoLstm
    from elmo_components.modules.scalar_mix import ScalarMix

__all__ = [
    "BiLm",
    "CharCnn",
    "CharacterMapper",
    "Checkpoint",
    "CheckpointError",
    "Elmo",
    "ElmoConfig",
    "ElmoLstm",
    "LayerCache",
    "ScalarMix",
    "__version__",
    "embed_file",
]

# The modules that define the public names.
_MODULES = {
    "BiLm": "modules.bilm",
    "CharCnn": "modules.char_cnn",
    "CharacterMapper": "characters",
    "Checkpoint": "checkpoints",
    "CheckpointError": "checkpoints",
    "Elmo": "elmo",
    "ElmoConfig": "config",
    "ElmoLstm": "modules.lstm",
    "LayerCache": "caching.layer_cache",
    "ScalarMix": "modules.scalar_mix",
    "embed_file": "embedding.file_job",
}
# Folders and files that are reached as attributes after `import elmo_components`.
_SUBMODULES = ("characters", "checkpoints", "config", "elmo", "kernels", "modules", "options")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})


def _register() -> None:
    """Registers the AllenNLP components, for a plug-in file that names this package."""
    try:
        importlib.import_module(f"{__name__}.registered")
    # a broken AllenNLP may raise anything, and ELMo without AllenNLP must work all the same
    except Exception as error:  # noqa: BLE001
        logging.getLogger(__name__).warning("No AllenNLP components are registered: %s", error)


# In AllenNLP's process, where its plug-in mechanism imports the packages that it is told.
if "allennlp" in sys.modules:
    _register()
