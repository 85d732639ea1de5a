"""Tests of main.py: the console script `elmo`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from elmo_components import __version__
from elmo_components.commands.main import COMMANDS, main
from tests.conftest import ROOT


def ran(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_the_help_of_each_command_has_examples_of_this_script(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ran("--help") == 0
    overview = capsys.readouterr().out
    for name in COMMANDS:
        if name == "demo" and not re.search(r"^ +demo\b", overview, flags=re.M):
            continue
        assert re.search(rf"^ +{name}\b", overview, flags=re.M)
        assert ran(name, "--help") == 0
        printed = capsys.readouterr().out
        assert printed.startswith(f"usage: elmo {name}")
        assert re.search(rf"examples?:\n  elmo {name}\b", printed)
        assert "allennlp elmo-" not in printed


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--version") == 0
    assert capsys.readouterr().out == f"elmo_components {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["embde"], "no command 'embde'. Did you mean 'embed'? Commands: embed, inspect"),
        (["embed"], "required: input_file"),
        (["inspect", "nowhere"], "elmo inspect: error: There is no checkpoint at nowhere. Give"),
        (["inspect"], "Give a checkpoint, or --system without one"),
        (["export", "nowhere", "a"], "elmo export: error: There is no checkpoint at nowhere"),
        (["vocabulary", "none.txt", "--output", "v"], "none.txt"),
        (["configs", "nre"], "no configuration 'nre'; did you mean ner"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ran(*arguments) == 2
    printed = capsys.readouterr()
    *usage, line = printed.err.splitlines()
    assert message in line and printed.out == ""
    assert all(other.startswith(("usage:", " ")) for other in usage)


def test_an_error_of_the_system_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert ran("configs", "ner", tmp_path / "file" / "folder") == 2
    assert "Not a directory" in capsys.readouterr().err


def test_a_checkpoint_with_defects_is_status_1(fixtures: Path) -> None:
    assert ran("inspect", fixtures / "broken" / "native" / "truncated.safetensors") == 1


def test_ctrl_c_is_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("elmo_components.commands.inspect.system_report", interrupted)
    assert ran("inspect", "--system") == 130
    assert capsys.readouterr().err == ""


def test_a_defect_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def defective() -> str:
        raise RuntimeError("a defect")

    monkeypatch.setattr("elmo_components.commands.inspect.system_report", defective)
    with pytest.raises(RuntimeError, match="a defect"):
        ran("inspect", "--system")


def test_a_reader_that_stops_early_is_no_error() -> None:
    # more than the pipe's buffer holds, so that writing fails
    code = (
        "from elmo_components.commands import configs, main\n"
        "configs._listing = lambda: 'line\\n' * 200_000\n"
        "main.run()"
    )
    command = f'{sys.executable} -c "$CODE" configs | head -1; echo ${{PIPESTATUS[0]}}'
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={"CODE": code, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
    )
    assert (result.stdout, result.stderr) == ("line\n141\n", "")


def test_the_script_is_installed_under_its_name_and_runs_as_a_module() -> None:
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "elmo = elmo_components.commands.main:run\n" in setup
    code = (
        "import runpy, sys; sys.argv = ['elmo', '--version']\n"
        "try: runpy.run_module('elmo_components', run_name='__main__')\n"
        "finally: print({'torch', 'allennlp'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True
    )
    # neither is imported for it
    assert result.stdout == f"elmo_components {__version__}\nset()\n"


def test_inspect_imports_no_library_of_another_command() -> None:
    code = (
        "import sys; from elmo_components.commands.main import main\n"
        "main(['inspect', 'english'])\n"
        "slow = {'allennlp', 'spacy', 'matplotlib', 'pyarrow', 'h5py', 'sklearn'}\n"
        "print(slow & set(sys.modules), 'elmo_components.commands.embed' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert result.stdout.endswith("nothing is wrong with it\nset() False\n")
