"""Tests of configs.py, examples.py and starting_point.py."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from elmo_components.commands import configs as command
from elmo_components.commands import examples
from elmo_components.commands.configs import write
from elmo_components.commands.examples import Configuration, configurations, find_configuration
from elmo_components.commands.starting_point import files_of
from tests.commands.running import run
from tests.conftest import ROOT

ALL = configurations()


def evaluated(file: str) -> Any:
    jsonnet = pytest.importorskip("_jsonnet", reason="Jsonnet comes with AllenNLP")
    return json.loads(jsonnet.evaluate_file(file))


def test_every_configuration_is_listed_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    run(command)
    printed = capsys.readouterr().out
    paths = sorted((ROOT / "training_configs").glob("*/*.jsonnet"))
    assert [one.path for one in ALL] == paths
    for one in ALL:
        (line,) = (line for line in printed.splitlines() if line.startswith(f"  {one.name} "))
        assert line.endswith(one.summary)
        assert len(one.summary) > 20 and one.summary.count(". ") == one.summary.count("al. ")
    assert len({one.name for one in ALL}) == len(ALL)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_each_is_written_whole_and_means_the_same(
    one: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(command, one.name, tmp_path / "project")
    expected = evaluated(str(one.path))
    monkeypatch.chdir(tmp_path / "project")
    found = evaluated(one.path.name)
    for key in [key for key in found if key.endswith("_data_path")]:
        place, original = Path(found.pop(key)), Path(expected.pop(key))
        assert place.parts[0] == "data"
        if original.is_file():
            assert place.read_bytes() == original.read_bytes()
        else:
            assert {file.name for file in place.iterdir()} == {
                file.name for file in original.iterdir()
            }
    vocabulary = found.get("vocabulary", {}).get("directory")
    if vocabulary:
        assert Path(vocabulary, "vocab.txt").exists()
        expected["vocabulary"]["directory"] = vocabulary
    assert found == expected
    assert Path(".allennlp_plugins").read_text() == "elmo_components.registered\n"
    for file in Path().rglob("*"):
        if file.suffix in (".jsonnet", ".libsonnet", ".md"):
            text = file.read_text(encoding="utf-8")
            for name in ("fixtures", "training_configs/", "--include-package", "elmo-", str(ROOT)):
                assert name not in text.replace("elmo-vectors", ""), (file, name)
    readme = Path("README.md").read_text(encoding="utf-8")
    assert f"allennlp train {one.path.name} -s output\n" in readme
    assert Path("requirements.txt").read_bytes() == (ROOT / "requirements.txt").read_bytes()
    (test,) = {word for word in readme.split() if word.startswith("data/test")}
    assert Path(test).exists()


def test_names_may_have_their_task_and_suffix() -> None:
    for name in ("ner", "tagging/ner", "ner.jsonnet", "training_configs/tagging/ner.jsonnet"):
        assert find_configuration(name).path.name == "ner.jsonnet"
    assert find_configuration("srl/conll2012").task == "srl"


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("ner_en", "did you mean ner_de, ner_zh, ner"),
        ("conll2012", r"did you mean coref/conll2012, srl/conll2012\?"),
        ("srl", r"did you mean srl/conll2012"),
        ("tagging", "did you mean columns, ner"),
        ("qqqqqqq", "none is like it"),
    ],
)
def test_an_unknown_name_lists_those_that_are_alike(name: str, close: str) -> None:
    with pytest.raises(ValueError, match=f"no configuration '{name}'; .*{close}"):
        find_configuration(name)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "ner.jsonnet").write_text("mine")
    with pytest.raises(FileExistsError, match=r"already has ner\.jsonnet, and nothing is over"):
        run(command, "ner", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ner.jsonnet"]
    (tmp_path / "other.txt").touch()
    (tmp_path / "ner.jsonnet").unlink()
    run(command, "ner", tmp_path)
    assert (tmp_path / "ner.jsonnet").exists() and (tmp_path / "other.txt").exists()
    with pytest.raises(NotADirectoryError, match="is a file"):
        run(command, "ner", tmp_path / "other.txt")


def test_without_a_folder_it_has_the_configuration_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(command, "srl/conll2012")
    assert Path("srl_conll2012", "conll2012.jsonnet").exists()
    assert "cd 'srl_conll2012' && allennlp train conll2012.jsonnet" in capsys.readouterr().out


def test_a_package_without_examples_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "PACKAGE", tmp_path / "elmo_components")
    with pytest.raises(FileNotFoundError, match="Reinstall elmo_components"):
        configurations()


def test_a_wheel_has_the_same_examples(tmp_path: Path) -> None:
    # what the wheel's archive is made from
    script = (
        "import sys; from setuptools import setup\n"
        "sys.argv = ['setup.py', '-q', 'build_py', '--build-lib', sys.argv[1]]\n"
        "exec(open('setup.py').read())"
    )
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in (
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "requirements.txt",
    ):
        os.symlink(ROOT / name, clone / name)
    for name in ("elmo_components", "training_configs", "fixtures"):
        os.symlink(ROOT / name, clone / name)
    built = tmp_path / "built"
    subprocess.run(
        [sys.executable, "-c", script, str(built)], cwd=clone, check=True, capture_output=True
    )
    folder = built / "elmo_components" / "examples"
    assert (folder / "requirements.txt").read_bytes() == (ROOT / "requirements.txt").read_bytes()
    for name in ("training_configs", "fixtures/data"):
        wanted = {
            path.relative_to(ROOT)
            for path in (ROOT / name).rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc") and path.name[0] != "."
        }
        found = {path.relative_to(folder) for path in (folder / name).rglob("*") if path.is_file()}
        assert found == wanted


@pytest.mark.skipif(not importlib.util.find_spec("allennlp"), reason="needs AllenNLP")
def test_what_is_written_trains_with_nothing_of_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import allennlp_models.tagging  # noqa: F401
    from allennlp.commands.train import train_model
    from allennlp.common import Params

    import elmo_components.registered  # noqa: F401

    write(files_of(find_configuration("ner")), tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    opened: list[str] = []
    watching = True
    sys.addaudithook(
        lambda event, values: (
            opened.append(str(values[0])) if watching and event == "open" else None
        )
    )
    few = {"dataset_reader.max_instances": 20, "trainer.num_epochs": 1}
    train_model(Params.from_file("ner.jsonnet", json.dumps(few)), "output")
    watching = False
    assert Path("output", "model.tar.gz").exists()
    of_the_clone = [
        path
        for path in opened
        if path.startswith((str(ROOT / "training_configs"), str(ROOT / "fixtures")))
    ]
    assert of_the_clone == [] and "data/train.conll" in opened
