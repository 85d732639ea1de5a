"""Tests of file_job.py, intake.py, partial_file.py and settings.py."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Optional

import h5py
import numpy
import pytest
import torch

from elmo_components.elmo import Elmo
from elmo_components.embedding import windows
from elmo_components.embedding.file_job import Summary, embed_file, partial_path
from elmo_components.embedding.readers import SentenceFile
from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.settings import EmbedSettings
from tests.closeness import assert_close

WORDS = ["The", "bank", "of", "the", "river", "na\u00efve", "Ms.", "10", "caf\u00e9s", "walks"]


def sentences(number: int) -> list[str]:
    draws = random.Random(7)
    # endings make many words, so that parts differ in the words that they cache
    return [
        " ".join(
            draws.choice(WORDS) + str(draws.randrange(40)) for _ in range(draws.randrange(1, 14))
        )
        for _ in range(number)
    ]


def settings(**changed: Any) -> EmbedSettings:
    return EmbedSettings(
        **{"choice": VectorChoice("all"), "window": 64, "windows_a_part": 2, "batch_size": 4}
        | changed
    )


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{sentence}\n" for sentence in sentences(60)), encoding="utf-8")
    return path


def run(elmo: Elmo, source: Path, destination: Path, **changed: Any) -> Summary:
    callbacks = {name: changed.pop(name) for name in ("report", "advance") if name in changed}
    force = changed.pop("force", False)
    file = SentenceFile(source)
    return embed_file(elmo, file, destination, settings(**changed), force=force, **callbacks)


def stopped(elmo: Elmo, text: Path, destination: Path, **changed: Any) -> None:
    """Runs until about half of the sentences are done."""

    def advance(records: int) -> None:
        if records > 30:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        run(elmo, text, destination, advance=advance, **changed)
    assert not destination.exists()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _in_this_process(
    elmo: Elmo, source: Path, destination: Path, moment: int, count: Any, changed: dict
) -> None:
    # torch's threads do not survive a fork
    torch.set_num_threads(1)

    def profile(frame: Any, event: str, argument: object) -> None:
        # each call and return in the job's files, calls of SQLite and of the system among them
        if Path(frame.f_code.co_filename).name in ("file_job.py", "intake.py", "partial_file.py"):
            count.value += 1
            if count.value == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)
    run(elmo, source, destination, **changed)


def in_a_child(
    elmo: Elmo,
    source: Path,
    destination: Path,
    *,
    moment: int = 0,
    seconds: Optional[float] = None,
    **changed: Any,
) -> tuple[Optional[int], int]:
    """Returns the exit code of a run, which is killed at a moment, and its number of moments."""
    context = multiprocessing.get_context("fork")
    count = context.Value("l", 0)
    child = context.Process(
        target=_in_this_process, args=(elmo, source, destination, moment, count, changed)
    )
    child.start()
    child.join(seconds)
    child.kill()
    child.join()
    return child.exitcode, count.value


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("a.npz", {}),
        ("a.hdf5", {"sentence_keys": True}),
        ("a.parquet", {"choice": VectorChoice("mean", float16=True)}),
    ],
)
def test_a_run_killed_again_and_again_gives_the_bytes_of_an_undisturbed_one(
    tiny: Elmo, text: Path, tmp_path: Path, name: str, changed: dict
) -> None:
    if name == "a.parquet":
        pytest.importorskip("pyarrow.parquet")
    (tmp_path / "undisturbed").mkdir()
    undisturbed = tmp_path / "undisturbed" / name
    code, moments = in_a_child(tiny, text, undisturbed, **changed)
    assert code == 0 and moments > 250
    destination = tmp_path / name
    draws = random.Random(1)
    for kill in range(8):
        # within the first part, then ever farther
        moment = draws.randrange(1, moments // (8 - kill))
        code, _ = in_a_child(tiny, text, destination, moment=moment, **changed)
        assert code in (0, -signal.SIGKILL)
        if destination.exists():
            break
    if partial_path(destination).exists():
        assert in_a_child(tiny, text, destination, **changed)[0] == 0
    assert destination.read_bytes() == undisturbed.read_bytes()
    assert names_in(tmp_path) == sorted([name, "a.txt", "undisturbed"])


def test_a_run_killed_near_its_end_is_finished(tiny: Elmo, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("A bank\nThe river\n")
    _, moments = in_a_child(tiny, text, tmp_path / "undisturbed.npz")
    expected = (tmp_path / "undisturbed.npz").read_bytes()
    destination = tmp_path / "a.npz"
    for moment in range(moments - 28, moments + 1, 2):
        assert in_a_child(tiny, text, destination, moment=moment)[0] == -signal.SIGKILL
        # no half-written output is ever seen
        assert not destination.exists() or destination.read_bytes() == expected
        if partial_path(destination).exists():
            assert in_a_child(tiny, text, destination)[0] == 0
        assert destination.read_bytes() == expected
        assert names_in(tmp_path) == ["a.npz", "a.txt", "undisturbed.npz"]
        destination.unlink()


def test_each_sentence_has_its_own_vectors(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    assert run(tiny, text, tmp_path / "a.hdf5") == Summary(60, 0, 0)
    lines = text.read_text(encoding="utf-8").splitlines()
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert len(file) == 61
        for number, line in enumerate(lines):
            assert_close(file[str(number)][()], tiny.embed([line.split()])[0])
    assert names_in(tmp_path) == ["a.hdf5", "a.txt"]


def test_a_resumed_run_does_not_repeat_work(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    stopped(tiny, text, tmp_path / "a.npz")
    told: list[int] = []
    found = run(tiny, text, tmp_path / "a.npz", advance=told.append)
    assert found.sentences == 60 and 20 < found.resumed_at < 60
    assert told[0] == found.resumed_at and told[-1] == 60 and told == sorted(told)


def test_another_input_is_refused(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    lines = text.read_text(encoding="utf-8").splitlines(keepends=True)
    stopped(tiny, text, tmp_path / "a.npz")
    for other, message in (
        (["another\n", *lines[1:]], r"the first \d+ records differ.*use --force to start again"),
        (lines[:3], r"it ends after 3 of \d+ records"),
    ):
        text.write_text("".join(other), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            run(tiny, text, tmp_path / "a.npz")
    assert run(tiny, text, tmp_path / "a.npz", force=True) == Summary(3, 0, 0)
    with numpy.load(tmp_path / "a.npz") as file:
        assert set(file.files) == {"0", "1", "2", "sentence_to_index"}


def test_an_input_may_have_grown(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    stopped(tiny, text, tmp_path / "a.npz")
    with open(text, "a", encoding="utf-8") as file:
        file.write("one more\n")
    run(tiny, text, tmp_path / "a.npz")
    run(tiny, text, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_other_settings_or_another_model_are_refused(
    tiny: Elmo, text: Path, tmp_path: Path
) -> None:
    stopped(tiny, text, tmp_path / "a.npz")
    for changed, message in (
        ({"batch_size": 5}, "batch_size was 4 and is 5"),
        ({"choice": VectorChoice((1.0, 0.0, 0.0))}, r"layers was 'all' and is \[1.0, 0.0, 0.0\]"),
        ({"output_format": "hdf5"}, "output_format was 'npz' and is 'hdf5'"),
    ):
        with pytest.raises(ValueError, match=message):
            run(tiny, text, tmp_path / "a.npz", **changed)
    with torch.no_grad():
        next(tiny.parameters())[3, 1] += 1e-3
    with pytest.raises(ValueError, match="model was"):
        run(tiny, text, tmp_path / "a.npz")
    assert run(tiny, text, tmp_path / "a.npz", force=True) == Summary(60, 0, 0)


def test_two_runs_at_once_are_refused(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    def another(records: int) -> None:
        with pytest.raises(ValueError, match=r"Another process is writing .*a\.npz\.partial"):
            run(tiny, text, tmp_path / "a.npz")

    assert run(tiny, text, tmp_path / "a.npz", advance=another) == Summary(60, 0, 0)


def test_a_full_disk_is_an_error_and_what_was_done_stays(
    tiny: Elmo, text: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.npz\.partial: .* Free disk space"):
            run(tiny, text, tmp_path / "a.npz", windows_a_part=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert run(tiny, text, tmp_path / "a.npz", windows_a_part=1).resumed_at > 5
    run(tiny, text, tmp_path / "b.npz", windows_a_part=1)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert names_in(tmp_path) == ["a.npz", "a.txt", "b.npz"]


def test_too_little_disk_for_the_output_is_an_error_and_what_was_done_stays(
    tiny: Elmo, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(OSError, match=r"a\.npz needs about .* MB of disk space"):
        run(tiny, text, tmp_path / "a.npz")
    monkeypatch.undo()
    assert run(tiny, text, tmp_path / "a.npz") == Summary(60, 0, 60)


def test_a_file_that_is_not_a_partial_one_is_an_error(
    tiny: Elmo, text: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.npz.partial").write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match=r"a\.npz\.partial: file is not a database"):
        run(tiny, text, tmp_path / "a.npz")


def test_what_exists_is_replaced_with_force_only(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("precious")
    with pytest.raises(FileExistsError, match="Use --force to replace it"):
        run(tiny, text, tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_text() == "precious"
    assert names_in(tmp_path) == ["a.npz", "a.txt"]
    run(tiny, text, tmp_path / "a.npz", force=True)
    assert len(numpy.load(tmp_path / "a.npz").files) == 61


def test_the_input_and_a_folder_are_not_replaced(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    contents = text.read_bytes()
    with pytest.raises(FileExistsError, match=r"a\.txt is the input\. Give the output another"):
        run(tiny, text, text, force=True)
    (tmp_path / "vectors").mkdir()
    with pytest.raises(IsADirectoryError, match=r"vectors is a folder\. The output must be a file"):
        run(tiny, text, tmp_path / "vectors", force=True)
    assert text.read_bytes() == contents
    assert names_in(tmp_path) == ["a.txt", "vectors"]


def test_a_sentence_that_would_not_fit_is_refused_before_it_is_computed(
    tiny: Elmo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 3 layers of 16 float32 numbers
    monkeypatch.setattr(windows, "MAX_BYTES", 192 * 4)
    (tmp_path / "a.txt").write_text("a b c d\nto be or not to\na b\n", encoding="utf-8")
    reports: list[str] = []
    summary = run(tiny, tmp_path / "a.txt", tmp_path / "a.npz", report=reports.append)
    assert (summary.sentences, summary.failures) == (2, 1)
    assert "line 2: a sentence must have at most 4 tokens with this model; found 5" in reports[0]


def test_what_is_missing_is_an_error_that_leaves_nothing(tiny: Elmo, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no file"):
        run(tiny, tmp_path / "nowhere", tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        run(tiny, tmp_path / "nowhere", tmp_path / "none" / "a.npz")
    assert names_in(tmp_path) == []


def test_an_empty_line_ends_the_run_which_resumes_with_another_answer(
    tiny: Elmo, text: Path, tmp_path: Path
) -> None:
    lines = text.read_text(encoding="utf-8").splitlines()
    text.write_text("\n".join([*lines[:50], " ", *lines[50:]]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.txt, line 51: there is no token.*skip or keep"):
        run(tiny, text, tmp_path / "a.npz")
    found = run(tiny, text, tmp_path / "a.npz", empty_lines="skip")
    assert found.sentences == 60 and found.resumed_at > 20
    run(tiny, text, tmp_path / "b.npz", empty_lines="keep")
    with numpy.load(tmp_path / "a.npz") as skipped, numpy.load(tmp_path / "b.npz") as written:
        assert "50" not in skipped.files and written["50"].shape == (3, 0, 16)
        assert written["51"].shape == skipped["51"].shape == (3, len(lines[50].split()), 16)
        assert "" in json.loads(written["sentence_to_index"][0])


def test_a_sentence_that_is_a_key_comes_once(tiny: Elmo, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("".join(f"{line}\n" for line in [*sentences(30), "A bank", "b c", " A bank"]))
    keys = {"sentence_keys": True}
    with pytest.raises(ValueError, match=r"line 33: this sentence came before.*--duplicates skip"):
        run(tiny, text, tmp_path / "a.hdf5", **keys)
    # keys of the earlier run count too
    text.write_text(text.read_text() + sentences(1)[0])
    found = run(tiny, text, tmp_path / "a.hdf5", duplicates="skip", **keys)
    assert found.sentences == 32 and found.resumed_at > 10
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert set(file) == {*sentences(30), "A bank", "b c"}


def test_what_cannot_be_read_is_reported_by_line_and_left_out(tiny: Elmo, tmp_path: Path) -> None:
    lines = [b'{"tokens": ["a", "b"]}', b'{"tokens": ["a", 7]}', b"{", b'"c"', b'"\xff"', b'"d"']
    source = tmp_path / "a.jsonl"
    source.write_bytes(b"\n".join(lines))
    told: list[str] = []
    assert run(tiny, source, tmp_path / "a.npz", report=told.append) == Summary(3, 3, 0)
    places = [message.partition(":")[0].rpartition(", ")[2] for message in told]
    assert places == ["line 2", "line 3", "line 5"]
    with numpy.load(tmp_path / "a.npz") as file:
        assert set(file.files) == {"0", "3", "5", "sentence_to_index"}
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: must have strings for tokens"):
        run(tiny, source, tmp_path / "b.npz", strict=True)


def test_failures_before_a_kill_are_counted_once(tiny: Elmo, tmp_path: Path) -> None:
    values = [json.dumps(line) for line in sentences(60)]
    values[3] = values[55] = "{"
    source = tmp_path / "a.jsonl"
    source.write_text("\n".join(values))
    stopped(tiny, source, tmp_path / "a.npz")
    assert run(tiny, source, tmp_path / "a.npz")[:2] == (58, 2)


def test_what_cannot_be_a_key_is_a_failure(tiny: Elmo, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("a/b\n.\na\nc d\n")
    told: list[str] = []
    # the third clashes only while the file is written
    found = run(tiny, text, tmp_path / "a.hdf5", sentence_keys=True, report=told.append)
    assert found == Summary(2, 2, 0) and len(told) == 2
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert set(file) == {"a", "c d"} and file["a/b"].shape == (3, 1, 16)


def test_piped_input_resumes_when_it_is_piped_again(
    tiny: Elmo, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny, text, tmp_path / "expected.npz")
    with open(text) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        stopped(tiny, Path("-"), tmp_path / "a.npz")
    with open(text) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        assert run(tiny, Path("-"), tmp_path / "a.npz").resumed_at > 20
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()


def test_settings_out_of_range_are_errors() -> None:
    for changed, message in (
        ({"empty_lines": "drop"}, "empty_lines must be one of error, keep, skip; found 'drop'"),
        ({"duplicates": "keep"}, "duplicates must be one of error, skip; found 'keep'"),
        ({"batch_size": 0}, "batch_size must be 1 or more; found 0"),
    ):
        with pytest.raises(ValueError, match=message):
            settings(**changed)
