"""Tests of writers.py; the layout of HDF5 is written by hand from AllenNLP 0.9's."""

import json
import sys
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy
import pytest

from elmo_components.embedding import tables
from elmo_components.embedding.readers import SentenceFile
from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.writers import Entry, check_key, format_of, write_vectors

LAYERS, SIZE = 3, 4
TEXTS = ["A bank", "caf\u00e9 / x", "", "A bank"]


def entries(choice: VectorChoice, texts: Iterable[str] = TEXTS) -> Iterator[Entry]:
    for line, text in enumerate(texts):
        shape = choice.shape(len(text.split()), num_layers=LAYERS, size=SIZE)
        numbers = numpy.arange(numpy.prod(shape, dtype=int), dtype=choice.dtype)
        # line 1 is missing, like one that failed
        yield Entry(line + (line > 0), text, numbers.reshape(shape) + line)


def write(path: Path, choice: VectorChoice, texts: Iterable[str] = TEXTS, **settings: Any) -> list:
    refused: list[tuple[int, str]] = []
    write_vectors(
        path,
        entries(choice, texts),
        output_format=format_of(path),
        choice=choice,
        num_layers=LAYERS,
        size=SIZE,
        refuse=lambda line, why: refused.append((line, why)),
        **settings,
    )
    return refused


def test_sentences_are_keys_as_in_allennlp_and_clashes_are_reported(
    tmp_path: Path,
) -> None:
    texts = ["a/b", "a", "a/b/c", "and / or", "b.", "a/d"]
    refused = write(tmp_path / "a.hdf5", VectorChoice("top"), texts, sentence_keys=True)
    assert [line for line, _ in refused] == [2, 3]
    assert "'a' exists already" in refused[0][1] and "inside the key 'a/b'" in refused[1][1]
    with h5py.File(tmp_path / "a.hdf5") as file:
        for text, tokens in (("a/b", 1), ("and / or", 3), ("b.", 1), ("a/d", 1)):
            assert file[text].shape == (tokens, SIZE)


@pytest.mark.parametrize("key", [".", "a/./b", "/a", "a//b", "a\0b", "x" * 65_001, ""])
def test_hdf5_has_keys_that_it_cannot_hold(key: str) -> None:
    with pytest.raises(ValueError, match="a key"):
        check_key(key, "hdf5")
    check_key(key, "parquet")


def test_npz_has_the_same_keys(tmp_path: Path) -> None:
    choice = VectorChoice("all", float16=True)
    write(tmp_path / "a.npz", choice)
    with numpy.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert set(file.files) == {"0", "2", "3", "4", "sentence_to_index"}
        for entry in entries(choice):
            assert file[str(entry.line)].dtype == numpy.float16
            numpy.testing.assert_array_equal(file[str(entry.line)], entry.vectors)
        index = file["sentence_to_index"]
        assert index.shape == (1,)
        assert json.loads(index[0]) == {"A bank": "4", "caf\u00e9 / x": "2", "": "3"}


@pytest.mark.parametrize(
    "choice",
    [
        VectorChoice("all"),
        VectorChoice("mean", float16=True),
        VectorChoice(1, pooling="max"),
        VectorChoice("all", pooling="mean", float16=True),
    ],
)
def test_a_table_has_a_row_for_each_sentence(
    tmp_path: Path, choice: VectorChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(tables, "GROUP_SENTENCES", 3)
    write(tmp_path / "a.parquet", choice)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2
    assert table["line"].to_pylist() == [0, 2, 3, 4] and table["sentence"].to_pylist() == TEXTS
    names = ["layer_0", "layer_1", "layer_2"] if choice.layers == "all" else ["vectors"]
    assert table.column_names == ["line", "sentence", *names]
    leaf = "halffloat" if choice.float16 else "float"
    assert f"fixed_size_list<element: {leaf}>[4]" in str(table.schema.field(names[0]).type)
    for row, entry in enumerate(entries(choice)):
        found = [table[name][row].as_py() for name in names]
        wanted = entry.vectors if choice.layers == "all" else entry.vectors[None]
        numpy.testing.assert_array_equal(numpy.array(found).reshape(wanted.shape), wanted)


def test_a_table_need_not_hold_sentences_and_may_have_no_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "a.parquet", VectorChoice("top"), [], keep_sentences=False)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.num_rows == 0 and table.column_names == ["line", "vectors"]


@pytest.mark.parametrize("name", ["a.hdf5", "a.npz", "a.parquet"])
def test_the_same_vectors_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "other").mkdir()
    paths = [tmp_path / name, tmp_path / "other" / name]
    for path in paths:
        write(path, VectorChoice("all"))
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("name", ["a.hdf5", "a.npz", "a.parquet"])
def test_few_vectors_are_in_memory_at_once(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "GROUP_SENTENCES", 10)
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def counted() -> Iterator[Entry]:
        nonlocal alive, most
        for line in range(200):
            array = numpy.zeros((2, SIZE), dtype=numpy.float32)
            weakref.finalize(array, gone)
            alive += 1
            most = max(most, alive)
            yield Entry(line, "a", array)

    write_vectors(
        tmp_path / name,
        counted(),
        output_format=format_of(tmp_path / name),
        choice=VectorChoice("top"),
        num_layers=LAYERS,
        size=SIZE,
        refuse=lambda line, why: None,
    )
    # a row group, the next one's first row, and the group before
    assert most <= (21 if name == "a.parquet" else 3)


def test_without_pyarrow_a_table_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'elmo_components\[parquet\]'"):
        write(tmp_path / "a.parquet", VectorChoice("top"))
    (tmp_path / "b.parquet").touch()
    with pytest.raises(ValueError, match=r"pip install 'elmo_components\[parquet\]'"):
        list(SentenceFile(tmp_path / "b.parquet").records())
