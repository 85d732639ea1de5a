"""The tiny models are what their maker makes."""

import runpy
from pathlib import Path

import torch

from elmo_components.checkpoints import load


def test_remaking_gives_the_same_models(fixtures: Path, tmp_path: Path) -> None:
    runpy.run_path(str(fixtures / "models" / "make.py"))["make"](tmp_path)
    for name in ("tiny", "tiny.safetensors"):
        remade, committed = load(tmp_path / name), load(fixtures / "models" / name)
        assert remade.config == committed.config
        assert remade.tensors.keys() == committed.tensors.keys()
        for key, tensor in committed.tensors.items():
            assert torch.equal(remade.tensors[key], tensor), key
