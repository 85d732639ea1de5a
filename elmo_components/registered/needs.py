"""Imports AllenNLP and allennlp-models first, so that one error says what is wrong with them."""

import importlib

__all__ = ["import_allennlp"]

# Modules that the components import, and what installs them.
NEEDED = {"allennlp.commands": "allennlp", "allennlp_models.generation": "allennlp-models"}


def import_allennlp() -> None:
    """
    Imports what the components need of AllenNLP.

    # Raises

    `ImportError`, which says what cannot be imported, why, and what to do.
    """
    for module, distribution in NEEDED.items():
        try:
            importlib.import_module(module)
        # an installation whose versions do not fit may raise anything
        except Exception as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == module.split(".")[0]
            problem = "is not installed" if missing else f"cannot be imported: {error!r}"
            raise ImportError(
                f"The AllenNLP components of elmo_components need {distribution}, which {problem}. "
                "Install AllenNLP in a new environment: with Python 3.9 or 3.10, pip install "
                "'elmo_components[allennlp]'; with a later Python, as elmo_components' README says "
                "under Install. `Elmo` and the command `elmo` do not need it"
            ) from error
