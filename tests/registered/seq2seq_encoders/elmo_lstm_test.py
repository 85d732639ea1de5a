"""Tests of registered/encoder.py."""

from typing import Any

import allennlp_models.lm  # noqa: F401
import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Batch, Instance, Token, Vocabulary
from allennlp.data.fields import TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.models import Model
from allennlp.modules import Seq2SeqEncoder

import elmo_components.registered  # noqa: F401
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

CONFIG = {
    "type": "elmo_lstm",
    "input_size": 6,
    "hidden_size": 4,
    "cell_size": 9,
    "num_layers": 3,
    "cell_clip": 3.0,
    "projection_clip": 3.0,
}
INPUTS = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[True] * 5, [True, True, False, False, False]])


def make(**changes: object) -> Seq2SeqEncoder:
    return Seq2SeqEncoder.from_params(Params({**CONFIG, **changes}))


def test_it_is_registered_and_gives_the_top_layer() -> None:
    encoder = make()
    assert encoder.get_input_dim() == 6
    assert encoder.get_output_dim() == 8
    assert encoder.is_bidirectional() is True
    output = encoder(INPUTS, MASK)
    assert output.shape == (2, 5, 8)
    assert not output[1, 2:].any()


def test_all_layers_come_as_a_list_whose_last_is_the_top() -> None:
    encoder = make()
    top = encoder(INPUTS, MASK)
    encoder._return_all_layers = True
    layers = encoder(INPUTS, MASK)
    assert isinstance(layers, list) and len(layers) == encoder.num_layers == 3
    assert torch.equal(layers[-1], top)
    assert isinstance(make(return_all_layers=True)(INPUTS, MASK), list)


def test_no_mask_means_no_padding() -> None:
    encoder = make()
    everything = torch.ones(2, 5, dtype=torch.bool)
    assert torch.equal(encoder(INPUTS), encoder(INPUTS, everything))


def test_without_a_cell_size_nothing_is_projected() -> None:
    encoder = make(cell_size=None)
    assert not any("projection" in name for name, _ in encoder.named_parameters())
    assert encoder(INPUTS, MASK).shape == (2, 5, 8)


def test_bad_numbers_are_configuration_errors() -> None:
    with pytest.raises(ConfigurationError, match="num_layers must be 1 or more"):
        make(num_layers=0)
    with pytest.raises(ConfigurationError, match="dropout"):
        make(dropout=0.1)


def instances(*sentences: str) -> tuple[Vocabulary, dict[str, Any]]:
    indexers = {"tokens": SingleIdTokenIndexer(), "elmo": ElmoCharacterIndexer()}
    batch = Batch(
        [
            Instance({"source": TextField([Token(word) for word in sentence.split()], indexers)})
            for sentence in sentences
        ]
    )
    vocabulary = Vocabulary.from_instances(batch)
    batch.index_instances(vocabulary)
    return vocabulary, batch.as_tensor_dict()


def test_it_is_an_encoder_of_any_tagger() -> None:
    vocabulary, tensors = instances("the cat sat on the mat", "the dog ran")
    vocabulary.add_tokens_to_namespace(["NOUN", "VERB"], "labels")
    config = {
        "type": "simple_tagger",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 6}}
        },
        "encoder": {**CONFIG, "recurrent_dropout": 0.1},
    }
    tensors["source"].pop("elmo")
    model = Model.from_params(Params(config), vocab=vocabulary)
    output = model(tensors["source"], tags=torch.zeros(2, 6, dtype=torch.int64))
    output["loss"].backward()
    assert output["class_probabilities"].shape == (2, 6, 2)
    assert all(parameter.grad is not None for parameter in model.parameters())
