"""Tests of embed.py."""

import json
import re
from pathlib import Path

import h5py
import numpy
import pytest

from elmo_components.commands import embed
from elmo_components.elmo import Elmo
from tests.closeness import assert_close
from tests.commands.running import run

TEXT = "The bank of the river\nA bank , na\u00efve\nThe bank of the river\n"
LINES = [line.split() for line in TEXT.splitlines()]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def command(model: Path, *arguments: object) -> None:
    run(embed, *arguments, "--weight-file", model)


@pytest.mark.parametrize("layers", ["all", "top", "average"])
def test_hdf5_is_laid_out_as_allennlp_elmo_did(
    tiny: Elmo, tiny_folder: Path, text: Path, tmp_path: Path, layers: str
) -> None:
    command(tiny_folder, text, tmp_path / "a.hdf5", f"--{layers}")
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
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--top", "--batch-size", 2, "--cuda-device", -1, "--file-friendly-logging"]
    options += ["--vocab-path", "words.txt", "--options-file", tiny_folder / "options.json"]
    weights = tiny_folder / "weights.hdf5"
    command(weights, text, tmp_path / "a", *options, "--forget-sentences")
    with h5py.File(tmp_path / "a") as file:
        assert set(file) == {"0", "1", "2"}
    printed = capsys.readouterr()
    assert f"3 sentences in {tmp_path / 'a'}" in printed.out
    # a line for each state of the bar, and no control characters
    assert "\r" not in printed.err and re.search(r"3/3 .* sentences/s", printed.err)

    keys = [*options, "--use-sentence-keys"]
    with pytest.raises(ValueError, match=r"line 3: this sentence came before"):
        command(weights, text, tmp_path / "b", *keys)
    command(weights, text, tmp_path / "b", *keys, "--duplicates", "skip")
    with h5py.File(tmp_path / "b") as file:
        assert set(file) == {*TEXT.splitlines()}


def test_exactly_one_choice_of_layers_must_be_made(
    tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    for options in ([], ["--all", "--top"], ["--average", "--layer", "1"]):
        with pytest.raises(SystemExit):
            command(tiny_folder, text, tmp_path / "a.hdf5", *options)


def test_weights_pooling_rounding_and_fields_are_options(
    tiny: Elmo, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("\n".join(json.dumps({"words": line}) for line in LINES[:2]) + "\n{\n\n")
    options = ["--field", "words", "--empty-lines", "skip"]
    choice = ["--layer-weights", "0.2,0.5,-1", "--pooling", "max", "--float16"]
    with pytest.raises(SystemExit) as ended:
        command(tiny_folder, source, tmp_path / "a.npz", *choice, *options)
    assert ended.value.code == 3
    assert "1 sentences failed and are left out" in capsys.readouterr().out
    with numpy.load(tmp_path / "a.npz") as file:
        assert set(file.files) == {"0", "1", "sentence_to_index"}
        for key, line in zip("01", LINES):
            # (3, tokens, 16)
            layers = tiny.embed([line])[0]
            expected = (0.2 * layers[0] + 0.5 * layers[1] - layers[2]).max(axis=0)
            assert file[key].dtype == numpy.float16
            numpy.testing.assert_allclose(file[key], expected, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match=r"a\.jsonl, line 3: must be JSON"):
        command(tiny_folder, source, tmp_path / "b.npz", "--strict", "--top", *options)


def test_mistakes_are_errors(tiny_folder: Path, text: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.hdf5"
    for arguments, message in (
        ([tmp_path / "nowhere", output, "--all"], "There is no file"),
        ([text, tmp_path / "no" / "a", "--all"], "There is no folder"),
        ([text, output, "--layer", 3], "must be from 0 to 2"),
        ([text, output, "--layer-weights", "1,x,2"], "must be numbers separated by commas"),
        ([text, output, "--all", "--cuda-device", 99], "the number of one of .*; found 99"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            command(tiny_folder, *arguments)
    with pytest.raises((ValueError, OSError), match="nowhere"):
        command(tmp_path / "nowhere.hdf5", text, output, "--all")
    command(tiny_folder, text, output, "--all")
    with pytest.raises(FileExistsError, match="Use --force to replace it"):
        command(tiny_folder, text, output, "--all")
    command(tiny_folder, text, output, "--top", "--force")
