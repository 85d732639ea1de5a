"""Tests of char_cnn.py."""

import numpy
import pytest
import torch
import torch.nn.utils.stateless

from elmo_components.char_cnn import CharCnn
from elmo_components.characters import CharacterMapper
from elmo_components.config import CharCnnConfig
from tests.reference import float64, word_vector

# torch 2 gave it its place, torch 1.12 has it here
functional_call = getattr(torch, "func", torch.nn.utils.stateless).functional_call

SENTENCE = ["The", "a", "x" * 60, "naïve", ""]
FILTERS = ((1, 3), (2, 4), (7, 5))


def make(
    *, activation: str = "relu", highways: int = 2, hidden_size: int = 6, double: bool = True
) -> CharCnn:
    config = CharCnnConfig(4, FILTERS, highways, activation)
    char_cnn = CharCnn(config, hidden_size=hidden_size)
    for parameter in char_cnn.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return char_cnn.double() if double else char_cnn


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("highways", [0, 1, 2])
@pytest.mark.parametrize("hidden_size", [6, 12])
def test_words_are_the_equations(activation: str, highways: int, hidden_size: int) -> None:
    char_cnn = make(activation=activation, highways=highways, hidden_size=hidden_size)
    # 12 filters in all: with a hidden size of 12 there is nothing to project
    assert (char_cnn.projection is None) == (hidden_size == 12)
    ids = CharacterMapper().batch_ids([SENTENCE])
    expected = [
        word_vector(
            word,
            float64(char_cnn.state_dict()),
            activation=activation,
            num_filters=len(FILTERS),
            num_highways=highways,
        )
        for word in ids[0].tolist()
    ]
    torch.testing.assert_close(char_cnn(ids)[0], torch.tensor(numpy.array(expected)))


def test_the_shape_before_the_characters_is_kept() -> None:
    ids = CharacterMapper().batch_ids([SENTENCE, SENTENCE])
    char_cnn = make()
    assert char_cnn(ids).shape == (2, 5, 6)
    assert char_cnn(ids[:, :, None]).shape == (2, 5, 1, 6)
    assert char_cnn(ids[:0]).shape == (0, 5, 6)


def test_gradients_are_those_of_the_function() -> None:
    char_cnn = make(activation="tanh")
    ids = CharacterMapper().batch_ids([["ab", "c"]])
    parameters = dict(char_cnn.named_parameters())
    # the mask's row is held at its value, so the check leaves the embedding out
    names = [name for name in parameters if name != "character_embedding.weight"]

    def output(*values: torch.Tensor) -> torch.Tensor:
        return functional_call(char_cnn, dict(zip(names, values)), (ids,))

    assert torch.autograd.gradcheck(output, tuple(parameters[name] for name in names))


def test_the_masks_vector_is_zero_and_stays_so() -> None:
    char_cnn = CharCnn(CharCnnConfig(4, FILTERS, 1, "relu"), hidden_size=6)
    ids = torch.zeros(2, 50, dtype=torch.int64)
    ids[0] = CharacterMapper().batch_ids([["word"]])[0, 0]
    char_cnn(ids).sum().backward()
    weight = char_cnn.character_embedding.weight
    assert not weight[0].any()
    assert weight.grad is not None and weight.grad[1:].any() and not weight.grad[0].any()


@pytest.mark.parametrize("length", [0, 1, 40, 41, 42, 47, 48])
def test_words_of_any_length_are_the_equations_whatever_stands_beside_them(length: int) -> None:
    # the widest filter, 7, has windows of padding alone for words of up to 41 characters
    char_cnn = make()
    word = "".join(chr(97 + index % 26) for index in range(length))
    ids = CharacterMapper().batch_ids([[word], [word, "a", word]])
    expected = word_vector(
        ids[0, 0].tolist(),
        float64(char_cnn.state_dict()),
        activation="relu",
        num_filters=len(FILTERS),
        num_highways=2,
    )
    found = char_cnn(ids)
    for vector in (found[0, 0], found[1, 0], found[1, 2], char_cnn(ids[0, 0])):
        torch.testing.assert_close(vector, torch.tensor(expected))
