"""Holds the reference to the public names, and runs the code of the first page."""

import ast
import re
from types import ModuleType

import pytest

import elmo_components
from elmo_components import checkpoints, kernels
from tests.conftest import ROOT
from tests.docs_script import load
from tests.readme_test import blocks_of

DOCS = ROOT / "docs"
REFERENCE = "\n".join(
    page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md"))
)
ENTRIES = set(re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE))


@pytest.mark.parametrize("module", [elmo_components, checkpoints, kernels])
def test_the_reference_has_every_public_name(module: ModuleType) -> None:
    names = {entry.rpartition(".")[2] for entry in ENTRIES}
    missing = {name for name in module.__all__ if not name.startswith("__")} - names
    assert not missing, f"Add to docs/reference: {', '.join(sorted(missing))}"


def test_each_entry_is_where_the_reference_says() -> None:
    for entry in sorted(ENTRIES):
        module, _, name = entry.rpartition(".")
        path = ROOT.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        body = ast.parse(path.read_text(encoding="utf-8")).body
        defined = {node.name for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        for node in body:
            if isinstance(node, ast.Assign):
                defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        assert name in defined, f"{entry} is not defined in {path}"


def test_the_reference_has_every_registered_class() -> None:
    found = load("site/registered").registered_classes()
    source = (ROOT / "elmo_components" / "registered" / "__init__.py").read_text(encoding="utf-8")
    (names,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    assert set(names) <= {entry.path.rpartition(".")[2] for entry in found}
    assert ("TokenEmbedder", "elmo") in {(entry.kind, entry.name) for entry in found}
    # a name by a constant
    assert ("TokenEmbedder", "elmo_for_two_places") in {(entry.kind, entry.name) for entry in found}
    for entry in found:
        shown = f"::: {entry.path}\n" in load("site/registered").reference_of(found)
        assert shown == (entry.kind != "Subcommand")


def test_the_page_of_commands_is_up_to_date() -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert page == load("site/commands").page(), "Run python docs/site/commands.py"


def test_the_first_page_s_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = (
        text
        for language, text in blocks_of((DOCS / "index.md").read_text(encoding="utf-8"))
        if language == "python"
    )
    names: dict = {}
    exec(compile(code, "index.md", "exec"), names)
    assert f"print(vectors.shape)  # {names['vectors'].shape}" in code
