"""Tests of vector_file.py."""

import copy
import logging
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Timer
from typing import Any

import numpy
import pytest
import torch

from elmo_components.caching.vector_file import VectorFile
from elmo_components.characters import CharacterMapper

SIZE = 3


def opened(folder: Path, **settings: Any) -> VectorFile:
    given = {"size": SIZE, "model": "one", "max_bytes": 10**7, **settings}
    return VectorFile(folder / "new" / "vectors.sqlite", **given)


class Model:
    """Gives a word its length, the sentence's and 1/3; counts the sentences that it computes."""

    def __init__(self, sentences: Sequence[Sequence[str]]) -> None:
        self.sentences = sentences
        self.computed: list[list[str]] = []

    def __call__(self, rows: list[int]) -> torch.Tensor:
        longest = max(map(len, self.sentences))
        # 7 is padding that nobody may see
        vectors = torch.full((len(rows), longest, SIZE), 7.0, dtype=torch.float32)
        for place, row in enumerate(rows):
            sentence = self.sentences[row]
            self.computed.append(list(sentence))
            for number, word in enumerate(sentence):
                vectors[place, number] = torch.tensor([len(word), len(sentence), 1 / 3])
        return vectors


def check(cache: VectorFile, *texts: str, computes: Sequence[str]) -> None:
    """Holds a batch's vectors to the model's, and which sentences are computed."""
    sentences = [text.split() for text in texts]
    model = Model(sentences)
    lengths = list(map(len, sentences))
    found = cache.vectors(CharacterMapper().batch_ids(sentences), lengths, model)
    assert [" ".join(sentence) for sentence in model.computed] == list(computes)
    expected = Model(sentences)(list(range(len(sentences))))
    for row, length in enumerate(lengths):
        expected[row, length:] = 0.0
    torch.testing.assert_close(found, expected.half().float(), rtol=0, atol=0)


def test_a_sentence_is_computed_once_whatever_its_batch(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    check(cache, "the bank", "of the river", "the bank", computes=["the bank", "of the river"])
    check(cache, "of", "the bank", "", computes=["of", ""])
    check(cache, "of the river bank", "of the river", computes=["of the river bank"])
    check(cache, "", "of", computes=[])
    assert len(cache) == 5


def test_a_later_run_and_a_copy_read_the_same_file(tmp_path: Path) -> None:
    first = opened(tmp_path)
    check(first, "the bank", computes=["the bank"])
    check(copy.deepcopy(first), "the bank", "a river", computes=["a river"])
    check(opened(tmp_path), "the bank", "a river", computes=[])


def test_a_full_file_serves_what_it_has_and_computes_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # 20,000 bytes a sentence
    texts = [" ".join([letter] * 3333) for letter in "abcdefghij"]
    cache = opened(tmp_path, max_bytes=200_000)
    with caplog.at_level(logging.INFO):
        for text in texts:
            check(cache, text, computes=[text])
    assert "is full; other sentences are computed each time" in caplog.text
    number = len(cache)
    assert 2 <= number < 8
    check(cache, *texts, computes=texts[number:])
    assert len(cache) == number
    assert (tmp_path / "new" / "vectors.sqlite").stat().st_size <= 250_000


def fill(folder: Path) -> None:
    cache = opened(folder)
    for number in range(40):
        sentence = list(map(str, range(number)))
        ids = CharacterMapper().batch_ids([sentence])
        found = cache.vectors(ids, [number], Model([sentence]))
        torch.testing.assert_close(found, Model([sentence])([0]).half().float(), rtol=0, atol=0)


def test_processes_share_a_file(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(fill, [tmp_path] * 3))
    assert len(opened(tmp_path)) == 40


def test_a_file_is_opened_while_another_process_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "vectors.sqlite"
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = Timer(0.3, lambda: other.execute("ROLLBACK"))
    release.start()
    check(opened(tmp_path), "the bank", computes=["the bank"])
    release.join()


def test_numbers_beyond_float16_are_an_error_and_not_kept(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    with pytest.raises(ValueError, match="must fit float16, up to 65,504, and do not"):
        ids = CharacterMapper().batch_ids([["of"]])
        cache.vectors(ids, [1], lambda rows: torch.full((1, 1, SIZE), 1e5))
    check(cache, "of", computes=["of"])


def test_another_models_file_is_refused_and_unchanged(tmp_path: Path) -> None:
    check(opened(tmp_path), "the bank", computes=["the bank"])
    with pytest.raises(ValueError, match=r"has vectors of another model\. Delete the file, or"):
        opened(tmp_path, model="two")
    check(opened(tmp_path), "the bank", computes=[])


def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "new" / "vectors.sqlite"
    path.parent.mkdir()
    path.write_text("no database\n" * 100)
    with pytest.raises(OSError, match=r"file is not a database\. Delete the file, or name"):
        opened(tmp_path)
    assert path.read_text().startswith("no database")
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match=r"vectors\.sqlite: unable to open [a-z ]*$"):
        opened(tmp_path)


def test_what_was_added_before_a_failed_batch_stays(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    check(cache, "the bank", computes=["the bank"])

    def fails(rows: list[int]) -> torch.Tensor:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        cache.vectors(CharacterMapper().batch_ids([["of"]]), [1], fails)
    with sqlite3.connect(tmp_path / "new" / "vectors.sqlite") as reader:
        ((vectors,),) = reader.execute("SELECT vectors FROM sentences").fetchall()
    expected = numpy.array([[3, 2, 1 / 3], [4, 2, 1 / 3]], numpy.float16)
    assert vectors == expected.tobytes()
