"""Tests of spool.py."""

import json
import os
from pathlib import Path
from typing import Any

import numpy
import pytest

from elmo_components.embedding.spool import Progress, Spool, holds_run

SETTINGS = {"layers": "all", "batch_size": 64}
FLOATS = numpy.dtype("<f4")


def opened(folder: Path, settings: dict = SETTINGS, *, restart: bool = False) -> Spool:
    return Spool(folder, settings, agrees=lambda name, one, two: bool(one == two), restart=restart)


def vectors(number: int) -> numpy.ndarray:
    return numpy.full((2, number), number, dtype=FLOATS)


def begin(folder: Path) -> Spool:
    """A spool of two commits, and what was not committed any more."""
    spool = opened(folder)
    spool.append(0, "a", vectors(1))
    spool.commit(Progress(records=1, digest="1", sentences=1))
    spool.append(2, None, vectors(2))
    spool.append(3, "c", vectors(0))
    spool.commit(
        Progress(records=4, digest="4", sentences=3, failures=1, engines=[[["a", 1], "b"]])
    )
    spool.append(4, "never", vectors(9))
    spool.close()
    return spool


def lines_of(spool: Spool) -> list[tuple[int, Any, list]]:
    return [(line, text, array.tolist()) for line, text, array in spool.entries(FLOATS)]


FIRST = (0, "a", [[1], [1]])
ALL = [FIRST, (2, None, [[2, 2], [2, 2]]), (3, "c", [[], []])]


def test_a_spool_goes_on_from_its_last_commit(tmp_path: Path) -> None:
    begin(tmp_path / "spool")
    assert holds_run(tmp_path / "spool")
    spool = opened(tmp_path / "spool")
    assert (spool.progress.records, spool.progress.digest) == (4, "4")
    assert (spool.progress.sentences, spool.progress.failures) == (3, 1)
    assert spool.progress.engines == [[["a", 1], "b"]]
    assert lines_of(spool) == ALL
    spool.append(5, "e", vectors(1))
    spool.commit(Progress(records=6))
    assert lines_of(spool) == [*ALL, (5, "e", [[1], [1]])]
    spool.close()


@pytest.mark.parametrize("tail", [b"\0" * 50, b'{"records": 9', b'{"records": 9}\n', b"7\n", b"\n"])
def test_what_was_torn_off_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    begin(tmp_path)
    for name in ("journal.jsonl", "vectors.bin", "sentences.jsonl"):
        with open(tmp_path / name, "ab") as file:
            file.write(tail)
    for _ in range(2):
        spool = opened(tmp_path)
        assert spool.progress.records == 4 and lines_of(spool) == ALL
        spool.close()


def test_a_line_without_its_end_does_not_count(tmp_path: Path) -> None:
    begin(tmp_path)
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-1])
    spool = opened(tmp_path)
    assert spool.progress.records == 1 and lines_of(spool) == [FIRST]
    spool.close()


def test_vectors_that_a_disk_has_lost_do_not_count(tmp_path: Path) -> None:
    begin(tmp_path)
    os.truncate(tmp_path / "vectors.bin", 10)
    spool = opened(tmp_path)
    assert spool.progress.records == 1 and lines_of(spool) == [FIRST]
    spool.close()


def test_another_run_is_refused_or_thrown_away(tmp_path: Path) -> None:
    begin(tmp_path)
    other = {**SETTINGS, "batch_size": 32}
    with pytest.raises(
        ValueError, match=r"other settings.*: batch_size was 64, and is 32\. --force"
    ):
        opened(tmp_path, other)
    # refused, it is as it was
    opened(tmp_path).close()
    spool = opened(tmp_path, other, restart=True)
    assert spool.progress == Progress() and lines_of(spool) == []
    spool.close()
    # one that has done nothing stands in nobody's way
    opened(tmp_path).close()


def test_one_process_at_a_time_has_a_spool(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(ValueError, match="Another process is at work in"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


def test_a_folder_without_settings_holds_no_run(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / "run.json").unlink()
    assert not holds_run(tmp_path)
    spool = opened(tmp_path)
    assert spool.progress == Progress() and lines_of(spool) == []
    spool.close()


def test_the_output_takes_its_place_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    begin(folder)
    (folder / ".words").touch()
    spool = opened(folder)
    spool.output.write_bytes(b"all")
    spool.finish(tmp_path / "a.npz", spool.progress)
    assert (tmp_path / "a.npz").read_bytes() == b"all"
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_finish_cut_short_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "spool"
    begin(folder)
    spool = opened(folder)
    spool.output.write_bytes(b"all")
    monkeypatch.setattr(Path, "unlink", lambda path, **_: None)
    spool.finish(tmp_path / "a.npz", spool.progress)
    monkeypatch.undo()
    # as when the large files are gone already
    (folder / "vectors.bin").unlink()
    spool = opened(folder)
    assert spool.progress.is_packed and spool.progress.records == 4 and not spool.output.exists()
    spool.finish(tmp_path / "a.npz", spool.progress)
    assert (tmp_path / "a.npz").read_bytes() == b"all" and not folder.exists()


def test_files_of_others_stay(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool")
    (tmp_path / "spool" / "notes.txt").touch()
    spool.output.touch()
    spool.finish(tmp_path / "a.npz", spool.progress)
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["notes.txt"]


def test_the_journal_is_written_after_what_it_speaks_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    spool = opened(tmp_path)
    spool.append(0, "a", vectors(3))
    monkeypatch.setattr(os, "fsync", noted)
    spool.commit(Progress(records=1))
    assert synced == ["vectors.bin", "sentences.jsonl", "journal.jsonl"]
    assert json.loads((tmp_path / "journal.jsonl").read_text())["sizes"][0] == 24
    spool.close()
