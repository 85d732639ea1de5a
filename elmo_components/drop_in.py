"""
Importing this module replaces AllenNLP's ELMo by this package's implementation: configurations and
archives with "elmo_token_embedder" and "elmo_characters" run on it unmodified.

    allennlp train config.jsonnet -s output --include-package elmo_components.drop_in

`docs/drop_in.md` describes what stays the same and what differs.

`--include-package elmo_components` imports every module of the package, this one too. Then it does
nothing: it acts only when it is imported by its own name.
"""

import sys
from types import FrameType
from typing import Any, Optional


def _imported_with_the_package() -> bool:
    """Returns whether AllenNLP is importing this module as one of all the package's modules."""
    frame: Optional[FrameType] = sys._getframe()
    while frame is not None:
        walker = frame.f_code.co_name == "import_module_and_submodules"
        if walker and frame.f_locals.get("package_name") == __package__:
            return True
        frame = frame.f_back
    return False


def __getattr__(name: str) -> Any:
    # AllenNLP asks for the path of a module that it has just imported. This module is then removed
    # again, so that a later import by its own name runs it.
    if name == "__path__" and _imported_with_the_package():
        sys.modules.pop(__name__, None)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if not _imported_with_the_package():
    from elmo_components.registered.drop_in.elmo import install

    install()
