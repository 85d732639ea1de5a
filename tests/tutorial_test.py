"""Runs the blocks of the tutorial in order, compares what they print, and runs it as a notebook."""

import re
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.docs_script import load

# a fixture is found by its name in this module
from tests.readme_test import checkout, run  # noqa: F401

pytest.importorskip("matplotlib", reason="the tutorial draws with matplotlib")

FOLDER = ROOT / "docs" / "tutorial"
TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
# Training gives slightly different numbers and tags on another processor or with another torch.
NUMBER = re.compile(r"-?\d+\.\d+")
TAG = re.compile(r"\b([BI]-\w+|O)\b")
RELATIVE, ABSOLUTE = 0.3, 0.12


BLOCKS = load("tutorial/run").blocks_of(TEXT)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """The namespace that the Python blocks share."""
    return {}


def assert_same_output(printed: str, shown: str) -> None:
    texts = [TAG.sub("#", NUMBER.sub("#", text)).split() for text in (printed, shown)]
    assert texts[0] == texts[1]
    found, expected = map(float, NUMBER.findall(printed)), map(float, NUMBER.findall(shown))
    for one, other in zip(found, expected):
        assert one == pytest.approx(other, rel=RELATIVE, abs=ABSOLUTE), printed


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line_{block.line}")
def test_a_block_runs(
    block: Any,
    names: dict[str, Any],
    checkout: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    if block.language == "python":
        assert_same_output(load("tutorial/run").run_python(block, names), block.output)
    elif block.language == "bash":
        run(block.code, checkout)
    else:
        assert block.language == "jsonnet"
        (name,) = re.findall(r"\A// (\S+\.jsonnet)\n", block.code)
        (checkout / name).write_text(block.code)


@pytest.fixture
def after_the_blocks(names: dict[str, Any]) -> None:
    if "trained" not in names:
        pytest.skip("looks at what the tests of all blocks have written")


def test_the_commands_have_written_what_the_text_says(
    checkout: Path,  # noqa: F811
    after_the_blocks: None,
) -> None:
    output = checkout / "output" / "tutorial"
    for name in ("tagger", "classifier", "translator", "finetuned", "bilm"):
        assert (output / name / "model.tar.gz").exists(), name
    for name in ("bilm.safetensors", "vectors.hdf5", "vectors.parquet"):
        assert (output / name).exists(), name


def test_each_picture_is_drawn_and_small(
    checkout: Path,  # noqa: F811
    after_the_blocks: None,
) -> None:
    shown = re.findall(r"!\[[^\]]+\]\(tutorial/(\w+\.png)\)", TEXT)
    assert len(shown) == TEXT.count("![")
    assert sorted(shown) == sorted(path.name for path in FOLDER.glob("*.png"))
    # the diagram of the model has a script of its own
    drawn = {path.name for path in (checkout / "output" / "tutorial").glob("*.png")}
    assert drawn == set(shown) - {"model.png"}
    for name in shown:
        data = (FOLDER / name).read_bytes()
        assert len(data) < 60_000, name
        if name in drawn:
            new = (checkout / "output" / "tutorial" / name).read_bytes()
            # width and height in the header of a PNG
            assert struct.unpack(">II", data[16:24]) == struct.unpack(">II", new[16:24]), name


def test_the_notebook_runs(checkout: Path, tmp_path: Path) -> None:  # noqa: F811
    pytest.importorskip("jupytext", reason="jupytext makes the notebook: pip install jupytext")
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="pip install nbclient ipykernel")
    notebook = load("tutorial/notebook").notebook_of(TEXT)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # one more changes the folder
    assert len(cells) == len(BLOCKS) + 1
    # the commands ran above, and the notebook runs the same text
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("%%bash")]
    folder = checkout / "output"
    nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    printed = printed.replace("Overwriting tagger.jsonnet\n", "")
    assert_same_output(printed, "".join(block.output for block in BLOCKS))
    images = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(images) == 3
