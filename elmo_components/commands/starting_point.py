"""Makes the files of a folder in which one training configuration trains with nothing else."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from elmo_components.commands.examples import DATA, PINS, Configuration, examples_folder

__all__ = ["files_of"]

# The names in the new folder.
DATA_FOLDER, OUTPUT, ARCHIVE = "data", "output", "output/model.tar.gz"
PLUGINS = {".allennlp_plugins": b"elmo_components.registered\n"}

IMPORT = re.compile(r"(import(?:str)? ')([^']+)'")
# `elmo.fixtures + '/data/ner/train.conll'`: the data set and the path in it
DATA_PATH = re.compile(r"elmo\.fixtures \+ '/data/(\w+)/([^']+)'")
# What a clone's texts say of paths, and what the folder's say.
TEXTS = (
    (r"allennlp elmo-(?=\w)", "elmo "),
    (r"(allennlp train) training_configs/\S+/(\S+) -s \S+", rf"\1 \2 -s {OUTPUT}"),
    (r"output/\w+/model\.tar\.gz", ARCHIVE),
    (r" --include-package elmo_components\b", ""),
    (r"'training_configs/\w+/", "'"),
    (r"training_configs/(\w+) makes", r"a configuration of \1 makes"),
    (r"(?<=[.] )fixtures/data/\w+", f"The folder {DATA_FOLDER}"),
    (r"\bfixtures/data/\w+", f"the folder {DATA_FOLDER}"),
    (r"\bthe fixtures\b", "the example data"),
    (r"\b[Tt]he fixtures\b|\bFixtures\b", "The example data"),
    (r"\b(docs|benchmarks)/", r"elmo_components' \1/"),
)
# What predicts, by the name of the configuration or its task. What has none here says in its header
# what AllenNLP's own predictor needs.
INPUTS = {
    "tagging": ("Ms. Haag plays Elianti in New York .", "elmo_tagger"),
    "ner_de": ("Ada wohnt in Berlin .", "elmo_tagger"),
    "ner_zh": ("\u6211\u4f4f\u5728\u5317\u4eac\u3002", "elmo_tagger"),
    "classification": ("The room was cold and dark .", "elmo_classifier"),
    "wic": (
        '{"first": "They run .", "second": "Run !", "first_index": 1, "second_index": 0}',
        "elmo_word_in_context",
    ),
    "translation": ("A dog is running .", "elmo_translator"),
    "tatoeba": ("Een hond rent .", "elmo_translator"),
    "entailment": (
        '{"premise": "Ada sold a kettle .", "hypothesis": "Nobody sold a kettle ."}',
        None,
    ),
    "reading": ('{"passage": "Ada sold a kettle in Brink.", "question": "Who sold it?"}', None),
}
# allennlp-models' own, which has no biLM to export
WITHOUT_EXPORT = "contextualizer"


def files_of(configuration: Configuration) -> dict[str, bytes]:
    """
    Returns the contents of the files, by their paths in the folder: the configuration and what it
    imports, its data, a README, AllenNLP's list of plug-ins, and the pins for today's Pythons.
    """
    chosen = configuration.path
    texts = {path: path.read_text(encoding="utf-8") for path in _imported(chosen)}
    files = {**PLUGINS, PINS: (examples_folder() / PINS).read_bytes()}
    data = _data_paths(texts.values())
    for name, place in dict.fromkeys(data):
        files.update(_data(examples_folder() / DATA / name, place))
    for path, text in texts.items():
        if path != chosen:
            text = _without_header(text, chosen.name)
        files[path.name] = _rewritten(text).encode()
    test = next(place for _, place in data if "test" in place)
    files["README.md"] = _readme(configuration, f"{DATA_FOLDER}/{test}").encode()
    return dict(sorted(files.items()))


def _data_paths(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Returns the data of the nearest file that has test data, and of those nearer."""
    data: list[tuple[str, str]] = []
    for text in texts:
        data += DATA_PATH.findall(text)
        if any("test" in path for _, path in data):
            break
    return data


def _imported(path: Path) -> Iterator[Path]:
    """Yields a Jsonnet file and, nearest first, what it imports, apart from data."""
    found = [path]
    for file in found:
        for _, name in IMPORT.findall(_code(file.read_text(encoding="utf-8"))):
            imported = (file.parent / name).resolve()
            if examples_folder().resolve() / DATA not in imported.parents and imported not in found:
                found.append(imported)
    yield from found


