"""Tests of inspect.py."""

import json
import shutil
import sys
from pathlib import Path

import h5py
import pytest

from elmo_components.checkpoints import load
from elmo_components.commands import inspect
from elmo_components.commands.inspect import report_of
from elmo_components.elmo import Elmo
from elmo_components.inspection.mixes import Mix
from elmo_components.inspection.report import Inspection
from elmo_components.inspection.word_uses import find_occurrences, nearest, word_vectors
from tests.checkpoints.untrusted.hostile_models import archive_members, packed
from tests.commands.running import run

TEXT = "the bank of the river\nThe Bank lent it\nno such word\na bank to bank on\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "text.txt"


def command(*arguments: object) -> None:
    run(inspect, *arguments)


def test_a_whole_file_is_described(capsys: pytest.CaptureFixture[str], tiny_folder: Path) -> None:
    command(tiny_folder)
    printed = capsys.readouterr().out
    for line in (
        "format: bilm_tf",
        "  lstm.cell_size               16",
        "  char_cnn.filters             ((1, 4), (2, 8), (3, 12))",
        "  lstm.forward_layers           2,432",
        "softmax: none",
        "languages: not said",
        "nothing is wrong with it",
    ):
        assert line in printed.splitlines()
    assert "parameters: 8,7" in printed and "0.0 MB in float32" in printed


def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str], fixtures: Path) -> None:
    command(fixtures / "models" / "tiny.safetensors", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == "native" and found["problems"] == []
    assert found["config"]["lstm"]["hidden_size"] == 8
    assert found["num_parameters"] == sum(found["parameters"].values())


@pytest.mark.parametrize("name", ["tiny.safetensors", "many_langs/words_and_characters"])
def test_options_are_written_for_a_configuration(fixtures: Path, tmp_path: Path, name: str) -> None:
    model, options = fixtures / "models" / name, tmp_path / "options.json"
    command(model, "--write-options", options)
    text = options.read_text(encoding="utf-8")
    assert json.loads(text) == load(model).config.to_options()
    with pytest.raises((ValueError, OSError), match="exists"):
        command(model, "--write-options", options)
    assert options.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("as_json", [True, False])
def test_where_something_is_wrong_the_exit_status_is_1(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    tiny_folder: Path,
    as_json: bool,
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        del file["CNN_high_0/b_carry"]
    with pytest.raises(SystemExit) as end:
        command(folder, *(["--json"] if as_json else []))
    assert end.value.code == 1
    printed = capsys.readouterr().out
    assert "CNN_high_0/b_carry is missing" in printed and "nothing is wrong" not in printed
    if as_json:
        assert len(json.loads(printed)["problems"]) == 1


def test_mixes_problems_and_remarks_are_reported() -> None:
    report = report_of(
        Inspection(
            "model.tar.gz",
            "allennlp_archive",
            languages=("Norwegian",),
            scripts={"LATIN": 1200, "GREEK": 2},
            mixes=(Mix("embedder.scalar_mixes.0", 1.5, (0.25, 0.5, 0.25)),),
            problems=("one", "two"),
            remarks=("three",),
        )
    )
    assert report.splitlines() == [
        "model.tar.gz",
        "format: allennlp_archive",
        "languages: Norwegian",
        "letters: LATIN 1,200, GREEK 2",
        "mix embedder.scalar_mixes.0: gamma 1.5000, layers 0.2500  0.5000  0.2500",
        "remark: three",
        "wrong: one",
        "wrong: two",
    ]


def test_a_words_uses_are_listed_with_the_nearest_others(
    capsys: pytest.CaptureFixture[str],
    tiny: Elmo,
    tiny_folder: Path,
    text: Path,
) -> None:
    command(tiny_folder, "--word", "bank", "--text", text, "--neighbours", 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0::2] == [
        "   1  the [bank] of the river",
        "   2  a [bank] to bank on",
        "   3  a bank to [bank] on",
    ]
    uses = find_occurrences(map(str.split, TEXT.splitlines()), "bank", limit=9)
    for line, ((other, cosine),) in zip(
        lines[1::2], nearest(word_vectors(tiny.bilm, uses, layer="top"), number=1)
    ):
        assert line == f"      {cosine:6.3f}  {other + 1:4}  {uses[other].marked(width=12)}"


def test_layer_limit_case_and_json_are_options(
    capsys: pytest.CaptureFixture[str],
    tiny_folder: Path,
    text: Path,
) -> None:
    options = ("--word", "BANK", "--text", text, "--json", "--uncased", "--layer", 0, "--limit", 2)
    command(tiny_folder, *options)
    found = json.loads(capsys.readouterr().out)
    assert (found["word"], found["layer"]) == ("BANK", "0")
    first, second = found["occurrences"]
    assert first["tokens"][first["place"]] == "bank" and second["tokens"][second["place"]] == "Bank"
    assert len(first["point"]) == 2 and [use["occurrence"] for use in first["neighbours"]] == [1]


def test_a_words_uses_are_drawn(tiny_folder: Path, tmp_path: Path, text: Path) -> None:
    pytest.importorskip("adjustText", reason="the extra `plot` is not installed")
    picture = tmp_path / "bank.png"
    command(tiny_folder, "--word", "bank", "--text", text, "--plot", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_archives_mixes_are_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("adjustText", reason="the extra `plot` is not installed")
    archive, picture = tmp_path / "model.tar.gz", tmp_path / "mixes.svg"
    archive.write_bytes(packed(archive_members(legacy=False)))
    command(archive, "--plot", picture)
    assert "gamma 1.0000, layers 0.5000  0.5000" in capsys.readouterr().out
    assert "<svg" in picture.read_text()


def test_mistakes_are_errors(tiny_folder: Path, tmp_path: Path, text: Path) -> None:
    for arguments, message in (
        ((tmp_path / "nowhere",), "nowhere"),
        ((tiny_folder, "--word", "bank"), "must be given together"),
        ((tiny_folder, "--text", text), "must be given together"),
        (
            (tiny_folder, "--word", "bank", "--text", text, "--write-options", "o"),
            "cannot be given together",
        ),
        ((tiny_folder, "--word", "banks", "--text", text), "is in no sentence"),
        ((tiny_folder, "--word", "bank", "--text", tmp_path / "no.txt"), r"no\.txt"),
        ((tiny_folder, "--word", "bank", "--text", text, "--layer", "3"), "0 to 2"),
        ((tiny_folder, "--plot", tmp_path / "a.png"), "draws learned layer weights"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            command(*arguments)


@pytest.mark.parametrize("missing", ["matplotlib.figure", "adjustText", "sklearn.decomposition"])
def test_without_the_extra_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, tmp_path: Path, text: Path, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    arguments = (tiny_folder, "--word", "bank", "--text", text, "--plot", tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"pip install 'elmo_components\[plot\]'"):
        command(*arguments)
