"""Tests of embed.py."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch

from elmo_components.characters import CharacterMapper
from elmo_components.elmo import Elmo
from tests.closeness import assert_close

WORDS = ["The", "bank", "of", "the", "river", "naïve", "\ud800"]
LENGTHS = [5, 0, 2, 70, 1, 0, 33, 2, 7, 150, 4, 1]
SENTENCES = [
    [WORDS[(place + number) % len(WORDS)] for place in range(length)]
    for number, length in enumerate(LENGTHS)
]


def one_by_one(elmo: Elmo, layers: str = "all") -> list[numpy.ndarray]:
    return [elmo.embed([sentence], layers=layers)[0] for sentence in SENTENCES]


def assert_same(found: Sequence[numpy.ndarray], expected: Sequence[numpy.ndarray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one.dtype == numpy.float32
        assert_close(one, other, 1e-6)


@pytest.mark.parametrize("layers", ["all", "mean", "top"])
@pytest.mark.parametrize(("batch_size", "window"), [(1, 1), (4, 100), (32, 8192)])
def test_a_stream_gives_each_sentences_own_vectors_in_order(
    tiny: Elmo, layers: str, batch_size: int, window: int
) -> None:
    found = tiny.embed_stream(iter(SENTENCES), layers=layers, batch_size=batch_size, window=window)
    assert_same(list(found), one_by_one(tiny, layers))


def test_no_sentences_give_no_vectors(tiny: Elmo) -> None:
    assert list(tiny.embed_stream(iter([]))) == []


def test_an_endless_stream_is_read_no_further_than_a_window(tiny: Elmo) -> None:
    read = []

    def sentences() -> Iterator[list[str]]:
        for number in count():
            read.append(number)
            yield ["word"] * 8

    vectors = tiny.embed_stream(sentences(), window=100)
    assert read == []
    assert len(list(islice(vectors, 10))) == 10
    # ten steps a sentence, with the marks
    assert len(read) == 10
    next(vectors)
    assert len(read) == 20


def test_sentences_without_tokens_fill_a_window_too(tiny: Elmo) -> None:
    vectors = tiny.embed_stream(([] for _ in count()), window=100)
    assert next(vectors).shape == (3, 0, 16)


def test_an_error_in_reading_comes_after_the_vectors_of_what_was_read(tiny: Elmo) -> None:
    def sentences() -> Iterator[list[str]]:
        yield from SENTENCES
        raise OSError("the disk is gone")

    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        # not list(), which would lose what came before the error
        for vector in tiny.embed_stream(sentences()):
            found.append(vector)
    assert_same(found, one_by_one(tiny))


@pytest.mark.parametrize("wrong", ["The bank", 7])
def test_what_is_no_sentence_is_named_after_the_vectors_before_it(
    tiny: Elmo, wrong: object
) -> None:
    vectors = tiny.embed_stream([*SENTENCES, wrong, ["never"]])
    assert_same(list(islice(vectors, len(SENTENCES))), one_by_one(tiny))
    with pytest.raises(TypeError, match=r"sentences\[12\] must be a sequence of tokens; found"):
        next(vectors)


def test_wrong_settings_are_errors_at_once(tiny: Elmo) -> None:
    with pytest.raises(ValueError, match="must be one of all, mean, top; found 'last'"):
        tiny.embed_stream([], layers="last")
    with pytest.raises(ValueError, match="batch_size must be 1 or more; found 0"):
        tiny.embed_stream([], batch_size=0)
    with pytest.raises(ValueError, match="batch_size must be 1 or more; found 0"):
        tiny.embed([], batch_size=0)
    with pytest.raises(ValueError, match="window must be 1 or more; found 0"):
        tiny.embed_stream([], window=0)


def test_between_two_vectors_the_model_is_as_the_caller_left_it(tiny: Elmo) -> None:
    expected = one_by_one(tiny)
    tiny.train()
    for found, wanted in zip(tiny.embed_stream(SENTENCES, window=20), expected):
        assert tiny.bilm.training and torch.is_grad_enabled()
        assert_close(found, wanted, 1e-6)


def test_a_sentence_longer_than_a_window_has_all_its_vectors(tiny: Elmo) -> None:
    long = WORDS * 30
    sentences = [["a"], long, ["a", "b"]]
    before, found, after = tiny.embed_stream(sentences, layers="top", window=100)
    assert before.shape == (1, 16) and after.shape == (2, 16)
    assert found.shape == (len(long), 16) and numpy.isfinite(found).all()


def test_every_submodule_gets_its_own_mode_back(tiny: Elmo) -> None:
    tiny.train()
    tiny.bilm.char_cnn.eval()
    before = [module.training for module in tiny.modules()]
    tiny.embed([["a"]])
    assert [module.training for module in tiny.modules()] == before


def test_threads_that_embed_use_no_dropout_and_leave_it_as_it_was(tiny_folder: Path) -> None:
    elmo = Elmo.from_pretrained(tiny_folder, recurrent_dropout=0.5)
    expected = elmo.embed([["a", "b"]])[0]
    elmo.train()

    def embed_often(_: int) -> bool:
        return all(
            numpy.allclose(elmo.embed([["a", "b"]])[0], expected, atol=1e-6) for _ in range(50)
        )

    with ThreadPoolExecutor(7) as threads:
        assert all(threads.map(embed_often, range(7)))
    assert all(module.training for module in elmo.modules())


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ([["a"], [["b"]]], r"The tokens of sentences\[1\] must be strings; found list"),
        ([["a", SimpleNamespace(text="b")]], r"sentences\[0\] must be strings.*pass its text"),
    ],
)
def test_tokens_that_are_no_strings_are_named(tiny: Elmo, sentences: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        tiny.embed(sentences)


def test_tokens_to_add_have_the_ids_of_the_indexer(tiny: Elmo) -> None:
    added = {"[MASK]": 5}
    ids = CharacterMapper(tokens_to_add=added).batch_ids([["a", "[MASK]"]])
    expected = tiny.bilm(ids).layers[:, 0, 1:-1].detach()
    (found,) = tiny.embed([["a", "[MASK]"]], tokens_to_add=added)
    assert_close(found, expected.numpy(), 1e-6)
    (found,) = tiny.embed_stream([["a", "[MASK]"]], tokens_to_add=added)
    assert_close(found, expected.numpy(), 1e-6)
    assert not numpy.allclose(tiny.embed([["a", "[MASK]"]])[0], found)
