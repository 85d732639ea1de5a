"""Tests of the patch for vocabularies whose lock file is a symbolic link."""

from pathlib import Path

from allennlp.data import Vocabulary

import elmo_components.registered  # noqa: F401


def test_a_vocabulary_with_a_linked_lock_can_be_read_and_written(tmp_path: Path) -> None:
    # fails without the patch on filelock 4, not on 3.7
    (tmp_path / "lock").touch()
    folder = tmp_path / "vocabulary"
    Vocabulary(tokens_to_add={"labels": ["B", "O"]}).save_to_files(str(folder))
    (folder / ".lock").unlink()
    (folder / ".lock").symlink_to(tmp_path / "lock")
    read = Vocabulary.from_files(str(folder))
    assert read.get_index_to_token_vocabulary("labels") == {0: "B", 1: "O"}
    read.save_to_files(str(folder))
    assert (folder / ".lock").is_symlink()
