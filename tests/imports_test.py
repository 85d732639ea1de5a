"""Holds who imports whom to the table of levels in docs/model.md."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "elmo_components"

# Lowest first; a module may import only from levels below its own.
LEVELS = [
    {"alphabet"},
    {"options"},
    {
        "config",
        "checkpoints.pickle_program",
        "corpus",
        "fingerprint",
        "highway",
        "kernels.engines",
        "kernels.steps",
        "mixes",
        "npz_stream",
        "scalar_mix",
        "spool",
        "vector_choice",
    },
    {
        "characters",
        "checkpoints.checkpoint",
        "checkpoints.json_text",
        "checkpoints.parameters",
        "kernels.packed",
        "kernels.products",
        "pictures",
        "sentence_files",
        "vector_files",
        "word_cache",
    },
    {
        "char_cnn",
        "checkpoints.allennlp_contextualizer",
        "checkpoints.allennlp_names",
        "checkpoints.allennlp_vocabulary",
        "checkpoints.archive_files",
        "checkpoints.bilm_tf_fields",
        "checkpoints.download",
        "checkpoints.hdf5_file",
        "checkpoints.many_langs_files",
        "checkpoints.zip_members",
        "checkpoints.native",
        "kernels.call",
        "vocabulary",
    },
    {
        "checkpoints.names",
        "checkpoints.many_langs_fields",
        "checkpoints.pickled_tensors",
        "checkpoints.vocabulary_file",
        "kernels.cpu_forward",
        "kernels.reference",
        "softmax",
    },
    {
        "checkpoints.allennlp_archive",
        "checkpoints.bilm_tf",
        "checkpoints.many_langs",
        "kernels.cpu_training",
    },
    {"kernels.cpu"},
    {"kernels"},
    {"lstm"},
    {"bilm", "checkpoints"},
    {"embed", "inspection", "language_model", "layer_cache"},
    {"elmo", "embed_settings"},
    {"embed_file", "neighbours"},
    # allennlp may be imported from here on only
    {
        "registered.allennlp_on_torch2",
        "registered.allennlp_on_transformers",
        "registered.beam_constraint",
        "registered.bleu",
        "registered.command_parser",
        "registered.destination",
        "registered.drop_in_archive",
        "registered.drop_in_parameters",
        "registered.embedder",
        "registered.encoder",
        "registered.indexer",
        "registered.labelled_lines_reader",
        "registered.perplexity",
        "registered.reader",
        "registered.softmax",
        "registered.tokenizer",
        "registered.vocabulary_command",
        "registered.word_in_context",
        "registered.word_in_context_predictor",
        "registered.word_in_context_reader",
    },
    {
        "registered.corpus_reader",
        "registered.drop_in_bilm",
        "registered.embed_command",
        "registered.inspect_command",
        "registered.language_model",
        "registered.parallel_reader",
        "registered.predictor",
        "registered.seq2seq",
        "registered.two_places",
    },
    {
        "registered.callbacks",
        "registered.convert_command",
        "registered.drop_in_elmo",
        "registered.export_command",
        "registered.translator",
    },
    {"registered"},
    {"", "drop_in"},
]
FIRST_WITH_ALLENNLP = 14
# A library outside this list may be imported nowhere, and those named in one place there only.
ONLY_IN = {
    "allennlp_models": {"registered.seq2seq"},
    "cached_path": {"checkpoints.download"},
    "h5py": {"checkpoints.bilm_tf", "checkpoints.hdf5_file", "vector_files"},
    "matplotlib": {"pictures"},
    "pyarrow": {"sentence_files", "vector_files"},
    "sacrebleu": {"registered.bleu"},
    "safetensors": {"checkpoints.native", "word_cache"},
    "spacy": {"registered.tokenizer"},
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
    (level,) = (number for number, names in enumerate(LEVELS) if name in names)
    return level


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_a_file_imports_from_lower_levels_only(path: Path) -> None:
    name = name_of(path)
    for imported in imports_of(path):
        library, _, inner = imported.partition(".")
        if library == "elmo_components":
            assert level_of(inner) < level_of(name), f"{name} imports {imported}"
        elif library == "allennlp":
            assert level_of(name) >= FIRST_WITH_ALLENNLP, f"{name} imports {imported}"
        elif is_installed(library):
            allowed = name in ONLY_IN.get(library, set()) or library in ANYWHERE
            assert allowed, f"{name} imports {imported}"


def test_every_file_has_a_level_and_every_level_its_files() -> None:
    names = [name for level in LEVELS for name in level]
    assert sorted(names) == sorted(name_of(path) for path in PATHS)


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
after = torch.get_num_threads(), torch.initial_seed(), torch.get_default_dtype(), random.getstate()
assert before == after and handlers == logging.getLogger().handlers
elmo = elmo_components.Elmo.from_pretrained({str(fixtures / "models" / "tiny")!r})
assert elmo.embed([["It", "works"]])[0].shape == (3, 2, 16)
assert not any(name.startswith("elmo_components.registered") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)
