"""Tests of corpus_job.py, partition_job.py and manifest.py, through `elmo embed --engine local`."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elmo_components.commands import embed
from elmo_components.corpora import partition_job
from elmo_components.corpora.partition_job import PartitionJob
from elmo_components.corpora.partitions import Reading, find_partitions
from elmo_components.corpora.places import place_of
from elmo_components.corpora.work import EmbedWork
from elmo_components.elmo import Elmo
from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.settings import EmbedSettings
from tests.commands.running import run

parquet = pytest.importorskip("pyarrow.parquet")

LINES = ["The bank of the river", "A bank , na\u00efve", "One", "The bank of the river"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "b").mkdir(parents=True)
    for name in ("a.txt", "b/b.txt", "c.txt"):
        (folder / name).write_text("\n".join([*LINES, name]) + "\n", encoding="utf-8")
    return folder


def command(model: Path, *arguments: object) -> int:
    """Runs the command and returns its exit status."""
    try:
        run(embed, *arguments, "--weight-file", model, "--average", "--engine", "local")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def outputs(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "_elmo_job.json"
    }


def test_each_partition_has_the_bytes_of_the_plain_command(
    tiny_folder: Path, corpus: Path, tmp_path: Path
) -> None:
    assert command(tiny_folder, corpus, tmp_path / "out") == 0
    found = outputs(tmp_path / "out")
    names = ["_SUCCESS", "a.txt.parquet", "b/b.txt.parquet", "c.txt.parquet"]
    assert sorted(found) == names and found["_SUCCESS"] == b""
    for name in names[1:]:
        plain = tmp_path / "plain.parquet"
        source = corpus / name.removesuffix(".parquet")
        run(embed, source, plain, "--average", "--force", "--weight-file", tiny_folder)
        assert plain.read_bytes() == found[name]


def test_a_second_start_does_what_is_missing_and_nothing_twice(
    tiny_folder: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (corpus / "d.parquet").write_bytes(b"broken")
    assert command(tiny_folder, corpus, out) == 1
    printed = capsys.readouterr()
    assert "FAILED d.parquet:" in printed.err and "must be a Parquet file" in printed.err
    assert "3 of 4 partitions are done" in printed.out and "Not done: d.parquet" in printed.out
    assert not (out / "_SUCCESS").exists()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.txt.parquet")}
    assert len(before) == 3
    # it is mended, and another file comes
    table = parquet.read_table(out / "a.txt.parquet", columns=["sentence"])
    parquet.write_table(table, corpus / "d.parquet")
    (corpus / "e.txt").write_text("A new one\n", encoding="utf-8")
    assert command(tiny_folder, corpus, out) == 0
    assert "3 of 5 partitions were done before" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (out / "_SUCCESS").exists() and not (out / "_temporary").exists()
    # the same sentences, from a table
    assert outputs(out)["d.parquet"] == outputs(out)["a.txt.parquet"]
    assert command(tiny_folder, corpus, out) == 0
    assert "0 sentences" in capsys.readouterr().out


def test_a_job_killed_in_the_middle_is_resumed(
    tiny_folder: Path, corpus: Path, tmp_path: Path
) -> None:
    (corpus / "c.txt").write_text("The bank of the river\n" * 20_000, encoding="utf-8")
    out = tmp_path / "out"
    arguments = [corpus, out, "--average", "--pooling", "mean", "--engine", "local"]
    code = "from elmo_components.commands.main import run; run()"
    line = [sys.executable, "-c", code, "embed", *arguments, "--weight-file", tiny_folder]
    process = subprocess.Popen([str(one) for one in line], start_new_session=True)
    try:
        for _ in range(1200):
            # the last one has begun
            if list(out.glob("_temporary/*/*.parquet")) and len(outputs(out)) >= 3:
                break
            time.sleep(0.05)
        assert process.poll() is None, "the job ended before it was killed"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (out / "c.txt.parquet").exists() and not (out / "_SUCCESS").exists()
    left = list(out.glob("_temporary/*/*"))
    assert left and str(process.pid) in left[0].name
    # less to do
    (corpus / "c.txt").write_text("The bank of the river\n" * 10, encoding="utf-8")
    assert command(tiny_folder, *arguments[:2], "--pooling", "mean") == 0
    assert parquet.read_metadata(out / "c.txt.parquet").num_rows == 10
    assert not (out / "_temporary").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--float16"], "float16 was False and is True"),
        (["--precision", "int8"], "precision was 'float32' and is 'int8'"),
        (["--tokenizer", "character"], "tokenizer was 'just_spaces' and is 'character'"),
    ],
)
def test_a_job_with_other_settings_is_refused(
    tiny_folder: Path, corpus: Path, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    out = tmp_path / "out"
    assert command(tiny_folder, corpus, out) == 0
    with pytest.raises(ValueError, match=problem):
        command(tiny_folder, corpus, out, *arguments)
    assert (out / "_SUCCESS").exists()
    assert command(tiny_folder, corpus, out, *arguments, "--force") == 0


def test_another_model_is_refused(tiny: Elmo, corpus: Path, tmp_path: Path) -> None:
    for number in range(2):
        tiny.save_pretrained(tmp_path / f"model{number}")
        next(tiny.bilm.parameters()).data += 1.0
    assert command(tmp_path / "model0", corpus, tmp_path / "out") == 0
    with pytest.raises(ValueError, match="of a job with other settings: model was"):
        command(tmp_path / "model1", corpus, tmp_path / "out")


def test_an_input_that_changed_is_refused(tiny_folder: Path, corpus: Path, tmp_path: Path) -> None:
    assert command(tiny_folder, corpus, tmp_path / "out") == 0
    (corpus / "a.txt").write_text("Something else\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.txt has changed since a\.txt\.parquet was written"):
        command(tiny_folder, corpus, tmp_path / "out")


def test_the_folder_must_be_the_jobs_own(tiny_folder: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match=r"a\.txt is a file"):
        command(tiny_folder, corpus, corpus / "a.txt")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "other.csv").write_text("", encoding="utf-8")
    with pytest.raises(FileExistsError, match="did not write"):
        command(tiny_folder, corpus, tmp_path / "other")
    with pytest.raises(ValueError, match="an input in the folder of the outputs"):
        command(tiny_folder, corpus, corpus)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "_elmo_job.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="must be the manifest of a job"):
        command(tiny_folder, corpus, tmp_path / "bad")


def test_sentences_that_cannot_be_read_are_reported_and_left_out(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text('["It", "works"]\n{"x": 1}\n\n', encoding="utf-8")
    out = tmp_path / "out"
    assert command(tiny_folder, tmp_path / "a.jsonl", out) == 1
    assert "line 3: there is no token" in capsys.readouterr().err
    assert command(tiny_folder, tmp_path / "a.jsonl", out, "--empty-lines", "skip") == 3
    assert "line 2: must have the key" in capsys.readouterr().err
    assert parquet.read_table(out / "a.jsonl.parquet").column("line").to_pylist() == [0]
    # also where nothing is left to do, and after another file was added
    assert command(tiny_folder, tmp_path / "a.jsonl", out, "--empty-lines", "skip") == 3
    (tmp_path / "b.txt").write_text("One\n", encoding="utf-8")
    arguments = (tmp_path / "a.jsonl", tmp_path / "b.txt", out, "--empty-lines", "skip")
    assert command(tiny_folder, *arguments) == 3
    assert "1 sentences failed and are left out" in capsys.readouterr().out
    assert command(tiny_folder, tmp_path / "b.txt", out, "--empty-lines", "skip") == 0


def test_an_output_within_the_input_is_refused_at_the_start(
    tiny_folder: Path, corpus: Path
) -> None:
    with pytest.raises(ValueError, match="must lie outside the input"):
        command(tiny_folder, corpus, corpus / "vectors")
    assert not (corpus / "vectors").exists()
    # it is no input where it is hidden
    for _ in range(2):
        assert command(tiny_folder, corpus, corpus / "_vectors") == 0


def test_raw_text_is_split_by_spacys_rules(tiny_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    (tmp_path / "raw.txt").write_text("It works, doesn't it?\n", encoding="utf-8")
    command(tiny_folder, tmp_path / "raw.txt", tmp_path / "out", "--tokenizer", "spacy_blank")
    (vectors,) = parquet.read_table(tmp_path / "out" / "raw.txt.parquet").column("vectors")
    # It works , does n't it ?
    assert len(vectors) == 7


def test_a_full_disk_ends_the_run_and_names_the_partition(
    tiny_folder: Path,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = EmbedWork.write
    begun = []

    def full(self: EmbedWork, records: Iterator[bytes], *others: Any, number: int) -> int:
        begun.append(number)
        if len(begun) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, records, *others, number=number)

    monkeypatch.setattr(EmbedWork, "write", full)
    assert command(tiny_folder, corpus, tmp_path / "out") == 1
    printed = capsys.readouterr()
    assert "FAILED b/b.txt.parquet: [Errno 28] No space left on device" in printed.err
    assert "The disk is full" in printed.err and "1 of 3 partitions are done" in printed.out
    assert len(begun) == 2
    assert command(tiny_folder, corpus, tmp_path / "out") == 0


def test_a_partition_that_kills_its_workers_fails_in_the_end(
    tiny: Elmo, corpus: Path, tmp_path: Path
) -> None:
    settings = EmbedSettings(VectorChoice("top"))
    job = PartitionJob(place_of(str(tmp_path / "out")), Reading(), settings)
    (partition,) = find_partitions([str(corpus / "a.txt")], Reading())

    class Killed(BaseException):
        """Ends a process as far as `PartitionJob.run` can see: it leaves its files."""

    class Deadly(EmbedWork):
        def write(self, *_: Any, **__: Any) -> int:
            raise Killed

    remove, partition_job._remove = partition_job._remove, lambda folder: None
    try:
        for _ in range(4):
            with pytest.raises(Killed):
                job.run(partition, Deadly(tiny.bilm, settings))
    finally:
        partition_job._remove = remove
    result = job.run(partition, EmbedWork(tiny.bilm, settings))
    assert "4 workers died with it" in result.error and result.deaths == 4
    # which is forgotten with the next start
    assert not job.run(partition, EmbedWork(tiny.bilm, settings)).error


def test_options_that_make_no_sense_are_refused(tiny_folder: Path, corpus: Path) -> None:
    for arguments in (
        ["-", "out"],
        [corpus, "out", "--use-sentence-keys"],
        [corpus, "out", "--output-format", "npz"],
        [corpus, "out", "--workers", "2"],
    ):
        with pytest.raises(ValueError, match="--engine"):
            command(tiny_folder, *arguments)
    with pytest.raises(ValueError, match="2 inputs need --engine"):
        run(embed, "a.txt", "b.txt", "out.hdf5", "--top", "--weight-file", tiny_folder)


def test_the_manifest_has_settings_and_partitions(
    tiny_folder: Path, corpus: Path, tmp_path: Path
) -> None:
    assert command(tiny_folder, corpus, tmp_path / "out") == 0
    manifest = json.loads((tmp_path / "out" / "_elmo_job.json").read_text(encoding="utf-8"))
    assert manifest["settings"]["layers"] == "mean"
    assert manifest["partitions"]["b/b.txt.parquet"] == {
        "source": str(corpus / "b" / "b.txt"),
        "size": (corpus / "b" / "b.txt").stat().st_size,
        "row_groups": None,
    }


def test_a_missing_ray_is_one_line_that_names_the_extra(
    tiny_folder: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    options = ["--top", "--weight-file", tiny_folder, "--engine", "ray"]
    with pytest.raises(ValueError, match=r"needs Ray: pip install 'elmo_components\[ray\]'"):
        run(embed, corpus, tmp_path / "out", *options)


def test_what_is_for_ray_needs_ray(tiny_folder: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are for --engine ray; found --engine local"):
        command(tiny_folder, corpus, tmp_path / "out", "--workers", 2)
    with pytest.raises(ValueError, match="--threads are for --engine ray; found --engine local"):
        command(tiny_folder, corpus, tmp_path / "out", "--threads", 2)
    with pytest.raises(ValueError, match="are for --engine ray; found no --engine"):
        run(embed, corpus / "a.txt", tmp_path / "a.npz", "--all", "--workers", 2)
