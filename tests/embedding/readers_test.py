"""Tests of readers.py."""

import gzip
import json
import lzma
import os
import sys
import threading
from pathlib import Path

import pytest

from elmo_components.embedding.readers import PIPE, SentenceFile

TEXT = "\ufeffThe  bank \n\n caf\u00e9\u2028s\u00a0x\n".encode()


def sentences(file: SentenceFile) -> list[tuple[str, list[str]]]:
    return [tuple(file.parse(record)) for record in file.records()]


def write_table(path: Path, **columns: list) -> SentenceFile:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    return SentenceFile(path)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.txt.gz", "a.xz"])
def test_a_line_of_text_is_a_sentence(tmp_path: Path, name: str) -> None:
    pack = {"gz": gzip.compress, "xz": lzma.compress}.get(name.rpartition(".")[2], bytes)
    (tmp_path / name).write_bytes(pack(TEXT))
    file = SentenceFile(tmp_path / name)
    assert sentences(file) == [
        ("The  bank", ["The", "bank"]),
        ("", []),
        ("caf\u00e9\u2028s\u00a0x", ["caf\u00e9", "s", "x"]),
    ]
    assert file.count() == 3


def test_json_lines_hold_tokens_or_strings(tmp_path: Path) -> None:
    values = [
        {"text": "not this", "tokens": ["A b", ""]},
        {"sentence": " A  b "},
        ["A", "b"],
        "A b",
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, values)) + "\n\n")
    assert sentences(SentenceFile(tmp_path / "a.jsonl")) == [
        ("A b ", ["A b", ""]),
        ("A  b", ["A", "b"]),
        ("A b", ["A", "b"]),
        ("A b", ["A", "b"]),
        ("", []),
    ]
    other = SentenceFile(tmp_path / "a.jsonl", field="text")
    assert other.parse(next(other.records())).text == "not this"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b'{"tokens": [', "must be JSON"),
        (b'{"text": "a\xff"}', "must be UTF-8"),
        (b'{"words": ["a"], "n": 1}', "key tokens or sentence or text; found 'words, n'"),
        (b'{"tokens": ["a", 7]}', "strings for tokens; found 7"),
        (b'{"tokens": ["a", null]}', "strings for tokens; found None"),
        (b'{"text": null}', "a string or a list of tokens; found None"),
        (b"12", "a string or a list of tokens; found 12"),
        (b'"\\ud800"', "text that UTF-8 can encode"),
        (b"[" * 100_000, "must (not nest so deeply|be JSON)"),
    ],
)
def test_a_malformed_record_is_an_error_that_says_why(record: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SentenceFile(Path("a.jsonl")).parse(record)


def test_a_table_holds_strings_or_lists(tmp_path: Path) -> None:
    strings = write_table(tmp_path / "a.parquet", text=["A  b", "", None, "c"], n=[1, 2, 3, 4])
    records = list(strings.records())
    assert [strings.parse(records[row]).tokens for row in (0, 1, 3)] == [["A", "b"], [], ["c"]]
    with pytest.raises(ValueError, match="found None"):
        strings.parse(records[2])
    assert strings.count() == 4 and strings.unit == "row"

    lists = write_table(tmp_path / "b.pq", words=[["A b"], [], ["c", "d"]])
    lists = SentenceFile(lists.path, field="words")
    assert [tokens for _, tokens in sentences(lists)] == [["A b"], [], ["c", "d"]]


def test_a_table_without_such_a_column_is_an_error(tmp_path: Path) -> None:
    file = write_table(tmp_path / "a.parquet", words=["a"], text=[b"a"])
    with pytest.raises(ValueError, match=r"found words: string, text: binary"):
        list(file.records())
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"b\.parquet must be a Parquet file"):
        list(SentenceFile(tmp_path / "b.parquet").records())
    for path in (PIPE, Path("a.gz")):
        with pytest.raises(ValueError, match="from an uncompressed file"):
            SentenceFile(path, format="parquet")


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: os.fdopen(writing, "wb").write(TEXT))
    writer.start()
    with os.fdopen(reading) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        assert len(sentences(SentenceFile(PIPE))) == 3
        assert not standard_input.closed
    writer.join()
    assert SentenceFile(PIPE).count() is None


def test_a_named_pipe_is_read_and_not_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(TEXT,))
    file = SentenceFile(tmp_path / "pipe")
    assert file.count() is None
    writer.start()
    assert len(sentences(file)) == 3
    writer.join()


@pytest.mark.parametrize("content", [gzip.compress(TEXT)[:-9], b"no gzip"], ids=["cut", "other"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.gz, after line"):
        list(SentenceFile(tmp_path / "a.gz").records())


def test_a_file_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nowhere\.txt"):
        SentenceFile(tmp_path / "nowhere.txt").records()
    with pytest.raises(ValueError, match="must be one of text, jsonl, parquet; found 'xml'"):
        SentenceFile(tmp_path / "nowhere.txt", format="xml")
