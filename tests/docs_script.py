"""Imports the scripts below docs/, which are no package."""

import importlib.util
from types import ModuleType

from tests.conftest import ROOT


def load(name: str) -> ModuleType:
    """Returns the module of `docs/NAME.py`."""
    path = ROOT / "docs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
