"""Holds who imports whom to the table of levels in docs/model.md."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "elmo_components"

# Folders, and the files of the root, lowest first: a file imports from its own folder and from
# levels below it. The files of the root on the lowest level import one another, without a circle.
# `integrations.hub` only downloads, so that checkpoints can come from there.
LEVELS = [
    {"alphabet", "caching", "characters", "config", "options", "version", "integrations.hub"},
    {"checkpoints", "kernels"},
    {"modules"},
    {"pretraining"},
    {"embedding"},
    {"corpora", "elmo", "inspection"},
    {"integrations"},
    {"demo", "ray"},
    {"commands"},
    # allennlp may be imported from here on only
    {"registered"},
]
FIRST_WITH_ALLENNLP = 9
# `elmo_components` itself, `drop_in` and `python -m elmo_components`, which import what they like
# and which nobody imports.
ABOVE = {"", "__main__", "drop_in"}
# A library outside this list may be imported nowhere, and those named in one place there only.
ONLY_IN = {
    "allennlp_models": {"registered.predictors.defaults", "registered.translation.seq2seq"},
    "adjustText": {"inspection.pictures"},
    "cached_path": {"checkpoints.download"},
    "gradio": {"demo.page"},
    "huggingface_hub": {"integrations.hub"},
    "h5py": {"checkpoints.bilm_tf.format", "checkpoints.untrusted.hdf5", "embedding.writers"},
    "matplotlib": {"inspection.pictures"},
    "fsspec": {"corpora.places"},
    "pyarrow": {
        "corpora.partition_job",
        "corpora.places",
        "embedding.records",
        "embedding.tables",
        "integrations.ray_data.batch_embedder",
        "integrations.ray_data.engine",
        "registered.tagged_corpus",
    },
    "ray": {"integrations.ray_data.engine", "integrations.ray_data.session"},
    "sacrebleu": {"registered.translation.bleu"},
    "safetensors": {"checkpoints.native", "caching.word_cache"},
    "sklearn": {"demo.uses", "inspection.word_uses"},
    "spacy": {
        "integrations.spacy.factories",
        "integrations.spacy.hooks",
        "integrations.spacy.sentences",
        "integrations.spacy.tok2vec",
        "integrations.spacy.vectors",
        "pretraining.tokenization",
        "registered.scored_tagger",
        "registered.spacy_tagger",
        "registered.token_indexers.lexicon",
    },
    "thinc": {"integrations.spacy.tok2vec"},
    "tqdm": {"commands.embed", "commands.vocabulary"},
}
ANYWHERE = {"numpy", "torch"}

PATHS = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> set[str]:
    """Returns the modules that a file imports, in full; of the package's own those that exist."""
    known = {f"elmo_components.{name_of(other)}".rstrip(".") for other in PATHS}
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= submodules or {str(node.module)}
    return found


def is_installed(library: str) -> bool:
    """Whether a library is none of Python's own."""
    spec = find_spec(library)
    # an extra need not be there
    return spec is None or "site-packages" in str(spec.origin)


def level_of(name: str) -> int:
    folder = name.partition(".")[0]
    if folder in ABOVE:
        return len(LEVELS)
    # a file may have a level of its own
    (level, *_) = (number for number, folders in enumerate(LEVELS) if {name, folder} & folders)
    return level


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_a_file_imports_from_lower_levels_only(path: Path) -> None:
    name = name_of(path)
    for imported in imports_of(path):
        library, _, inner = imported.partition(".")
        if library == "elmo_components":
            same = inner.partition(".")[0] == name.partition(".")[0]
            same |= {inner, name} <= LEVELS[0]
            assert same or level_of(inner) < level_of(name), f"{name} imports {imported}"
        elif library == "allennlp":
            assert level_of(name) >= FIRST_WITH_ALLENNLP, f"{name} imports {imported}"
        elif is_installed(library):
            allowed = name in ONLY_IN.get(library, set()) or library in ANYWHERE
            assert allowed, f"{name} imports {imported}"


def test_the_core_works_without_allennlp_and_importing_it_changes_nothing(fixtures: Path) -> None:
    code = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("allennlp", "allennlp_models", "spacy"):
            raise ModuleNotFoundError(name)

import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "allennlp" else find_spec(name)
sys.meta_path.insert(0, Refuse())
import logging, random, torch
before = torch.get_num_threads(), torch.initial_seed(), torch.get_default_dtype(), random.getstate()
handlers = list(logging.getLogger().handlers)
import elmo_components
elmo_components.Elmo
slow = {{"h5py", "matplotlib", "pyarrow", "ray", "sklearn", "spacy", "allennlp"}} & set(sys.modules)
assert not slow, f"import elmo_components imports {{slow}}"
after = torch.get_num_threads(), torch.initial_seed(), torch.get_default_dtype(), random.getstate()
assert before == after and handlers == logging.getLogger().handlers
elmo = elmo_components.Elmo.from_pretrained({str(fixtures / "models" / "tiny")!r})
assert elmo.embed([["It", "works"]])[0].shape == (3, 2, 16)
assert not any(name.startswith("elmo_components.registered") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_no_package_has_the_name_of_a_library() -> None:
    # AllenNLP's --include-package would import that library, with all packages in it
    names = {path.parent.name for path in PACKAGE.rglob("__init__.py")}
    assert names & set(ONLY_IN) == {"spacy"}
