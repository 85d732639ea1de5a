"""Tests of registered/embed_command.py, and of the commands in docs/embedding.md."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy
import pytest
from allennlp.commands import main
from allennlp.commands.subcommand import Subcommand
from allennlp.common import logging as common_logging
from allennlp.common.checks import ConfigurationError

import elmo_components.registered
from elmo_components.elmo import Elmo
from elmo_components.registered.commands.embed import FAILURES
from tests.closeness import assert_close
from tests.conftest import ROOT

TEXT = "The bank of the river\nA bank , na\u00efve\nThe bank of the river\n"
LINES = [line.split() for line in TEXT.splitlines()]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def command(monkeypatch: pytest.MonkeyPatch, model: Path, *arguments: object) -> None:
    arguments = (*arguments, "--weight-file", model)
    monkeypatch.setattr(sys, "argv", ["allennlp", "elmo-embed", *map(str, arguments)])
    main("allennlp")


@pytest.mark.parametrize("layers", ["all", "top", "average"])
def test_hdf5_is_laid_out_as_allennlp_elmo_did(
    tiny: Elmo,
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layers: str,
) -> None:
    command(monkeypatch, tiny_folder, text, tmp_path / "a.hdf5", f"--{layers}")
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert set(file) == {"0", "1", "2", "sentence_to_index"}
        for key, line in zip("012", LINES):
            # (3, tokens, 16)
            expected = tiny.embed([line])[0]
            if layers != "all":
                expected = expected[-1] if layers == "top" else numpy.average(expected, axis=0)
            assert file[key].dtype == numpy.float32
            assert_close(file[key][()], expected)
        index = file["sentence_to_index"]
        assert index.shape == (1,) and h5py.check_string_dtype(index.dtype).length is None
        assert json.loads(index[0]) == {"The bank of the river": "2", "A bank , na\u00efve": "1"}


def test_all_options_of_allennlp_elmo_are_taken(
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("bank\nriver\n")
    monkeypatch.setattr(common_logging, "FILE_FRIENDLY_LOGGING", False)
    options = ["--top", "--batch-size", 2, "--cuda-device", -1, "--file-friendly-logging"]
    options += ["--vocab-path", words, "--options-file", tiny_folder / "options.json"]
    options += ["--include-package", "elmo_components"]
    weights = tiny_folder / "weights.hdf5"
    command(monkeypatch, weights, text, tmp_path / "a", *options, "--forget-sentences")
    with h5py.File(tmp_path / "a") as file:
        assert set(file) == {"0", "1", "2"}
    assert common_logging.FILE_FRIENDLY_LOGGING
    assert f"3 sentences in {tmp_path / 'a'}" in capsys.readouterr().out

    keys = [*options, "--use-sentence-keys"]
    with pytest.raises(ConfigurationError, match=r"line 3: .* must come once"):
        command(monkeypatch, weights, text, tmp_path / "b", *keys)
    command(monkeypatch, weights, text, tmp_path / "b", *keys, "--duplicates", "skip")
    with h5py.File(tmp_path / "b") as file:
        assert set(file) == {*TEXT.splitlines()}


def test_one_and_only_one_choice_of_layers_must_be_made(
    tiny_folder: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options in ([], ["--all", "--top"], ["--average", "--layer", "1"]):
        with pytest.raises(SystemExit):
            command(monkeypatch, tiny_folder, text, tmp_path / "a.hdf5", *options)


def test_what_more_was_asked_for(
    tiny: Elmo,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("\n".join(json.dumps({"words": line}) for line in LINES[:2]) + "\n{\n\n")
    options = ["--layer-weights", "0.2,0.5,-1", "--pooling", "max", "--float16", "--field", "words"]
    with pytest.raises(SystemExit) as ended:
        command(
            monkeypatch,
            tiny_folder,
            source,
            tmp_path / "a.npz",
            *options,
            "--empty-lines",
            "skip",
        )
    assert ended.value.code == FAILURES
    assert "1 sentences failed, and are left out" in capsys.readouterr().out
    with numpy.load(tmp_path / "a.npz") as file:
        assert set(file.files) == {"0", "1", "sentence_to_index"}
        for key, line in zip("01", LINES):
            # (3, tokens, 16)
            layers = tiny.embed([line])[0]
            expected = (0.2 * layers[0] + 0.5 * layers[1] - layers[2]).max(axis=0)
            assert file[key].dtype == numpy.float16
            numpy.testing.assert_allclose(file[key], expected, rtol=1e-3, atol=1e-5)
    with pytest.raises(ConfigurationError, match=r"a\.jsonl, line 3: must be JSON"):
        command(
            monkeypatch, tiny_folder, source, tmp_path / "b.npz", "--strict", "--top", *options[-2:]
        )


def test_mistakes_are_configuration_errors(
    tiny_folder: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.hdf5"
    for arguments, message in (
        ([tmp_path / "nowhere", output, "--all"], "There is no file"),
        ([text, tmp_path / "no" / "a", "--all"], "There is no folder"),
        ([text, output, "--layer", 3], "must be from 0 to 2"),
        ([text, output, "--layer-weights", "1,x,2"], "must be numbers, with commas between"),
        ([text, output, "--all", "--cuda-device", 99], "must be a GPU's number or -1; found 99"),
        ([text, output, "--all", "--vocab-path", tmp_path / "nowhere"], "nowhere"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            command(monkeypatch, tiny_folder, *arguments)
    with pytest.raises(ConfigurationError, match="nowhere"):
        command(monkeypatch, tmp_path / "nowhere.hdf5", text, output, "--all")
    command(monkeypatch, tiny_folder, text, output, "--all")
    with pytest.raises(ConfigurationError, match="--force replaces it"):
        command(monkeypatch, tiny_folder, text, output, "--all")
    command(monkeypatch, tiny_folder, text, output, "--top", "--force")


def test_progress_is_shown_in_sentences_and_help_has_examples(
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(monkeypatch, tiny_folder, text, tmp_path / "a.hdf5", "--all")
    assert re.search(r"3/3 .* sentences/s", capsys.readouterr().err)
    monkeypatch.setattr(sys, "argv", ["allennlp", "elmo-embed", "--help"])
    with pytest.raises(SystemExit):
        main("allennlp")
    assert "allennlp elmo-embed sentences.txt vectors.hdf5 --all" in capsys.readouterr().out


def test_importing_the_package_registers_the_command() -> None:
    assert Subcommand.by_name("elmo-embed") is elmo_components.registered.EmbedCommand


def test_the_commands_of_the_documentation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    ran = 0
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", page, flags=re.M | re.S):
        if language == "python":
            exec(compile(block, "embedding.md", "exec"), {})
            continue
        for line in block.replace("\\\n", " ").splitlines():
            before, name, embed = line.rpartition("allennlp elmo-embed")
            if not name:
                subprocess.run(["bash", "-euc", line], check=True)
                continue
            arguments = shlex.split(embed)
            piped = before.strip().rstrip("|").strip()
            with open(tmp_path / "piped", "w+b") as standard_input:
                if piped:
                    subprocess.run(["bash", "-euc", piped], check=True, stdout=standard_input)
                    standard_input.seek(0)
                monkeypatch.setattr(sys, "stdin", standard_input)
                monkeypatch.setattr(sys, "argv", ["allennlp", "elmo-embed", *arguments])
                main("allennlp")
            assert Path(arguments[1]).exists()
            ran += 1
    assert ran >= 4
