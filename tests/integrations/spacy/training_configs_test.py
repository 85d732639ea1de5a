"""Trains with every configuration for spaCy, loads the pipeline elsewhere, and scores it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.cli.evaluate import evaluate
from spacy.cli.train import train
from spacy.language import Language
from spacy.tokens import Doc, DocBin

import elmo_components.integrations.spacy.tok2vec  # noqa: F401
from tests.conftest import ROOT

# what spaCy 3.3 lacks
SMOOTHING = "label_smoothing = 0.05\n"
CONFIGS = sorted((ROOT / "training_configs" / "spacy").glob("*.cfg"))
TEXTS = ["Ana saw Oslo", ""]
DATA = {"tagger": "pos/{}.conllu", "ner": "ner/{}.conll"}


def rows(path: Path) -> Iterator[list[list[str]]]:
    """The columns of each sentence's words."""
    for sentence in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line.split("\t") for line in sentence.splitlines()]
        words = [line for line in lines if not line[0].startswith("#") and "-" not in line[0]]
        if words:
            yield words


def convert(task: str, part: str, folder: Path, *, number: int) -> str:
    """Writes a part of the fixtures in spaCy's format."""
    vocab = spacy.blank("en").vocab
    docs = DocBin()
    path = ROOT / "fixtures" / "data" / DATA[task].format(part)
    for words in list(rows(path))[:number]:
        if task == "ner":
            docs.add(Doc(vocab, words=[row[0] for row in words], ents=[row[1] for row in words]))
        else:
            docs.add(Doc(vocab, words=[row[1] for row in words], tags=[row[3] for row in words]))
    docs.to_disk(folder / f"{task}-{part}.spacy")
    return str(folder / f"{task}-{part}.spacy")


def readable(path: Path, folder: Path) -> Path:
    """A copy that the installed spaCy can read, as the configuration tells users to make it."""
    text = path.read_text(encoding="utf-8")
    if "label_smoothing" not in Language.get_factory_meta("tagger").default_config:
        text = text.replace(SMOOTHING, "")
    (folder / path.name).write_text(text, encoding="utf-8")
    return folder / path.name


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda path: path.stem)
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, fixtures: Path
) -> Any:
    """A configuration's task, a pipeline trained with it, and its development set."""
    task, folder = request.param.stem, tmp_path_factory.mktemp("trained")
    shutil.copytree(fixtures / "models" / "tiny", folder / "elmo")
    overrides: dict[str, Any] = {
        "paths.train": convert(task, "train", folder, number=60),
        "paths.dev": convert(task, "dev", folder, number=20),
        "components.tok2vec.model.embed.model": str(folder / "elmo"),
        "training.max_steps": 4,
        "training.eval_frequency": 2,
    }
    train(readable(request.param, folder), folder / "trained", overrides=overrides)
    # the pipeline needs neither
    shutil.rmtree(folder / "elmo")
    shutil.move(folder / "trained" / "model-last", folder / "moved")
    return task, folder / "moved", Path(overrides["paths.dev"])


def test_a_configuration_trains_a_pipeline_that_is_evaluated(trained: Any) -> None:
    task, pipeline, data = trained
    scores = evaluate(str(pipeline), data, gold_preproc=True)
    assert 0.0 <= scores["ents_f" if task == "ner" else "tag_acc"] <= 1.0


def test_a_trained_pipeline_is_the_same_in_another_process(trained: Any) -> None:
    task, pipeline, _ = trained
    if task == "ner":
        pytest.skip("one of them is enough, since a process takes seconds to start")
    code = f"""
import elmo_components.integrations.spacy.tok2vec
import spacy
print([[token.tag_ for token in doc] for doc in spacy.load({str(pipeline)!r}).pipe({TEXTS})])
"""
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert printed.returncode == 0, printed.stderr
    here = [[token.tag_ for token in doc] for doc in spacy.load(pipeline).pipe(TEXTS)]
    assert printed.stdout.strip() == str(here) and all(here[0])


def test_the_tagger_learns(tmp_path: Path) -> None:
    # it is 0.95 after 100 steps, and 0.2 if the most frequent tag is always said
    overrides: dict[str, Any] = {
        "paths.train": convert("tagger", "train", tmp_path, number=1000),
        "paths.dev": convert("tagger", "dev", tmp_path, number=1000),
        "training.max_steps": 100,
        "training.eval_frequency": 100,
    }
    (path,) = (path for path in CONFIGS if path.stem == "tagger")
    train(readable(path, tmp_path), tmp_path, overrides=overrides)
    assert spacy.load(tmp_path / "model-best").meta["performance"]["tag_acc"] > 0.8


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_header_gives_data_command_and_result(path: Path) -> None:
    header = "".join(line for line in path.open() if line.startswith("#"))
    for part in ("Data:", f"spacy train training_configs/spacy/{path.name}", "Measured:"):
        assert part in header, f"{path.name} must say {part!r}"
