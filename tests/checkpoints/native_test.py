"""Tests of checkpoints/native.py: our own format."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from elmo_components.checkpoints import Checkpoint, CheckpointError, load, save


@pytest.fixture
def checkpoint(tiny_folder: Path) -> Checkpoint:
    return load(tiny_folder)


def test_the_fixture_holds_what_the_published_format_holds(
    fixtures: Path, checkpoint: Checkpoint
) -> None:
    native = load(fixtures / "models" / "tiny.safetensors")
    assert native.config == checkpoint.config
    assert native.tensors.keys() == checkpoint.tensors.keys()
    for name, tensor in checkpoint.tensors.items():
        assert torch.equal(native.tensors[name], tensor), name


def test_a_checkpoint_comes_back_to_the_last_bit(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = tmp_path / "new" / "model.safetensors"
    tensors = {**checkpoint.tensors, "softmax.weight": torch.randn(5, 8)}
    save(Checkpoint(checkpoint.config, tensors), path)
    again = load(path)
    assert again.config == checkpoint.config
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in tensors.items())
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_file_is_laid_out_as_documented(tmp_path: Path, checkpoint: Checkpoint) -> None:
    save(checkpoint, tmp_path / "model.safetensors")
    contents = (tmp_path / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", contents[:8])
    header = json.loads(contents[8 : 8 + length])
    metadata = header.pop("__metadata__")
    assert metadata["format"] == "elmo_components" and metadata["version"] == "1"
    assert json.loads(metadata["options"]) == checkpoint.config.to_options()
    assert {name: entry["shape"] for name, entry in header.items()} == {
        name: list(tensor.shape) for name, tensor in checkpoint.tensors.items()
    }
    assert {entry["dtype"] for entry in header.values()} == {"F32"}


@pytest.mark.parametrize("kept", [0, 7, 100, 20_000])
def test_a_truncated_file_is_an_error(tmp_path: Path, checkpoint: Checkpoint, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    save(checkpoint, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="is not a whole safetensors file"):
        load(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "must have the metadata format 'elmo_components'; found None"),
        ({"format": "pt"}, "found 'pt'"),
        ({"format": "elmo_components", "version": "2"}, "has version '2'"),
        ({"format": "elmo_components", "version": "1"}, "must be an object; found NoneType"),
        (
            {"format": "elmo_components", "version": "1", "options": "{"},
            "Expecting property name",
        ),
    ],
)
def test_other_files_are_an_error(tmp_path: Path, metadata: dict, message: str) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        load(path)


def test_weights_that_are_not_finite_are_named(tmp_path: Path, checkpoint: Checkpoint) -> None:
    tensors = {**checkpoint.tensors, "char_cnn.projection.bias": torch.full((8,), float("nan"))}
    with pytest.raises(CheckpointError, match=r"not finite in char_cnn\.projection\.bias"):
        save(Checkpoint(checkpoint.config, tensors), tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_another_architecture_than_wanted_is_named(fixtures: Path, checkpoint: Checkpoint) -> None:
    options = checkpoint.config.to_options()
    options["lstm"]["cell_clip"] = 3
    wanted = type(checkpoint.config).from_options(options)
    with pytest.raises(CheckpointError, match=r"lstm\.cell_clip is 0\.75 there, and 3 is wanted"):
        load(fixtures / "models" / "tiny.safetensors", wanted)


def test_a_file_of_no_known_format_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    for path in (tmp_path / "weights.bin", tmp_path):
        with pytest.raises(CheckpointError, match="is of no known format"):
            load(path)
