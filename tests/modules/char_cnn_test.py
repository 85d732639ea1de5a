"""Tests of char_cnn.py."""

from typing import Callable

import numpy
import pytest
import torch
import torch.nn.utils.stateless

from elmo_components.alphabet import MAX_ALPHABET
from elmo_components.characters import CharacterMapper
from elmo_components.config import CharCnnConfig
from elmo_components.modules.char_cnn import CharCnn
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
    turned = char_cnn(ids[0].t().contiguous().t())
    assert torch.equal(turned, char_cnn(ids[0]))


def test_the_masks_vector_is_zero_and_stays_so() -> None:
    char_cnn = CharCnn(CharCnnConfig(4, FILTERS, 1, "relu"), hidden_size=6)
    ids = torch.zeros(2, 50, dtype=torch.int64)
    ids[0] = CharacterMapper().batch_ids([["word"]])[0, 0]
    char_cnn(ids).sum().backward()
    weight = char_cnn.character_embedding.weight
    assert not weight[0].any()
    assert weight.grad is not None and weight.grad[1:].any() and not weight.grad[0].any()


def straightforward(
    char_cnn: CharCnn, ids: torch.Tensor, activation: Callable = torch.relu
) -> torch.Tensor:
    """The equations with torch's own convolution, maximum and highway, all words, all padding."""
    tensors = dict(char_cnn.named_parameters())
    embedded = torch.nn.functional.embedding(
        ids.flatten(0, 1), tensors["character_embedding.weight"], padding_idx=0
    ).transpose(1, 2)
    parts = []
    for index in range(len(FILTERS)):
        weight, bias = (tensors[f"convolutions.{index}.{name}"] for name in ("weight", "bias"))
        parts.append(activation(torch.conv1d(embedded, weight, bias).amax(-1)))
    words = torch.cat(parts, dim=1)
    for index in range(2):
        carry, transform = (
            words @ tensors[f"highways.{index}.{gate}.weight"].t()
            + tensors[f"highways.{index}.{gate}.bias"]
            for gate in ("carry", "transform")
        )
        words = carry.sigmoid() * transform.relu() + (1 - carry.sigmoid()) * words
    words = words @ tensors["projection.weight"].t() + tensors["projection.bias"]
    return words.view(*ids.shape[:2], -1)


# of all lengths up to the cut, with equal windows within a word, and words that come twice
MANY_WORDS = [*("ab" * 30)[:30], *["xyz" * (length // 3) for length in range(60)], "noon", "noon"]


@pytest.mark.parametrize("windows", [1, 60, 512])
def test_every_gradient_is_that_of_the_equations_however_words_are_grouped(
    windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elmo_components.modules.char_cnn._WINDOWS", windows)
    char_cnn = make()
    ids = CharacterMapper().batch_ids([MANY_WORDS, ["a", "noon"]])
    expected = straightforward(char_cnn, ids)
    found = char_cnn(ids)
    torch.testing.assert_close(found, expected)
    factors = torch.randn_like(expected)
    parameters = dict(char_cnn.named_parameters())
    torch.testing.assert_close(
        dict(zip(parameters, torch.autograd.grad((found * factors).sum(), parameters.values()))),
        dict(zip(parameters, torch.autograd.grad((expected * factors).sum(), parameters.values()))),
    )


def test_what_fills_up_a_word_may_be_any_character() -> None:
    char_cnn = make()
    ids = CharacterMapper().batch_ids([["one", "three"]])
    # the mask's id, a letter, and a different end of each
    for filling in (0, 98, torch.tensor([[7], [8]])):
        ids[0, :, 20:] = filling
        torch.testing.assert_close(char_cnn(ids), straightforward(char_cnn, ids))


def test_a_trace_serves_other_words() -> None:
    char_cnn = make()
    traced = torch.jit.trace(char_cnn, CharacterMapper().batch_ids([["a", "b", "a"]]))
    ids = CharacterMapper().batch_ids([["other", "x" * 48, "words"]])
    torch.testing.assert_close(traced(ids), straightforward(char_cnn, ids))


@pytest.mark.parametrize("wrong", [-1, 262, (1 << 16) + 98])
def test_an_id_out_of_range_is_refused_also_beside_a_known_word(wrong: int) -> None:
    char_cnn = make().requires_grad_(False)
    ids = CharacterMapper().batch_ids([["a", "a"]])
    char_cnn(ids)
    # 97 + 1 is the letter in the word
    ids[0, 1, 1] = wrong
    with pytest.raises(IndexError):
        char_cnn(ids)


def test_a_word_that_comes_often_keeps_all_its_gradients_within_autocast() -> None:
    char_cnn = make(double=False)
    # of so many equal parts a sum of bfloat16 would only keep the first 256
    ids = CharacterMapper().batch_ids([["the"] * 2000])
    weight = torch.randn(6)
    gradients = []
    for light in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=light):
            vectors = char_cnn(ids)
        total = (vectors.float() * weight).sum()
        gradients.append(torch.autograd.grad(total, list(char_cnn.projection.parameters())))
    for found, expected in zip(gradients[1], gradients[0]):
        assert (found - expected).norm() <= 0.02 * expected.norm()


@pytest.mark.parametrize("number", [3, MAX_ALPHABET])
@pytest.mark.parametrize("frozen", [False, True])
def test_characters_of_an_alphabet_have_vectors_of_their_own(number: int, frozen: bool) -> None:
    alphabet = "".join(map(chr, range(0x4E00, 0x4E00 + number)))
    config = CharCnnConfig(4, FILTERS, 2, "relu", alphabet)
    char_cnn = CharCnn(config, hidden_size=6).double().requires_grad_(not frozen)
    assert char_cnn.character_embedding.weight.shape == (262 + number, 4)
    words = [alphabet[0], alphabet[-1], alphabet[-1] + "a" + alphabet[0], "\u3042"]
    ids = CharacterMapper(alphabet=alphabet).batch_ids([words])
    assert ids.max() == 261 + number
    torch.testing.assert_close(char_cnn(ids), straightforward(char_cnn, ids))
    for wrong in (-1, 262 + number, (1 << 16) + 262):
        ids[0, 1, 1] = wrong
        with pytest.raises(IndexError):
            char_cnn(ids)


def test_weights_may_be_tensors_that_are_no_parameters() -> None:
    char_cnn = make().requires_grad_(False)
    ids = CharacterMapper().batch_ids([SENTENCE])
    before = char_cnn(ids)
    others = {name: weight * 2.0 for name, weight in char_cnn.named_parameters()}
    found = functional_call(char_cnn, others, (ids,))
    torch.testing.assert_close(char_cnn(ids), before)
    char_cnn.load_state_dict(others)
    torch.testing.assert_close(found, char_cnn(ids))


def test_second_derivatives_are_those_of_the_equations() -> None:
    char_cnn = make(activation="tanh")
    ids = CharacterMapper().batch_ids([["ab", "c"]])
    found = []
    for vectors in (char_cnn(ids), straightforward(char_cnn, ids, torch.tanh)):
        weight = char_cnn.convolutions[2].weight
        (gradient,) = torch.autograd.grad((vectors**2).sum(), weight, create_graph=True)
        found.append(torch.autograd.grad((gradient**2).sum(), weight)[0])
    torch.testing.assert_close(*found)


def test_ids_without_an_axis_are_refused() -> None:
    with pytest.raises(ValueError, match="7 or more a word"):
        make()(torch.tensor(1))
