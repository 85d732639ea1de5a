"""Holds kernels/native/encoder.py to the equations, with every instruction set."""

import copy
import pickle
import random
from typing import Optional

import pytest
import torch

from elmo_components.characters import CharacterMapper
from elmo_components.config import CharCnnConfig
from elmo_components.kernels import EncoderWeights, Linear, PackedEncoder, has_encoder, use_backend
from elmo_components.modules.char_cnn import CharCnn
from tests.closeness import assert_close
from tests.kernels.native_test import compiled, instructions, num_threads

__all__ = ["instructions", "num_threads"]

pytestmark = compiled
PUBLISHED = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))


def random_linear(output_size: int, input_size: int) -> Linear:
    return Linear(torch.randn(output_size, input_size) / input_size**0.5, torch.randn(output_size))


def random_weights(
    *,
    filters: list[tuple[int, int]],
    num_characters: int = 262,
    embedding_size: int = 5,
    highways: int = 1,
    hidden_size: Optional[int] = 7,
    activation: str = "relu",
) -> EncoderWeights:
    size = sum(number for _, number in filters)
    return EncoderWeights(
        torch.randn(num_characters, embedding_size),
        [
            (torch.randn(number, embedding_size, width) / width, torch.randn(number))
            for width, number in filters
        ],
        [(random_linear(size, size), random_linear(size, size)) for _ in range(highways)],
        None if hidden_size is None else random_linear(hidden_size, size),
        activation,
    )


def maxima_of(weights: EncoderWeights, ids: torch.Tensor) -> torch.Tensor:
    """Returns the maxima over positions without bias by torch's convolution, in float64."""
    embedded = weights.characters.double()[ids].transpose(1, 2)
    return torch.cat(
        [torch.conv1d(embedded, weight.double()).amax(2) for weight, _ in weights.convolutions], 1
    )


def by_equations(weights: EncoderWeights, ids: torch.Tensor) -> torch.Tensor:
    biases = torch.cat([bias for _, bias in weights.convolutions]).double()
    activation = torch.relu if weights.activation == "relu" else torch.tanh
    x = activation(maxima_of(weights, ids) + biases)

    def apply(linear: Linear) -> torch.Tensor:
        return x @ linear.weight.double().t() + linear.bias.double()

    for carry, transform in weights.highways:
        gate = apply(carry).sigmoid()
        x = gate * apply(transform).relu() + (1 - gate) * x
    return (x if weights.projection is None else apply(weights.projection)).float()


def random_ids(words: int, characters: int, num_characters: int) -> torch.Tensor:
    """Returns words of random lengths, with the last id as padding."""
    ids = torch.randint(num_characters, (words, characters))
    lengths = torch.randint(characters + 1, (words, 1))
    return ids.masked_fill(torch.arange(characters) >= lengths, num_characters - 1)


def test_any_sizes_are_computed(instructions: int, num_threads: int) -> None:
    generator = random.Random(num_threads)
    for _ in range(6):
        filters = [
            (generator.randint(1, 6), generator.randint(1, 90))
            for _ in range(generator.randint(1, 4))
        ]
        num_characters = generator.randint(1, 40)
        weights = random_weights(
            filters=filters,
            num_characters=num_characters,
            highways=generator.randint(0, 3),
            hidden_size=generator.choice([None, generator.randint(1, 150)]),
            activation=generator.choice(["relu", "tanh"]),
        )
        ids = random_ids(generator.randint(0, 30), generator.randint(6, 20), num_characters)
        encoder = PackedEncoder(weights)
        expected = by_equations(weights, ids)
        assert encoder.has_tables
        assert_close(encoder.vectors(ids), expected)
        maxima = maxima_of(weights, ids).float()
        assert_close(encoder.vectors_of_maxima(maxima), expected)


def test_a_words_vector_has_the_same_bits_in_every_batch(
    instructions: int, num_threads: int
) -> None:
    encoder = PackedEncoder(random_weights(filters=[(1, 70), (3, 90)], highways=2, hidden_size=70))
    ids = random_ids(600, 12, 262)
    vectors = encoder.vectors(ids)
    for chosen in ([0], [599, 3], list(range(100, 250))):
        assert torch.equal(encoder.vectors(ids[chosen]), vectors[chosen])
    torch.set_num_threads(1)
    assert torch.equal(encoder.vectors(ids), vectors)


@pytest.mark.parametrize(("highways", "hidden_size"), [(1, 128), (2, 512)])
def test_published_shapes_are_computed(highways: int, hidden_size: int) -> None:
    char_cnn = CharCnn(CharCnnConfig(16, PUBLISHED, highways, "relu"), hidden_size=hidden_size)
    ids = CharacterMapper().batch_ids([["The", "naïve", "x" * 60, "", "</S>", "fox"]])
    with torch.no_grad(), use_backend("cpu"):
        expected = char_cnn(ids)
    char_cnn.clear_cache()
    with torch.no_grad():
        assert_close(char_cnn(ids), expected)


def encoder_of(char_cnn: CharCnn) -> Optional[PackedEncoder]:
    """Returns what has computed a frozen encoder's words."""
    found = char_cnn._packed._packed.get("encoder")
    return None if found is None else found[1]


