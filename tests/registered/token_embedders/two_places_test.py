"""Tests of registered/two_places.py."""

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.modules.seq2seq_encoders import Seq2SeqEncoder
from allennlp.modules.token_embedders import TokenEmbedder

import elmo_components.registered  # noqa: F401
from elmo_components.characters import CharacterMapper
from elmo_components.elmo import Elmo
from elmo_components.registered.token_embedders.two_places import ElmoForTwoPlaces
from tests.closeness import assert_close


def make_encoder(input_size: int) -> Seq2SeqEncoder:
    inner = {"type": "lstm", "input_size": 3, "hidden_size": 4}
    return Seq2SeqEncoder.from_params(
        Params({"type": "around_encoder", "input_size": input_size, "encoder": inner})
    )


def test_each_place_has_a_mix_of_its_own(tiny: Elmo, tiny_folder: object) -> None:
    embedder = TokenEmbedder.from_params(
        Params(
            {
                "type": "elmo_for_two_places",
                "architecture": tiny.config.to_options(),
                "pretrained_file": str(tiny_folder),
            }
        )
    ).eval()
    assert isinstance(embedder, ElmoForTwoPlaces) and embedder.get_output_dim() == 32
    first, second = embedder._elmo.scalar_mixes
    with torch.no_grad():
        # the lowest layer alone, and the highest alone
        first.weights.copy_(torch.tensor([50.0, 0.0, 0.0]))
        second.weights.copy_(torch.tensor([0.0, 0.0, 50.0]))
    sentence = ["Two", "places", "!"]
    ids = CharacterMapper.of(tiny.config.char_cnn).batch_ids([sentence])
    ids = torch.as_tensor(ids)
    # (num_layers, time, 2 * hidden_size)
    layers = torch.as_tensor(tiny.embed([sentence], layers="all")[0])
    expected = torch.cat([layers[0], layers[2]], dim=-1)
    assert_close(embedder(ids)[0], expected)


def test_both_means_are_projected_alike(tiny: Elmo, tiny_folder: object) -> None:
    embedder = ElmoForTwoPlaces(
        tiny.config.to_options(), pretrained_file=str(tiny_folder), projection_dim=5
    ).eval()
    ids = CharacterMapper.of(tiny.config.char_cnn).batch_ids([["Two", "places"]])
    vectors = embedder(ids)
    assert vectors.size(-1) == embedder.get_output_dim() == 10
    # the mixes start alike
    torch.testing.assert_close(vectors[..., :5], vectors[..., 5:])


def test_what_goes_around_the_encoder_is_not_changed() -> None:
    encoder = make_encoder(5)
    assert (encoder.get_input_dim(), encoder.get_output_dim()) == (5, 6)
    assert not encoder.is_bidirectional()
    inputs, mask = torch.randn(2, 4, 5), torch.ones(2, 4, dtype=torch.bool)
    output = encoder(inputs, mask)
    torch.testing.assert_close(output[..., 4:], inputs[..., 3:])
    torch.testing.assert_close(output[..., :4], encoder.encoder(inputs[..., :3], mask))


def test_something_must_go_around() -> None:
    with pytest.raises(ConfigurationError, match=r"greater than 3, .* found 3"):
        make_encoder(3)
