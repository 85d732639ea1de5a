"""Tests of how the package and AllenNLP find each other, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# The package before AllenNLP, then AllenNLP's plug-in file, then `--include-package` of the package
# and of `drop_in`.
IN_EVERY_ORDER = """
import sys
import unittest.mock
import elmo_components
assert elmo_components.Elmo and "allennlp" not in sys.modules

from allennlp.common import plugins
from allennlp.common.util import import_module_and_submodules
from allennlp.commands.subcommand import Subcommand
from allennlp.data import DatasetReader, TokenIndexer
from allennlp.models import Model
from allennlp.modules import TokenEmbedder
from allennlp.modules.token_embedders import ElmoTokenEmbedder
from allennlp.predictors import Predictor

def is_stock():
    return TokenEmbedder.by_name("elmo_token_embedder") is ElmoTokenEmbedder

# without the half minute that importing all of AllenNLP takes; the file is read as ever
with unittest.mock.patch.object(plugins, "import_module_and_submodules"):
    plugins.import_plugins()
for base, name in (
    (TokenEmbedder, "elmo"), (TokenIndexer, "elmo_character_ids"), (DatasetReader, "elmo_columns"),
    (Model, "elmo_language_model"), (Predictor, "elmo_tagger"), (Subcommand, "elmo-embed"),
):
    assert name in base.list_available(), name
assert is_stock()

import_module_and_submodules("elmo_components")
assert "elmo_components.inspection.pictures" in sys.modules
assert "elmo_components.registered.drop_in.elmo" in sys.modules
assert is_stock(), "--include-package elmo_components must not replace AllenNLP's names"

import_module_and_submodules("elmo_components.drop_in")
assert not is_stock()

# a script may import it by name after all of the package
from elmo_components.registered.drop_in.elmo import uninstall
uninstall()
del sys.modules["elmo_components.drop_in"]
import_module_and_submodules("elmo_components")
assert is_stock()
import elmo_components.drop_in
assert not is_stock()
import_module_and_submodules("elmo_components")
assert not is_stock(), "what was asked for by name stays"
"""


def run(code: str, folder: Path, *paths: Path) -> "subprocess.CompletedProcess[str]":
    """Runs code in a new process, in a folder, with other folders before all on the path."""
    path = os.pathsep.join(map(str, [*paths, ROOT]))
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        capture_output=True,
    )


def test_each_way_to_name_the_package_registers_it_in_every_order(tmp_path: Path) -> None:
    (tmp_path / ".allennlp_plugins").write_text("elmo_components.registered\n")
    result = run(IN_EVERY_ORDER, tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]


def broken_allennlp(folder: Path, error: str) -> Path:
    package = folder / "allennlp"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "commands.py").write_text(f"raise {error}\n")
    return folder


@pytest.mark.parametrize(
    "error", ["ImportError('no numpy.core')", "ValueError('numpy.dtype size changed')"]
)
def test_a_broken_allennlp_breaks_the_plug_in_only_which_says_what_to_do(
    tmp_path: Path, error: str
) -> None:
    folder = broken_allennlp(tmp_path / "broken", error)
    code = "import allennlp, elmo_components; print(elmo_components.Elmo.__name__)"
    result = run(code, tmp_path, folder)
    assert result.stdout == "Elmo\n", result.stderr
    assert f"need allennlp, which cannot be imported: {error}" in result.stderr
    result = run("import elmo_components.registered", tmp_path, folder)
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("ImportError: The"))
    assert f"which cannot be imported: {error}" in line
    assert "pip install 'elmo_components[allennlp]'" in line


def test_without_allennlp_the_plug_in_says_so(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["allennlp"] = None
import importlib
try:
    importlib.import_module("elmo_components.registered")
except ImportError as error:
    print(error)
"""
    printed = run(code, tmp_path).stdout
    assert "need allennlp, which" in printed and "elmo_components[allennlp]" in printed


def test_every_module_of_the_core_is_imported_without_extras(tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, sys
extras = ("allennlp", "allennlp_models", "spacy", "h5py", "pyarrow", "matplotlib", "adjustText",
          "sklearn", "cached_path", "sacrebleu", "ray", "huggingface_hub", "gradio")
sys.modules.update(dict.fromkeys(extras))
import elmo_components
for module in pkgutil.walk_packages(
    elmo_components.__path__, "elmo_components.", onerror=lambda name: None
):
    folder, *names = module.name.split(".")[1:]
    name = names[-1] if names else folder
    # AllenNLP imports no private modules, and spaCy alone what is for spaCy
    if name.startswith("_") or ".integrations.spacy" in module.name:
        continue
    if folder not in ("registered", "drop_in"):
        importlib.import_module(module.name)
        print(module.name)
"""
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "elmo_components.commands.embed" in result.stdout.split()