def test_the_chosen_backend_computes() -> None:
    char_cnn = CharCnn(CharCnnConfig(4, ((1, 3), (2, 4)), 1, "relu"), hidden_size=6)
    ids = CharacterMapper().batch_ids([["a", "fox"]])
    for name in ("cpu", "reference"):
        with torch.no_grad(), use_backend(name):
            assert not has_encoder()
            char_cnn(ids)
            char_cnn.clear_cache()
    # with gradients
    char_cnn(ids)
    assert encoder_of(char_cnn) is None
    with torch.no_grad(), use_backend("native"):
        char_cnn(ids)
    assert encoder_of(char_cnn) is not None
    for again in (copy.deepcopy(char_cnn), pickle.loads(pickle.dumps(char_cnn))):
        assert encoder_of(again) is None


def test_changed_weights_are_packed_again() -> None:
    char_cnn = CharCnn(CharCnnConfig(4, ((1, 3), (2, 4)), 1, "tanh"), hidden_size=6)
    ids = CharacterMapper().batch_ids([["a", "fox"]])
    for _ in range(2):
        for parameter in char_cnn.parameters():
            torch.nn.init.normal_(parameter)
        # with gradients, by torch
        expected = char_cnn(ids).detach()
        with torch.no_grad():
            assert_close(char_cnn(ids), expected)


def test_other_types_are_computed_by_torch() -> None:
    char_cnn = CharCnn(CharCnnConfig(4, ((1, 3), (2, 4)), 1, "relu"), hidden_size=6)
    ids = CharacterMapper().batch_ids([["a", "fox"]])
    with torch.no_grad():
        assert char_cnn.double()(ids).dtype == torch.float64
    assert encoder_of(char_cnn) is None


@pytest.mark.parametrize("words", ["", "<oov>\na\nfox"])
@pytest.mark.parametrize("limit", [1 << 24, 1 << 10])
def test_large_tables_are_not_made_and_words_may_have_own_vectors(
    words: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elmo_components.kernels.native.encoder.MAX_TABLES", limit)
    config = CharCnnConfig(
        4, ((1, 3), (2, 4)), 1, "relu", "afox", "code_points", words, 3 if words else 0
    )
    char_cnn = CharCnn(config, hidden_size=6)
    ids = CharacterMapper.of(config).batch_ids([["a", "fox", "fax" * 20, "b"]])
    expected = char_cnn(ids).detach()
    with torch.no_grad():
        assert_close(char_cnn(ids), expected)
    encoder = encoder_of(char_cnn)
    assert encoder is not None and encoder.has_tables == (limit == 1 << 24)


def test_a_character_without_finite_numbers_spoils_only_its_words() -> None:
    char_cnn = CharCnn(CharCnnConfig(4, ((1, 3), (2, 4)), 1, "relu"), hidden_size=6)
    with torch.no_grad():
        char_cnn.character_embedding.weight[ord("x") + 1] = float("nan")
        found = char_cnn(CharacterMapper().batch_ids([["fox", "a"]]))
    assert found[0, 0].isnan().all() and found[0, 1].isfinite().all()


def test_words_that_do_not_fit_the_tables_are_refused() -> None:
    encoder = PackedEncoder(random_weights(filters=[(3, 5)]))
    with pytest.raises(ValueError, match="3 ids or more"):
        encoder.vectors(torch.zeros(1, 2, dtype=torch.int64))
    for wrong in (-1, 262, 1 << 16):
        with pytest.raises(ValueError, match="from 0 to 261"):
            encoder.vectors(torch.full((1, 3), wrong))
    with pytest.raises(ValueError, match="of 5 filters"):
        encoder.vectors_of_maxima(torch.zeros(1, 6))


class Twice(torch.nn.Linear):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 2.0 * super().forward(inputs)


@pytest.mark.parametrize("name", ["projection", "highways.0.carry", "highways.0"])
def test_a_module_of_another_class_is_computed_by_torch(name: str) -> None:
    char_cnn = CharCnn(CharCnnConfig(4, ((1, 3), (2, 4)), 1, "relu"), hidden_size=6)
    path, _, last = name.rpartition(".")
    setattr(char_cnn.get_submodule(path), last, Twice(7, 6 if name == "projection" else 7))
    ids = CharacterMapper().batch_ids([["a", "fox"]])
    expected = char_cnn(ids).detach()
    with torch.no_grad():
        assert_close(char_cnn(ids), expected)
    assert encoder_of(char_cnn) is None


def test_weights_that_do_not_fit_each_other_are_refused() -> None:
    weights = random_weights(filters=[(3, 5)], hidden_size=4)
    for wrong in (
        weights._replace(characters=torch.zeros(262, 6)),
        weights._replace(convolutions=[(weights.convolutions[0][0], torch.zeros(6))]),
        weights._replace(highways=[(weights.highways[0][0], random_linear(5, 6))]),
        weights._replace(projection=Linear(torch.zeros(4, 5), torch.zeros(5))),
        weights._replace(characters=torch.zeros(262, 5).double()),
    ):
        with pytest.raises(ValueError, match="A weight must be float32 of shape"):
            PackedEncoder(wrong)
