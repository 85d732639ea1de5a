"""Tests of embed_file.py and embed_settings.py: runs that are killed give what others give."""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import h5py
import numpy
import pytest
import torch

from elmo_components.elmo import Elmo
from elmo_components.embedding import file_job as module
from elmo_components.embedding.file_job import Summary, embed_file, folder_of
from elmo_components.embedding.readers import SentenceFile
from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.settings import EmbedSettings
from elmo_components.embedding.spool import Spool
from tests.closeness import assert_close

WORDS = ["The", "bank", "of", "the", "river", "na\u00efve", "Ms.", "10", "caf\u00e9s", "walks"]


def sentences(number: int) -> list[str]:
    draws = random.Random(7)
    # endings make many words, of which a part knows those that it has met
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
    force = changed.pop("force", False)
    report = changed.pop("report", lambda message: None)
    file = SentenceFile(source)
    return embed_file(elmo, file, destination, settings(**changed), force=force, report=report)


class _Kill:
    """Ends its process, as the kernel would, at the so-manyth of some moments."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __call__(self, *arguments: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable) -> Callable:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self()
            result = function(*arguments, **named)
            self()
            return result

        return wrapped


def _in_this_process(
    elmo: Elmo, source: Path, destination: Path, moment: int, count: Any, changed: dict
) -> None:
    # torch's threads are not there after a fork
    torch.set_num_threads(1)
    kill = _Kill(moment)
    for place, name in (
        (os, "fsync"),
        (os, "replace"),
        (Path, "unlink"),
        (Spool, "append"),
        (module, "Entry"),
    ):
        setattr(place, name, kill.around(getattr(place, name)))
    run(elmo, source, destination, **changed)
    count.value = moment - kill.left


def in_a_child(
    elmo: Elmo,
    source: Path,
    destination: Path,
    *,
    moment: int = 1 << 30,
    seconds: Optional[float] = None,
    **changed: Any,
) -> tuple[Optional[int], int]:
    """Returns a run's exit code, and how many moments it had; a fork costs no import of torch."""
    context = multiprocessing.get_context("fork")
    count = context.Value("l", 0)
    child = context.Process(
        target=_in_this_process, args=(elmo, source, destination, moment, count, changed)
    )
    child.start()
    child.join(seconds)
    if child.is_alive():
        child.kill()
        child.join()
    return child.exitcode, count.value


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("a.npz", {}),
        ("a.hdf5", {"vocabulary": ["The1", "bank2", "river", "of30"]}),
        ("a.parquet", {"choice": VectorChoice("mean", float16=True)}),
    ],
)
def test_a_run_killed_at_20_moments_gives_the_bytes_of_an_undisturbed_one(
    tiny: Elmo, text: Path, tmp_path: Path, name: str, changed: dict
) -> None:
    if name == "a.parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / "undisturbed").mkdir()
    undisturbed = tmp_path / "undisturbed" / name
    code, moments = in_a_child(tiny, text, undisturbed, **changed)
    assert code == 0 and moments > 250
    destination = tmp_path / name
    draws = random.Random(1)
    kills = 0
    while not destination.exists():
        # the first 20 runs come some way; whatever is left over at last is done in one go
        moment = draws.randrange(1, moments // 7) if kills < 20 else 1 << 30
        code, _ = in_a_child(tiny, text, destination, moment=moment, **changed)
        assert code in (0, -signal.SIGKILL)
        kills += code != 0
    assert kills >= 20
    assert destination.read_bytes() == undisturbed.read_bytes()
    if code:
        # killed between the last replacement and the end
        in_a_child(tiny, text, destination, **changed)
    assert not folder_of(destination).exists()


def test_a_run_killed_near_its_end_is_finished(tiny: Elmo, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("A bank\nThe river\n")
    _, moments = in_a_child(tiny, text, tmp_path / "undisturbed.npz")
    expected = (tmp_path / "undisturbed.npz").read_bytes()
    assert moments < 80
    # those of the end, where the output takes its place, more closely
    for moment in (*range(1, moments - 30, 7), *range(moments - 30, moments + 1, 2)):
        destination = tmp_path / f"{moment}.npz"
        assert in_a_child(tiny, text, destination, moment=moment)[0] == -signal.SIGKILL
        # nothing torn is ever seen
        assert not destination.exists() or destination.read_bytes() == expected
        code, _ = in_a_child(tiny, text, destination)
        # there is nothing left to do, or what is done is not done again
        assert code == 0 or destination.exists()
        assert destination.read_bytes() == expected


def test_a_kill_at_any_time_is_gone_on_from(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    start = time.monotonic()
    in_a_child(tiny, text, tmp_path / "undisturbed.npz")
    seconds = time.monotonic() - start
    for fraction in (0.3, 0.5, 0.8):
        in_a_child(tiny, text, tmp_path / "a.npz", seconds=fraction * seconds)
    if not (tmp_path / "a.npz").exists():
        assert in_a_child(tiny, text, tmp_path / "a.npz")[0] == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "undisturbed.npz").read_bytes()


def stopped(elmo: Elmo, text: Path, destination: Path, **changed: Any) -> None:
    """A run that ends after about half of the sentences."""
    embed = elmo.embed
    calls = 0

    def failing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise RuntimeError("no more memory")
        return embed(*arguments, **named)

    elmo.embed = failing  # type: ignore[method-assign]
    try:
        with pytest.raises(RuntimeError, match="no more memory"):
            run(elmo, text, destination, **changed)
    finally:
        del elmo.embed
    assert not destination.exists()


def test_the_vectors_are_those_of_each_sentence(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    assert run(tiny, text, tmp_path / "a.hdf5") == Summary(60, 0, 0)
    lines = text.read_text(encoding="utf-8").splitlines()
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert len(file) == 61
        for number, line in enumerate(lines):
            expected = tiny.embed([line.split()])[0]
            assert_close(file[str(number)][()], expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.hdf5", "a.txt"]


def test_a_vocabulary_changes_no_number(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    run(tiny, text, tmp_path / "a.npz")
    run(tiny, text, tmp_path / "b.npz", vocabulary=["bank1", "bank1", "river", "unseen"])
    with numpy.load(tmp_path / "a.npz") as one, numpy.load(tmp_path / "b.npz") as other:
        for key in map(str, range(60)):
            assert_close(one[key], other[key])


def test_what_was_done_is_not_done_again(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    stopped(tiny, text, tmp_path / "a.npz")
    told: list[int] = []
    found = embed_file(
        tiny, SentenceFile(text), tmp_path / "a.npz", settings(), advance=told.append
    )
    assert found.sentences == 60 and 20 < found.resumed_at < 60
    assert told[0] == found.resumed_at and told[-1] == 60 and told == sorted(told)


def test_another_input_is_refused(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    lines = text.read_text(encoding="utf-8").splitlines(keepends=True)
    stopped(tiny, text, tmp_path / "a.npz")
    for other, message in (
        (["another\n", *lines[1:]], r"found that the first \d+ records are others"),
        (lines[:3], r"found that it ends after 3 of \d+ records"),
    ):
        text.write_text("".join(other), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            run(tiny, text, tmp_path / "a.npz")
    assert run(tiny, text, tmp_path / "a.npz", force=True) == Summary(3, 0, 0)
    with numpy.load(tmp_path / "a.npz") as file:
        assert set(file.files) == {"0", "1", "2", "sentence_to_index"}


def test_an_input_may_have_grown_beyond_what_was_done(
    tiny: Elmo, text: Path, tmp_path: Path
) -> None:
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
        ({"batch_size": 5}, "batch_size was 4, and is 5"),
        ({"choice": VectorChoice((1.0, 0.0, 0.0))}, r'layers was "all", and is \[1.0, 0.0, 0.0\]'),
        ({"output_format": "hdf5"}, 'output_format was "npz", and is "hdf5"'),
    ):
        with pytest.raises(ValueError, match=message):
            run(tiny, text, tmp_path / "a.npz", **changed)
    with torch.no_grad():
        next(tiny.parameters())[3, 1] += 1e-3
    with pytest.raises(ValueError, match="model was"):
        run(tiny, text, tmp_path / "a.npz")


def test_what_exists_is_replaced_on_demand_only(tiny: Elmo, text: Path, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("precious")
    with pytest.raises(FileExistsError, match="--force replaces it"):
        run(tiny, text, tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_text() == "precious" and len(list(tmp_path.iterdir())) == 2
    run(tiny, text, tmp_path / "a.npz", force=True)
    assert len(numpy.load(tmp_path / "a.npz").files) == 61


def test_what_is_missing_is_an_error_that_leaves_nothing(tiny: Elmo, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no file"):
        run(tiny, tmp_path / "nowhere", tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        run(tiny, tmp_path / "nowhere", tmp_path / "none" / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_line_ends_the_run_which_goes_on_as_it_is_told(
    tiny: Elmo, text: Path, tmp_path: Path
) -> None:
    lines = text.read_text(encoding="utf-8").splitlines()
    text.write_text("\n".join([*lines[:50], " ", *lines[50:]]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.txt, line 51: must have a token.*skip or keep"):
        run(tiny, text, tmp_path / "a.npz")
    found = run(tiny, text, tmp_path / "a.npz", empty_lines="skip")
    assert found.sentences == 60 and found.resumed_at > 20
    run(tiny, text, tmp_path / "b.npz", empty_lines="keep")
    with numpy.load(tmp_path / "a.npz") as skipped, numpy.load(tmp_path / "b.npz") as kept:
        assert "50" not in skipped.files and kept["50"].shape == (3, 0, 16)
        assert kept["51"].shape == skipped["51"].shape == (3, len(lines[50].split()), 16)
        assert "" in json.loads(kept["sentence_to_index"][0])


def test_a_sentence_that_is_a_key_comes_once(tiny: Elmo, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("".join(f"{line}\n" for line in [*sentences(30), "A bank", "b c", " A bank"]))
    keys = {"sentence_keys": True}
    with pytest.raises(ValueError, match=r"line 33: .* must come once.*--duplicates skip"):
        run(tiny, text, tmp_path / "a.hdf5", **keys)
    # those read again are known too
    text.write_text(text.read_text() + sentences(1)[0])
    found = run(tiny, text, tmp_path / "a.hdf5", duplicates="skip", **keys)
    assert found.sentences == 32 and found.resumed_at > 10
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert set(file) == {*sentences(30), "A bank", "b c"}


def test_what_cannot_be_read_is_told_by_line_and_left_out(tiny: Elmo, tmp_path: Path) -> None:
    lines = [b'{"tokens": ["a", "b"]}', b'{"tokens": ["a", 7]}', b"{", b'"c"', b'"\xff"', b'"d"']
    source = tmp_path / "a.jsonl"
    source.write_bytes(b"\n".join(lines))
    told: list[str] = []
    found = run(tiny, source, tmp_path / "a.npz", report=told.append)
    assert found == Summary(3, 3, 0)
    assert [message.partition(":")[0].rpartition(", ")[2] for message in told] == [
        "line 2",
        "line 3",
        "line 5",
    ]
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
    found = run(tiny, text, tmp_path / "a.hdf5", sentence_keys=True, report=told.append)
    # the third is known for one once the file is written
    assert found == Summary(2, 2, 0) and len(told) == 2
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert set(file) == {"a", "c d"} and file["a/b"].shape == (3, 1, 16)


def test_no_more_than_a_window_is_read_ahead_of_what_is_on_disk(
    tiny: Elmo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "a.txt"
    text.write_text("a b c d e f\n" * 100)
    read, written, most = 0, 0, 0
    records, append = SentenceFile.records, Spool.append

    def counted(file: SentenceFile) -> Iterator[bytes]:
        nonlocal read, most
        for record in records(file):
            read += 1
            most = max(most, read - written)
            yield record

    def noted(spool: Spool, *arguments: Any) -> None:
        nonlocal written
        written += 1
        append(spool, *arguments)

    monkeypatch.setattr(SentenceFile, "records", counted)
    monkeypatch.setattr(Spool, "append", noted)
    run(tiny, text, tmp_path / "a.npz", keep_sentences=False)
    # eight steps a sentence, with the marks
    assert read == written == 100 and most == 8


def test_what_is_piped_in_goes_on_when_it_is_piped_in_again(
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
        ({"window": 0}, "window must be 1 or more; found 0"),
    ):
        with pytest.raises(ValueError, match=message):
            settings(**changed)
