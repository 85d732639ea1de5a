"""
ELMo for plain PyTorch and for AllenNLP.

`Elmo` is the model. In a process that has imported AllenNLP, as its commands have, importing this
package also registers the AllenNLP components; elsewhere `import elmo_components.registered` does.
"""

import sys
from typing import TYPE_CHECKING, Any

from elmo_components.caching.layer_cache import LayerCache
from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint, CheckpointError
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.char_cnn import CharCnn
from elmo_components.modules.lstm import ElmoLstm
from elmo_components.modules.scalar_mix import ScalarMix

if TYPE_CHECKING:
    from elmo_components.embedding.file_job import embed_file

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
    "embed_file",
]

# AllenNLP's `--include-package elmo_components` imports all that it finds in the first folder of
# this list, here none: `drop_in`, which makes AllenNLP's names mean ours, is to be asked for.
__path__.insert(0, f"{__path__[0]}/nothing")

if "allennlp" in sys.modules:
    # AllenNLP's plugin mechanism imports a package by its name and looks no further
    import elmo_components.registered  # noqa: F401


def __getattr__(name: str) -> Any:
    # `embed_file` brings readers and writers that `import elmo_components` can do without
    if name == "embed_file":
        from elmo_components.embedding.file_job import embed_file

        return embed_file
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
