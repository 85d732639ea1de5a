"""Tests our own format."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors
import torch
from safetensors.torch import save_file

from elmo_components.checkpoints import Checkpoint, CheckpointError, load, save
from elmo_components.modules.bilm import BiLm


@pytest.fixture
def checkpoint(tiny_folder: Path) -> Checkpoint:
    return load(tiny_folder)


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


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "must have the format 'elmo_components' in version '1'; found None in version None"),
        ({"format": "pt"}, "found 'pt'"),
        ({"format": "elmo_components", "version": "2"}, "found 'elmo_components' in version '2'"),
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
    with pytest.raises(
        CheckpointError, match=r"char_cnn\.projection\.bias has values that are not"
    ):
        save(Checkpoint(checkpoint.config, tensors), tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_no_known_format_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    for path in (tmp_path / "weights.bin", tmp_path):
        with pytest.raises(CheckpointError, match="is of no known format"):
            load(path)


def with_softmax(checkpoint: Checkpoint) -> Checkpoint:
    softmax = {"softmax.weight": torch.randn(4, 8), "softmax.bias": torch.randn(4)}
    # no line of a text file could hold the last two
    words = ("</S>", "caf\u00e9", "two words", "\n")
    return Checkpoint(checkpoint.config, {**checkpoint.tensors, **softmax}, words)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_softmax_and_vocabulary_come_back_on_request(
    tmp_path: Path, checkpoint: Checkpoint, dtype: torch.dtype
) -> None:
    expected = with_softmax(checkpoint)
    save(expected, tmp_path / "model.safetensors", dtype=dtype)
    found = load(tmp_path / "model.safetensors", softmax=True)
    assert found.vocabulary == expected.vocabulary and found.config == expected.config
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert found.tensors[name].dtype == torch.float32
        assert torch.equal(found.tensors[name], tensor.to(dtype).float()), name
    without = load(tmp_path / "model.safetensors")
    assert without.vocabulary is None and without.tensors.keys() == checkpoint.tensors.keys()


def test_float16_halves_the_file_and_rounds(tmp_path: Path, checkpoint: Checkpoint) -> None:
    save(checkpoint, tmp_path / "whole.safetensors")
    save(checkpoint, tmp_path / "half.safetensors", dtype=torch.float16)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    numbers = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    assert sizes[0] - sizes[1] == pytest.approx(2 * numbers, rel=0.01)
    for name, tensor in load(tmp_path / "half.safetensors").tensors.items():
        # 11 bits, and steps of 2^-24 near 0
        torch.testing.assert_close(tensor, checkpoint.tensors[name], rtol=2**-11, atol=2**-25)


def test_checkpoints_are_equal_only_to_themselves(checkpoint: Checkpoint) -> None:
    assert checkpoint == checkpoint
    assert checkpoint != replace(checkpoint)
    assert {checkpoint: 1}[checkpoint] == 1


def test_bfloat16_is_written_as_float32_and_read(tmp_path: Path, checkpoint: Checkpoint) -> None:
    rounded = {name: tensor.bfloat16() for name, tensor in checkpoint.tensors.items()}
    written = tmp_path / "written.safetensors"
    save(Checkpoint(checkpoint.config, rounded), written)
    with safetensors.safe_open(written, framework="pt") as file:
        metadata = file.metadata()
    save_file(rounded, tmp_path / "bfloat16.safetensors", metadata=metadata)
    for path in (written, tmp_path / "bfloat16.safetensors"):
        for name, tensor in load(path).tensors.items():
            assert torch.equal(tensor, rounded[name].float()), name


@pytest.mark.skipif(not hasattr(torch, "set_default_device"), reason="torch 2 has it")
@pytest.mark.parametrize(
    "name", ["tiny", "tiny.safetensors", "many_langs/words", "../before/tagger.tar.gz"]
)
def test_the_default_device_does_not_matter(fixtures: Path, tmp_path: Path, name: str) -> None:
    expected = load(fixtures / "models" / name).tensors
    torch.set_default_device("meta")
    try:
        found = load(fixtures / "models" / name)
        suffix = ".safetensors" if "many" in name else ""
        save(found, tmp_path / f"model{suffix}")
    finally:
        torch.set_default_device("cpu")
    assert all(torch.equal(found.tensors[key], expected[key]) for key in expected)


def test_values_beyond_float16_are_named(tmp_path: Path, checkpoint: Checkpoint) -> None:
    large = {
        "char_cnn.projection.bias": torch.full((8,), 65_504.0),
        "lstm.forward_layers.0.bias": torch.full((64,), -65_536.0),
    }
    tensors = {**checkpoint.tensors, **large}
    message = (
        r"within 65504 to be stored as torch\.float16; found larger ones in lstm\.f\S*0\.bias$"
    )
    with pytest.raises(CheckpointError, match=message):
        save(
            Checkpoint(checkpoint.config, tensors), tmp_path / "a.safetensors", dtype=torch.float16
        )
    assert list(tmp_path.iterdir()) == []


def test_other_types_of_numbers_are_an_error(tmp_path: Path, checkpoint: Checkpoint) -> None:
    message = r"must be one of torch\.float32, torch\.float16; found torch\.int8"
    with pytest.raises(ValueError, match=message):
        save(checkpoint, tmp_path / "model.safetensors", dtype=torch.int8)


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ("[", "Expecting value"),
        ('{"a": 0}', "must be a list of strings"),
        ("[1, 2, 3, 4]", "must be a list of strings"),
        ('["a", "b"]', "found 2 words and 4 rows"),
    ],
)
def test_a_broken_vocabulary_is_an_error(
    tmp_path: Path, checkpoint: Checkpoint, vocabulary: str, message: str
) -> None:
    path = tmp_path / "model.safetensors"
    metadata = {
        "format": "elmo_components",
        "version": "1",
        "options": json.dumps(checkpoint.config.to_options()),
        "vocabulary": vocabulary,
    }
    save_file(dict(with_softmax(checkpoint).tensors), path, metadata=metadata)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors cannot be used: .*{message}"):
        load(path, softmax=True)
    assert load(path).vocabulary is None


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"softmax.weight": (4, 8)}, r"found \(4, 8\) and None"),
        ({"softmax.weight": (4, 9), "softmax.bias": (4,)}, r"\(words, 8\) and \(words,\)"),
    ],
)
def test_half_a_softmax_is_an_error(
    checkpoint: Checkpoint, shapes: dict[str, tuple[int, ...]], message: str
) -> None:
    softmax = {name: torch.zeros(shape) for name, shape in shapes.items()}
    with pytest.raises(CheckpointError, match=message):
        Checkpoint(checkpoint.config, {**checkpoint.tensors, **softmax})


def test_a_vocabulary_without_its_softmax_is_an_error(checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match="found 2 words and 0 rows"):
        Checkpoint(checkpoint.config, checkpoint.tensors, ("a", "b"))
    assert with_softmax(checkpoint).without_softmax().tensors.keys() == checkpoint.tensors.keys()


def with_alphabet(checkpoint: Checkpoint, alphabet: str) -> Checkpoint:
    config = checkpoint.config
    config = replace(config, char_cnn=replace(config.char_cnn, alphabet=alphabet))
    return Checkpoint(config, BiLm(config).state_dict())


def test_another_alphabet_than_wanted_is_named_in_short(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    long = "".join(map(chr, range(0x4E00, 0x4E00 + 1000)))
    found, other = (with_alphabet(checkpoint, text) for text in (long, long[::-1]))
    save(found, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"alphabet is '\S+\.\.\.\S+' there") as error:
        load(tmp_path / "model.safetensors", other.config)
    assert len(str(error.value)) < 400
    with pytest.raises(CheckpointError, match="and None is wanted"):
        load(tmp_path / "model.safetensors", checkpoint.config)
