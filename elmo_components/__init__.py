"""
ELMo for AllenNLP and for plain PyTorch.

`Elmo` is the model; importing this package also registers its AllenNLP components, where AllenNLP
is installed.
"""

from importlib.util import find_spec

from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint, CheckpointError
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from elmo_components.lstm import ElmoLstm
from elmo_components.scalar_mix import ScalarMix

__all__ = [
    "CharacterMapper",
    "Checkpoint",
    "CheckpointError",
    "Elmo",
    "ElmoConfig",
    "ElmoLstm",
    "ScalarMix",
]

# AllenNLP's `--include-package elmo_components` imports all that it finds in the first folder of
# this list, here none: `drop_in`, which makes AllenNLP's names mean ours, is to be asked for.
__path__.insert(0, f"{__path__[0]}/nothing")

if find_spec("allennlp") is not None:
    # AllenNLP's plugin mechanism imports a package by its name and looks no further
    import elmo_components.registered  # noqa: F401
