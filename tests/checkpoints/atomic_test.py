"""Tests atomic writes."""

from pathlib import Path

import pytest

from elmo_components.checkpoints.atomic import atomic_folder, atomic_write


def test_a_file_is_replaced_only_when_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "numbers.npz"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert temporary.suffix == ".npz"
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "numbers.npz"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk is full")
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_an_error_leaves_a_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OSError, match="disk"), atomic_folder(tmp_path) as temporary:
        (temporary / "a.txt").write_text("new")
        raise OSError("disk is full")
    assert [*tmp_path.iterdir()] == [tmp_path / "a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_folders_files_are_replaced_together(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with atomic_folder(folder) as temporary:
        (temporary / "a.txt").write_text("new")
    assert [*folder.iterdir()] == [folder / "a.txt"]
