"""Tests of ELMo at two places."""

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.modules.seq2seq_encoders import Seq2SeqEncoder
from allennlp.modules.text_field_embedders import TextFieldEmbedder

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
    embedder = ElmoForTwoPlaces(tiny.config.to_options(), pretrained_file=str(tiny_folder)).eval()
    assert embedder.get_output_dim() == 32
    choose_layers(embedder)
    sentence = ["Two", "places", "!"]
    ids = CharacterMapper.of(tiny.config.char_cnn).batch_ids([sentence])
    # (num_layers, time, 2 * hidden_size)
    layers = torch.as_tensor(tiny.embed([sentence], layers="all")[0])
    assert_close(embedder(ids)[0], torch.cat([layers[0], layers[2]], dim=-1))


def choose_layers(embedder: torch.nn.Module) -> None:
    """Makes the first mix the lowest layer and the second the highest."""
    mixes = (mix for name, mix in embedder.named_parameters() if "scalar_mixes" in name)
    with torch.no_grad():
        for values in ([50.0, 0.0, 0.0], [0.0, 0.0, 50.0]):
            next(mix for mix in mixes if mix.shape == (3,)).copy_(torch.tensor(values))


def text_field_embedder(tiny: Elmo, path: object, key: str, **settings: str) -> TextFieldEmbedder:
    elmo = {
        "type": "elmo_for_two_places",
        "architecture": tiny.config.to_options(),
        "pretrained_file": str(path),
    }
    words = {"type": "embedding", "num_embeddings": 9, "embedding_dim": 5}
    params = Params({"token_embedders": {"elmo": elmo, key: words}, **settings})
    return TextFieldEmbedder.from_params(params).eval()


@pytest.mark.parametrize("key", ["a", "tokens"])
def test_word_vectors_are_read_by_the_encoder_and_the_second_mix_is_not(
    tiny: Elmo, tiny_folder: object, key: str
) -> None:
    embedder = text_field_embedder(tiny, tiny_folder, key, type="elmo_for_two_places")
    choose_layers(embedder)
    sentence = ["Two", "places"]
    ids = CharacterMapper.of(tiny.config.char_cnn).batch_ids([sentence])
    words = torch.tensor([[4, 2]])
    vectors = embedder({"elmo": {"elmo_tokens": ids}, key: {"tokens": words}})
    encoder = Seq2SeqEncoder.from_params(
        Params(
            {
                "type": "around_encoder",
                "input_size": embedder.get_output_dim(),
                "encoder": {"type": "pass_through", "input_dim": 5 + 16},
            }
        )
    )
    # (num_layers, time, 2 * hidden_size)
    layers = torch.as_tensor(tiny.embed([sentence], layers="all")[0])
    weight = embedder.get_parameter(f"token_embedder_{key}.weight")
    expected = torch.cat([weight[words[0]], layers[0], layers[2]], dim=-1)
    assert_close(encoder(vectors, ids.new_ones(1, 2).bool())[0], expected)


def test_the_basic_text_field_embedder_refuses_another_order(
    tiny: Elmo, tiny_folder: object
) -> None:
    # here ELMo's vectors are the last, as the encoder needs them
    text_field_embedder(tiny, tiny_folder, "a")
    with pytest.raises(
        ConfigurationError, match=r"order is elmo, tokens. Set the type of the text"
    ):
        text_field_embedder(tiny, tiny_folder, "tokens")
    words = {"type": "embedding", "num_embeddings": 9, "embedding_dim": 5}
    params = Params({"type": "elmo_for_two_places", "token_embedders": {"tokens": words}})
    with pytest.raises(ConfigurationError, match=r"One token embedder must be .* found 0"):
        TextFieldEmbedder.from_params(params)


def test_both_means_are_projected_alike(tiny: Elmo, tiny_folder: object) -> None:
    embedder = ElmoForTwoPlaces(
        tiny.config.to_options(), pretrained_file=str(tiny_folder), projection_dim=5
    ).eval()
    ids = CharacterMapper.of(tiny.config.char_cnn).batch_ids([["Two", "places"]])
    vectors = embedder(ids)
    assert vectors.size(-1) == embedder.get_output_dim() == 10
    # the mixes start alike
    torch.testing.assert_close(vectors[..., :5], vectors[..., 5:])


def test_what_the_encoder_does_not_read_is_not_changed() -> None:
    encoder = make_encoder(5)
    assert (encoder.get_input_dim(), encoder.get_output_dim()) == (5, 6)
    assert not encoder.is_bidirectional()
    inputs, mask = torch.randn(2, 4, 5), torch.ones(2, 4, dtype=torch.bool)
    output = encoder(inputs, mask)
    torch.testing.assert_close(output[..., 4:], inputs[..., 3:])
    torch.testing.assert_close(output[..., :4], encoder.encoder(inputs[..., :3], mask))


def test_the_encoder_must_leave_a_part() -> None:
    with pytest.raises(ConfigurationError, match=r"greater than 3, .* found 3"):
        make_encoder(3)
