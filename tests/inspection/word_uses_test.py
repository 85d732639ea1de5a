"""Tests of word_uses.py and pictures.py."""

import math
from pathlib import Path

import numpy
import pytest

from elmo_components.elmo import Elmo
from elmo_components.inspection.mixes import Mix
from elmo_components.inspection.pictures import draw_mixes, draw_words
from elmo_components.inspection.word_uses import (
    Occurrence,
    find_occurrences,
    nearest,
    project,
    word_vectors,
)
from tests.closeness import assert_close

TEXT = (
    "the bank of the river/a Bank lent it/no such word/bank to bank/the bank of the river/her bank"
)
SENTENCES = [sentence.split() for sentence in TEXT.split("/")]


def test_each_use_of_a_word_is_found_in_the_first_sentences_that_have_it() -> None:
    found = find_occurrences(SENTENCES, "bank", limit=9)
    assert [(" ".join(use.tokens), use.place) for use in found] == [
        ("the bank of the river", 1),
        ("bank to bank", 0),
        ("bank to bank", 2),
        ("her bank", 1),
    ]
    assert find_occurrences(SENTENCES, "bank", limit=2) == found[:3]
    uncased = find_occurrences(SENTENCES, "BANK", cased=False, limit=2)
    assert [use.tokens for use in uncased] == [tuple(SENTENCES[0]), tuple(SENTENCES[1])]
    assert find_occurrences(SENTENCES, "banks", limit=2) == []
    for word, limit in (("two words", 1), ("", 1), ("bank", 0)):
        with pytest.raises(ValueError):
            find_occurrences(SENTENCES, word, limit=limit)


def test_a_use_is_shown_with_the_words_around_it() -> None:
    use = Occurrence(("a", "b", "c", "d", "e"), 3)
    assert use.marked(width=4) == "a b c [d] e"
    assert use.marked(width=1) == "... c [d] e"
    assert Occurrence(("a", "b", "c"), 0).marked(width=1) == "[a] b ..."


@pytest.mark.parametrize("layer", ["top", "mean", 0, 1, 2])
def test_vectors_are_the_models_at_the_words_places(tiny: Elmo, layer: object) -> None:
    uses = find_occurrences(SENTENCES, "bank", limit=9)
    found = word_vectors(tiny.bilm, uses, layer=layer)  # type: ignore[arg-type]
    for vector, use in zip(found, uses):
        layers = tiny.embed([use.tokens])[0][:, use.place]
        expected = {"top": layers[-1], "mean": layers.mean(axis=0)}.get(
            layer, layers[layer if isinstance(layer, int) else 0]
        )
        assert_close(vector, expected, 1e-6)


def test_a_layer_that_is_not_there_is_an_error(tiny: Elmo) -> None:
    uses = find_occurrences(SENTENCES, "bank", limit=1)
    for layer in (3, -1, "bottom"):
        with pytest.raises(ValueError, match="must be top, mean, or 0 to 2"):
            word_vectors(tiny.bilm, uses, layer=layer)
    assert word_vectors(tiny.bilm, []).shape == (0, 16)


def test_neighbours_are_the_others_by_their_cosines() -> None:
    angles = numpy.radians([0.0, 10.0, 50.0, 180.0])
    # lengths do not count
    vectors = numpy.stack([numpy.cos(angles), numpy.sin(angles)], axis=1) * [[1], [5], [2], [3]]
    found = nearest(vectors, number=2)
    assert [[other for other, _ in row] for row in found] == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert found[2][0][1] == pytest.approx(math.cos(math.radians(40.0)))
    assert nearest(vectors[:1], number=2) == [[]]
    assert [len(row) for row in nearest(vectors, number=9)] == [3] * 4
    assert nearest(numpy.zeros((2, 3)), number=1) == [[(1, 0.0)], [(0, 0.0)]]


def test_the_plane_is_that_of_the_most_variance() -> None:
    vectors = numpy.random.RandomState(3).normal(size=(30, 5)) * [10.0, 3.0, 0.1, 0.1, 0.1] + 7.0
    points, shares = project(vectors)
    values, axes = numpy.linalg.eigh(numpy.cov(vectors.T))
    expected = (vectors - vectors.mean(axis=0)) @ axes[:, [-1, -2]]
    numpy.testing.assert_allclose(numpy.abs(points), numpy.abs(expected), atol=1e-9)
    assert shares == pytest.approx(list(values[[-1, -2]] / values.sum()))
    for few in (vectors[:1], vectors[:2], vectors[[0, 0, 0]]):
        assert project(few)[0].shape == (len(few), 2)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_pictures_are_drawn_and_leave_no_other_file(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("adjustText", reason="the extra `plot` is not installed")
    mixes, words = tmp_path / f"mixes{suffix}", tmp_path / "new" / f"words{suffix}"
    draw_mixes([Mix("a", 1.0, (0.2, 0.3, 0.5)), Mix("b_$", 2.0, (0.5, 0.5))], mixes)
    points = numpy.random.RandomState(1).normal(size=(12, 2))
    # a formula to matplotlib, were they not escaped
    draw_words(points, [f"[bank] of $ {n}_ $ \\q {n}" for n in range(11)] + [""], words)
    draw_words(numpy.zeros((1, 2)), ["alone"], words, shares=(1.0, 0.0))
    for path in (mixes, words):
        assert path.stat().st_size > 5000
        assert [entry.name for entry in path.parent.iterdir() if entry.is_file()] == [path.name]
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg, \.pdf; found"):
        draw_words(points, [""] * 12, tmp_path / "words.txt")
    with pytest.raises(ValueError, match="no learned mix"):
        draw_mixes([], mixes)
