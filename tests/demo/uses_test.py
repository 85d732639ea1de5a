"""Tests the comparison of a word's uses behind the page."""

import numpy
import pytest

from elmo_components.demo.examples import USES
from elmo_components.demo.uses import (
    MAX_CHARACTERS,
    MAX_SENTENCES,
    Uses,
    compare_uses,
    find_groups,
)
from elmo_components.elmo import Elmo

SENTENCES = "The bank is near .\nA Bank lends money .\nbank bank ."


def compare(elmo: Elmo, word: str, text: str, layer: str = "top") -> Uses:
    return compare_uses(elmo, word, text, layer=layer, split=str.split)


def test_each_use_has_a_group_a_point_and_its_nearest_others(tiny: Elmo) -> None:
    found = compare(tiny, " bank ", f"\n{SENTENCES}\n\n")
    assert [one.place for one in found.occurrences] == [1, 1, 0, 1]
    assert found.points.shape == (4, 2)
    assert len(found.groups) == 4
    for place, near in enumerate(found.neighbours):
        assert len(near) == 2
        assert place not in dict(near)


def test_layer_0_has_one_group_of_a_word_and_one_point(tiny: Elmo) -> None:
    text = "The bank is near .\nA bank lends money .\nOur bank closed ."
    found = compare(tiny, "bank", text, layer="0")
    assert found.groups == [0, 0, 0]
    numpy.testing.assert_allclose(found.points, 0.0, atol=1e-5)
    assert found.neighbours[0][0][1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("word", "text", "message"),
    [
        (" ", SENTENCES, "Enter a word"),
        ("two words", SENTENCES, "one token without white space; found 'two words'"),
        ("bank", " \n", "Enter sentences"),
        ("river", SENTENCES, "at least twice.*found nowhere"),
        ("near", SENTENCES, "at least twice.*found once"),
        ("bank", "a\n" * (MAX_SENTENCES + 1), "at most 100 sentences; found 101"),
        ("bank", "bank " * 201, "at most 200 uses of 'bank'; found 201"),
        ("bank", "a" * (MAX_CHARACTERS + 1), "at most 20,000 characters.*found 20,001"),
    ],
)
def test_bad_input_is_an_error_that_says_what_to_do(
    tiny: Elmo, word: str, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        compare(tiny, word, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layer", ["7", "bottom"])
def test_an_unknown_layer_is_an_error(tiny: Elmo, layer: str) -> None:
    with pytest.raises(ValueError, match="layer must be top, mean, or 0 to 2"):
        compare(tiny, "bank", SENTENCES, layer=layer)


def test_groups_are_those_of_vectors_in_two_directions() -> None:
    noise = numpy.random.default_rng(0).normal(scale=0.05, size=(8, 3))
    directions = numpy.array([[1, 0, 0], [0, 1, 0]])
    vectors = directions[[0, 0, 1, 0, 1, 1, 0, 1]] + noise
    assert find_groups(vectors) == [0, 0, 1, 0, 1, 1, 0, 1]


def test_two_vectors_and_equal_vectors_are_one_group() -> None:
    assert find_groups(numpy.eye(2)) == [0, 0]
    assert find_groups(numpy.ones((5, 3))) == [0] * 5


def test_the_shipped_model_tells_the_senses_of_the_first_example_apart() -> None:
    elmo = Elmo.from_pretrained("english")
    text = "\n".join(USES["bank"]).replace(".", " .")
    # five sentences of rivers, then five of money
    assert compare(elmo, "bank", text).groups == [0] * 5 + [1] * 5


@pytest.mark.parametrize("word", USES)
def test_each_example_has_its_word_in_every_sentence(tiny: Elmo, word: str) -> None:
    text = "\n".join(USES[word]).replace(".", " .").replace(",", " ,")
    assert len(compare(tiny, word, text).occurrences) == len(USES[word])
