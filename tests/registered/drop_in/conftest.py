"""The files of an ELMo."""

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def files(tiny_folder: Path, tmp_path: Path) -> dict[str, str]:
    """Files of an ELMo that a test may remove, clipped as the published ones are."""
    options = json.loads((tiny_folder / "options.json").read_text())
    options["lstm"].update({"cell_clip": 3, "proj_clip": 3})
    (tmp_path / "options.json").write_text(json.dumps(options))
    shutil.copy(tiny_folder / "weights.hdf5", tmp_path)
    return {
        "options_file": str(tmp_path / "options.json"),
        "weight_file": str(tmp_path / "weights.hdf5"),
    }
