"""Tests of selection.py."""

import numpy
import pytest

from elmo_components.embedding.selection import VectorChoice

# (num_layers, tokens, size): two layers of three tokens
LAYERS = numpy.array(
    [[[1, 2], [3, 4], [5, 9]], [[10, 20], [30, 40], [50, 60]]], dtype=numpy.float32
)
SIZES = {"num_layers": 2, "size": 2}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (VectorChoice("all"), LAYERS.tolist()),
        (VectorChoice(0), [[1, 2], [3, 4], [5, 9]]),
        (VectorChoice(1), [[10, 20], [30, 40], [50, 60]]),
        (VectorChoice((0.5, 2.0)), [[20.5, 41], [61.5, 82], [102.5, 124.5]]),
        (VectorChoice("all", pooling="mean"), [[3, 5], [30, 40]]),
        (VectorChoice("all", pooling="max"), [[5, 9], [50, 60]]),
        (VectorChoice(0, pooling="mean", float16=True), [3, 5]),
    ],
)
def test_layers_and_pooling_choose_what_they_say(choice: VectorChoice, expected: list) -> None:
    chosen = choice.choose(LAYERS)
    assert chosen.dtype == choice.dtype and choice.embedded == "all"
    assert chosen.shape == choice.shape(3, **SIZES)
    assert chosen.tolist() == expected


@pytest.mark.parametrize("layers", ["mean", "top"])
def test_layers_that_elmo_chooses_are_unchanged(layers: str) -> None:
    choice = VectorChoice(layers)
    assert choice.embedded == layers
    assert choice.choose(LAYERS[0]).tolist() == LAYERS[0].tolist()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_sentence_without_tokens_has_one_vector_of_zeros(pooling: str) -> None:
    chosen = VectorChoice("all", pooling=pooling).choose(LAYERS[:, :0])
    assert chosen.tolist() == [[0, 0], [0, 0]]


def test_numbers_beyond_float16_are_an_error() -> None:
    choice = VectorChoice(0, float16=True)
    assert choice.choose(numpy.full((1, 1, 1), 65504, numpy.float32)) == 65504
    with pytest.raises(ValueError, match="must be within 65504 for float16"):
        choice.choose(numpy.full((1, 1, 1), -65600, numpy.float32))


def test_unknown_names_and_layers_are_errors() -> None:
    with pytest.raises(ValueError, match="layers must be one of all, mean, top; found 'last'"):
        VectorChoice("last")
    with pytest.raises(ValueError, match="pooling must be one of mean, max; found 'sum'"):
        VectorChoice(pooling="sum")
    VectorChoice(2).check(3)
    for layer in (-1, 3):
        with pytest.raises(ValueError, match=f"from 0 to 2 for this model; found {layer}"):
            VectorChoice(layer).check(3)
    with pytest.raises(ValueError, match="3 weights, one for each layer; found 2"):
        VectorChoice((1.0, 2.0)).check(3)
