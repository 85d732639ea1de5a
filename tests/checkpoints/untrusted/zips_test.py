"""Tests zips of a model's files, as NLPL publishes them."""

import gzip
import json
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Optional

import pytest
import torch

from elmo_components.checkpoints import Checkpoint, CheckpointError, bilm_tf, identify, load, save
from tests.closeness import assert_same


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return path


def contents_of(folder: Path, names: Optional[dict[str, str]] = None) -> dict[str, bytes]:
    names = names or {}
    return {names.get(path.name, path.name): path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("number", ["262", "261"])
def test_a_zip_of_nlpl_is_read(tiny_folder: Path, tmp_path: Path, number: str) -> None:
    members = contents_of(tiny_folder, {"weights.hdf5": "model.hdf5"})
    options = json.loads(members["options.json"])
    options["char_cnn"]["n_characters"] = int(number)
    path = write_zip(
        tmp_path / "193.zip",
        {**members, "options.json": json.dumps(options).encode(), "meta.json": b"{}"},
    )
    assert identify(path) is bilm_tf
    assert_same(load(path), load(tiny_folder))
    # where training goes on from it, its words are read
    assert load(path, softmax=True).vocabulary is None


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["vocab.txt", "vocab.txt.gz"])
def test_the_words_of_simple_elmo_are_read(
    tiny_folder: Path, tmp_path: Path, zipped: bool, name: str
) -> None:
    tiny = load(tiny_folder)
    softmax = {"softmax.weight": torch.ones(3, 8), "softmax.bias": torch.ones(3)}
    words = ("</S>", "<S>", "é")
    expected = Checkpoint(tiny.config, {**tiny.tensors, **softmax}, words)
    model = tmp_path / "model"
    save(expected, model)
    (model / "weights.hdf5").rename(model / "model.hdf5")
    # it is not the first of these that counts
    shutil.copy(tiny_folder / "weights.hdf5", model / "another.hdf5")
    if name.endswith(".gz"):
        with gzip.open(model / name, "wb") as file:
            file.write((model / "vocab.txt").read_bytes())
        (model / "vocab.txt").unlink()
    path = write_zip(tmp_path / "a.zip", contents_of(model)) if zipped else model
    assert_same(load(path, softmax=True), expected)
    assert_same(load(path), tiny)


@pytest.mark.parametrize("kept", [10, 1000, -30, -1])
def test_a_broken_gz_of_words_is_an_error(tiny_folder: Path, tmp_path: Path, kept: int) -> None:
    tiny = load(tiny_folder)
    softmax = {"softmax.weight": torch.ones(3, 8), "softmax.bias": torch.ones(3)}
    save(Checkpoint(tiny.config, {**tiny.tensors, **softmax}), tmp_path)
    contents = gzip.compress(b"".join(struct.pack("<I", n * n) for n in range(2000)))
    (tmp_path / "vocab.txt.gz").write_bytes(contents[:kept])
    with pytest.raises(CheckpointError, match=r"vocab\.txt\.gz cannot be read whole"):
        load(tmp_path, softmax=True)
    (tmp_path / "vocab.txt.gz").write_bytes(gzip.compress(b"\n" * (40 << 20), 1))
    with pytest.raises(CheckpointError, match=r"vocab\.txt\.gz must hold at most 33,554,432"):
        load(tmp_path, softmax=True)


def test_errors_name_the_zip(tiny_folder: Path, tmp_path: Path) -> None:
    members = contents_of(tiny_folder)
    members["weights.hdf5"] = members["weights.hdf5"][:20_000]
    with pytest.raises(CheckpointError, match=r"a\.zip/weights\.hdf5 is not a whole HDF5 file"):
        load(write_zip(tmp_path / "a.zip", members))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"model.hdf5": bytes(60 << 20), "options.json": b"{}"})
    with pytest.raises(CheckpointError, match=r"its members have 62,914,562 bytes; a zip of its"):
        load(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(
    tiny_folder: Path, tmp_path: Path, compression: int
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, contents in contents_of(tiny_folder).items():
            archive.writestr(name, contents)
    with pytest.raises(CheckpointError, match="its members must be stored or deflated"):
        load(path)


def test_a_member_that_comes_twice_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", contents_of(tiny_folder))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("options.json", b"{}")
    with pytest.raises(CheckpointError, match=r"have each of options\.json, weights\.hdf5 once"):
        load(path)


def test_encrypted_and_truncated_zips_are_an_error(tiny_folder: Path, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", contents_of(tiny_folder))
    contents = bytearray(path.read_bytes())
    for kept in (4, 1000, len(contents) - 30, len(contents) - 1):
        path.write_bytes(contents[:kept])
        with pytest.raises(CheckpointError, match=r"not a whole zip"):
            load(path)
    # the flag of each member, and in the directory
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := contents.find(mark, place + 1)) >= 0:
            contents[place + offset] |= 1
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match=r"not a whole zip: .*encrypted"):
        load(path)
