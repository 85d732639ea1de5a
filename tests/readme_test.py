"""Runs the blocks of README and two of the docs; configurations and commands train little."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.allennlp_server import client
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEED = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
PRETRAINING = (ROOT / "docs" / "pretraining.md").read_text(encoding="utf-8")


def blocks_of(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


BLOCKS = blocks_of(README + SPEED)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the commands read, and the commands of this environment."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("fixtures", "training_configs"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / ".allennlp_plugins", folder)
    path = str(folder / "allennlp.socket")
    (folder / "bin").mkdir()
    for name in ("allennlp", "elmo"):
        script = folder / "bin" / name
        script.write_text(client(path))
        script.chmod(0o755)
    server = subprocess.Popen([sys.executable, "-m", "tests.allennlp_server", path], cwd=ROOT)
    while not os.path.exists(path):
        assert server.poll() is None
        time.sleep(0.1)
    yield folder
    server.terminate()
    server.wait()


def run(command: str, checkout: Path) -> str:
    """Runs commands in a shell with one epoch's training, and returns what they print."""
    few = '"trainer.num_epochs": 1, "dataset_reader.max_instances": 60'
    if " -o '{" in command:
        command = command.replace(" -o '{", f" -o '{{{few}, ")
    else:
        command = re.sub(r"(allennlp train \S+)", rf"\1 -o '{{{few}}}'", command)
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"export PATH='{checkout}/bin':$PATH\n{command}"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {name for name, _ in BLOCKS} == {"bash", "jsonnet", "python"}


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    exec(compile(code, "README.md", "exec"), {})


def test_make_has_the_targets() -> None:
    for target in re.findall(r"make ([a-z-]+)", "".join(blocks("bash"))):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_pip_installs_what_is_there() -> None:
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    section = setup.partition("[options.extras_require]")[2].partition("\n[")[0]
    extras = re.findall(r"^([a-z]+) =$", section, flags=re.M)
    named = {
        name
        for names in re.findall(r"elmo_components\[(.+?)\]", README)
        for name in names.split(",")
    }
    (table,) = re.findall(r"\| extra \|.+?\n\n", README, flags=re.S)
    for first_column in re.findall(r"^\| (`.+?) \|", table, flags=re.M):
        named |= set(re.findall(r"`([a-z]+)`", first_column))
    assert named <= set(extras)
    assert set(extras) - named == {"compare", "dev"}


def test_the_commands_of_the_first_project_run(checkout: Path) -> None:
    (block,) = (text for text in blocks("bash") if "elmo configs ner" in text)
    commands = [line for line in block.splitlines() if not line.startswith("pip install")]
    assert '"words": ["Ms.", "Haag", "plays"' in run("\n".join(commands), checkout)


def test_the_commands_that_need_no_allennlp_run(checkout: Path) -> None:
    (commands,) = (text for text in blocks("bash") if "elmo inspect --system" in text)
    printed = run(commands, checkout)
    assert "nothing is wrong with it" in printed and "auto chooses" in printed


def test_the_configuration_trains(checkout: Path) -> None:
    (checkout / "shown.jsonnet").write_text(blocks("jsonnet")[0])
    run("allennlp train shown.jsonnet -s output/shown", checkout)
    assert (checkout / "output" / "shown" / "model.tar.gz").exists()


def test_a_configuration_for_own_data_trains_predicts_and_evaluates(checkout: Path) -> None:
    (checkout / "mine.jsonnet").write_text(blocks("jsonnet")[1])
    (commands,) = (text for text in blocks("bash") if "mine.jsonnet" in text)
    printed = run(commands, checkout)
    assert '"words": ["Berlin", "is", "cold"]' in printed
    assert (checkout / "output" / "mine" / "model.tar.gz").exists()


def test_a_classifier_of_own_texts_trains_and_predicts(checkout: Path) -> None:
    (commands,) = (text for text in blocks("bash") if "tsv.jsonnet" in text)
    assert '"label": ' in run(commands, checkout)


def test_a_file_is_embedded(checkout: Path) -> None:
    (commands,) = (text for text in blocks("bash") if "elmo embed" in text)
    run(commands, checkout)
    assert (checkout / "output" / "vectors.hdf5").exists()


def test_pre_training_runs_as_it_is_told(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    names = iter(["own.jsonnet", "adapted.jsonnet", "distilled.jsonnet", "letters.jsonnet"])
    for language, text in blocks_of(PRETRAINING):
        if language == "jsonnet":
            (checkout / next(names)).write_text(text)
        elif language == "python":
            exec(compile(text, "pretraining.md", "exec"), {})
        else:
            run(text, checkout)
    assert next(names, None) is None
    for name in ("perplexity", "adapted"):
        assert json.loads((checkout / "output" / f"{name}.json").read_text())["perplexity"] > 1.0
    assert {path.name for path in (checkout / "output" / "export").iterdir()} == {
        "options.json",
        "vocab.txt",
        "weights.hdf5",
    }


def test_readme_s_pre_training_runs(checkout: Path) -> None:
    (commands,) = (text for text in blocks("bash") if "elmo export" in text)
    assert "words in output/vocabulary/vocab.txt" in run(commands, checkout)
