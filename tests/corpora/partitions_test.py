"""Tests of partitions.py."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from elmo_components.corpora import partitions
from elmo_components.corpora.partitions import Reading, find_partitions

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def test_each_kind_of_file_is_read(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfIt works\nA second one\n"
    (tmp_path / "a.txt").write_bytes(text)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(text))
    (tmp_path / "c.txt.xz").write_bytes(lzma.compress(text))
    (tmp_path / "d.jsonl").write_bytes(b'["It", "works"]\n{"text": "A second one"}\n')
    table = pyarrow.table({"tokens": [["It", "works"], ["A", "second", "one"]]})
    parquet.write_table(table, tmp_path / "e.parquet")
    found = find_partitions([str(tmp_path)], Reading())
    outputs = ["a.txt", "b.txt.gz", "c.txt.xz", "d.jsonl", "e"]
    assert [one.output for one in found] == [f"{name}.parquet" for name in outputs]
    for one in found:
        source = Reading().of(one.source.path)
        tokens = [source.parse(record).tokens for record in one.records(Reading())]
        assert tokens == [["It", "works"], ["A", "second", "one"]], one.output


def test_a_file_with_several_names_is_read_once(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "deep").mkdir(parents=True)
    (corpus / "a.txt").write_text("One\n")
    (corpus / "deep" / "b.txt").write_text("Two\n")
    (corpus / "deep" / "again").symlink_to("..")
    found = find_partitions([str(corpus)], Reading())
    assert sorted(one.output for one in found) == ["a.txt.parquet", "deep/b.txt.parquet"]


def test_a_large_table_is_divided_between_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "PARTITION_ROWS", 5)
    table = pyarrow.table({"text": [f"row {number}" for number in range(14)]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    found = find_partitions([str(tmp_path / "a.parquet")], Reading())
    assert [(one.output, one.row_groups, one.first_record) for one in found] == [
        ("a-00000.parquet", (0, 2), 0),
        ("a-00001.parquet", (2, 4), 6),
        ("a-00002.parquet", (4, 5), 12),
    ]
    rows = [json.loads(record) for one in found for record in one.records(Reading())]
    assert rows == table.column("text").to_pylist()


def test_a_broken_table_is_one_partition_that_its_worker_reports(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no table")
    (found,) = find_partitions([str(tmp_path)], Reading())
    with pytest.raises(ValueError, match=r"a\.parquet must be a Parquet file"):
        list(found.records(Reading()))


def test_two_files_with_one_output_are_an_error(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("A line\n", encoding="utf-8")
    both = [str(tmp_path / "a" / "x.txt"), str(tmp_path / "b" / "x.txt")]
    with pytest.raises(ValueError, match=r"would both be written to x\.txt\.parquet"):
        find_partitions(both, Reading())
    found = find_partitions([f"{tmp_path}/*/x.txt", both[0]], Reading())
    assert [one.output for one in found] == ["a/x.txt.parquet", "b/x.txt.parquet"]


def test_a_hidden_output_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "_x.txt").write_text("A line\n", encoding="utf-8")
    with pytest.raises(ValueError, match="must not begin with"):
        find_partitions([str(tmp_path / "_x.txt")], Reading())
