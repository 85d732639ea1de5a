"""Tests of npz_stream.py."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy
import pytest

from elmo_components.embedding import npz_stream
from elmo_components.embedding.npz_stream import NpzStream

ARRAYS = {
    "0": numpy.arange(12, dtype=numpy.float32).reshape(3, 4),
    "naïve/名": numpy.ones((0, 2), dtype=numpy.float16),
    "text": numpy.array([b"{}"]),
}


def write(path: Path, arrays: dict) -> None:
    with NpzStream(path) as file:
        for name, array in arrays.items():
            file.write(name, array)


def assert_holds(path: Path, arrays: dict) -> None:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    with numpy.load(path, allow_pickle=False) as found:
        assert found.files == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            numpy.testing.assert_array_equal(found[name], array)


def test_numpy_reads_what_is_written(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", ARRAYS)
    assert_holds(tmp_path / "a.npz", ARRAYS)
    write(tmp_path / "empty.npz", {})
    assert_holds(tmp_path / "empty.npz", {})


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write(tmp_path / name, ARRAYS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.npz", "b.npz"]


@pytest.mark.parametrize("limit", [100, 500])
def test_large_files_have_numbers_of_64_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    # as if the 4 GB that a field of 32 bits can say were fewer: the field itself must say so
    path = tmp_path / "a.npz"
    monkeypatch.setattr(npz_stream, "FULL_32", limit)
    write(path, ARRAYS)
    content = path.read_bytes()
    assert b"PK\6\6" in content and b"PK\6\7" in content
    # what a reader looks for are fields with all bits set
    full = content.replace(limit.to_bytes(4, "little"), b"\xff" * 4)
    path.write_bytes(full)
    assert_holds(path, ARRAYS)


def test_more_members_than_16_bits_can_count_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as if 16 bits could say no more than 2
    monkeypatch.setattr(npz_stream, "FULL_16", 2)
    write(tmp_path / "a.npz", ARRAYS)
    assert b"PK\6\6" in (tmp_path / "a.npz").read_bytes()
    assert_holds(tmp_path / "a.npz", ARRAYS)


def test_other_programs_find_nothing_wrong(tmp_path: Path) -> None:
    if shutil.which("unzip") is None:
        pytest.skip("unzip is not installed")
    write(tmp_path / "a.npz", ARRAYS)
    subprocess.run(["unzip", "-tq", tmp_path / "a.npz"], check=True, stdout=subprocess.DEVNULL)


def test_a_name_too_long_for_a_zip_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 65535 bytes; found 65540"):
        write(tmp_path / "a.npz", {"x" * 65_536: ARRAYS["0"]})