def _code(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("//"))


def _data(folder: Path, path: str) -> dict[str, bytes]:
    """Returns a file of a data set, and what belongs to it, or all files below a folder."""
    place = folder / path
    if place.is_dir():
        found = [file for file in place.rglob("*") if file.is_file()]
    else:
        # the labels of train.data.txt are in train.gold.txt
        found = [*place.parent.glob(f"{place.name.split('.')[0]}.*")]
    return {
        f"{DATA_FOLDER}/{file.relative_to(folder).as_posix()}": file.read_bytes()
        for file in found
        if not file.name.startswith(".")
    }


def _without_header(text: str, importer: str) -> str:
    """Returns a file's text with the first paragraph of its header only."""
    header, _, rest = text.partition("\n//\n")
    if not header.startswith("//") or "\n// Data:" not in f"\n{rest}":
        return text
    while rest.startswith("//"):
        rest = rest.partition("\n")[2]
    return (
        f"{header}\n//\n// {importer} imports it and sets other data where it has its own.\n{rest}"
    )


def _rewritten(text: str) -> str:
    """Returns a Jsonnet file's text for the new folder, where all files are beside one another."""
    # the folder of the clone's data, and what finds it
    text = re.sub(r"// The folder of this file.*?\n\n", "", text, flags=re.S)
    text = re.sub(r"  // Where the small data sets[^\n]*\n  fixtures:[^\n]*\n\n", "", text)
    text = DATA_PATH.sub(rf"'{DATA_FOLDER}/\2'", text)
    text = re.sub(rf"'[./]*fixtures/{DATA_FOLDER}/\w+/", f"'{DATA_FOLDER}/", text)
    for pattern, replacement in TEXTS:
        text = re.sub(pattern, replacement, text)
    return IMPORT.sub(lambda found: f"{found[1]}{_beside(found[2])}'", text)


def _beside(path: str) -> str:
    return path if path.startswith(f"{DATA_FOLDER}/") else path.rpartition("/")[2]


def _readme(configuration: Configuration, test: str) -> str:
    file = configuration.path.name
    header = "\n".join(configuration.header)
    # such as NLTK_DATA=$PWD
    variable = (re.findall(r"^ *(\w+=\S+ )allennlp train", header, flags=re.M) or [""])[0]
    commands = [
        f"{variable}allennlp train {file} -s {OUTPUT}",
        *_predicting(configuration),
        f"{variable}allennlp evaluate {ARCHIVE} {test}",
    ]
    extras = "allennlp,translation" if configuration.task == "translation" else "allennlp"
    package = f"elmo_components[{extras}]"
    own = (
        f"Your own data: replace the files in `{DATA_FOLDER}`, or change their paths in `{file}`. "
        "Its header says how they are read."
    )
    if configuration.task == "language_model" and configuration.path.stem != WITHOUT_EXPORT:
        options = " --tokenizer character --alphabet 6000" if "alphabet" in header else ""
        own += (
            f" Then count their words: `elmo vocabulary {DATA_FOLDER}/train.txt "
            f"--output {DATA_FOLDER}/vocabulary --force{options}`."
        )
    block = "\n".join(commands)
    return (
        f"# {configuration.name}\n\n{configuration.summary}\n\nIt needs AllenNLP: with Python "
        f"3.10 to 3.13 `pip install --no-deps -r {PINS}`, in an environment\nthat has "
        "elmo_components; or, with Python 3.9 or 3.10 and AllenNLP's own pins, `pip install "
        f"'{package}'`.\nThen, in this folder:\n\n```bash\n{block}\n```\n\n{own}\n\n"
        f"`{file}` is yours to change; `elmo.libsonnet` has the parts that it is built from.\n"
        "`.allennlp_plugins` makes AllenNLP load elmo_components.\n"
    )


def _predicting(configuration: Configuration) -> list[str]:
    """Returns the command that uses what was trained."""
    task, name = configuration.task, configuration.path.stem
    if task == "language_model":
        command = f"elmo export {ARCHIVE} elmo.safetensors"
        return [] if name == WITHOUT_EXPORT else [command]
    given: Optional[tuple[str, Optional[str]]] = INPUTS.get(name, INPUTS.get(task))
    if given is None:
        return []
    text, predictor = given
    named = f" --predictor {predictor}" if predictor else ""
    return [f"echo '{text}' | allennlp predict {ARCHIVE} -{named}"]
