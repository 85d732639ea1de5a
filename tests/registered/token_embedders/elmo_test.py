"""Tests of registered/embedder.py."""

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Token
from allennlp.models import load_archive
from allennlp.modules import TokenEmbedder

from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import CheckpointError
from elmo_components.elmo import Elmo
from tests.conftest import ROOT

SENTENCES = [["The", "bank"], ["x"]]
IDS = CharacterMapper().batch_ids(SENTENCES)


@pytest.fixture
def config(tiny: Elmo, tiny_folder: Path) -> dict[str, Any]:
    return {
        "type": "elmo",
        "architecture": tiny.config.to_options(),
        "pretrained_file": str(tiny_folder / "weights.hdf5"),
    }


def make(config: dict[str, Any], **changes: object) -> TokenEmbedder:
    return TokenEmbedder.from_params(Params({**config, **changes})).eval()


def test_it_is_registered_and_embeds_with_the_weights_of_the_file(config: dict, tiny: Elmo) -> None:
    embedder = make(config)
    assert embedder.get_output_dim() == 16
    torch.testing.assert_close(embedder(IDS), tiny(IDS)["elmo_representations"][0])


def test_training_on_random_weights_that_stay_is_warned_of(
    config: dict, caplog: pytest.LogCaptureFixture
) -> None:
    # none of these stays random, or is trained with
    make(config).train()(IDS)
    make(config, pretrained_file=None, requires_grad=True).train()(IDS)
    frozen = make(config, pretrained_file=None)
    frozen(IDS)
    loaded = make(config, pretrained_file=None)
    loaded.load_state_dict(frozen.state_dict())
    loaded.train()(IDS)
    assert "random weights" not in caplog.text
    for _ in range(2):
        frozen.train()(IDS)
    assert caplog.text.count("This elmo has random weights and is not trained") == 1


def test_the_mix_is_projected_on_request(config: dict) -> None:
    embedder = make(config, projection_dim=5)
    assert embedder.get_output_dim() == 5
    assert embedder(IDS).shape == (2, 2, 5)


def test_fixed_weights_choose_a_layer(config: dict, tiny: Elmo) -> None:
    embedder = make(config, scalar_mix_parameters=[-9e10, -9e10, 1.0])
    (top, _) = tiny.embed(SENTENCES, layers="top")
    torch.testing.assert_close(embedder(IDS)[0], torch.from_numpy(top))


@pytest.mark.parametrize("requires_grad", [False, True])
def test_the_bilm_is_trained_on_request(config: dict, requires_grad: bool) -> None:
    embedder = make(config, requires_grad=requires_grad)
    embedder(IDS).sum().backward()
    bilm = embedder._elmo.bilm
    assert all((parameter.grad is not None) == requires_grad for parameter in bilm.parameters())


def test_it_keeps_no_state_unless_asked_to(config: dict) -> None:
    plain, stateful = make(config), make(config, stateful=True)
    torch.testing.assert_close(plain(IDS), plain(IDS), rtol=0.0, atol=0.0)
    first = stateful(IDS)
    torch.testing.assert_close(first, plain(IDS))
    assert not torch.allclose(stateful(IDS), first)
    stateful.reset_states()
    torch.testing.assert_close(stateful(IDS), first)


def test_a_batch_of_empty_texts_has_no_vectors(config: dict) -> None:
    for requires_grad in (False, True):
        embedder = make(config, requires_grad=requires_grad, projection_dim=5)
        assert embedder(torch.zeros(2, 0, 50, dtype=torch.int64)).shape == (2, 0, 5)
        assert embedder.train()(torch.zeros(2, 0, 50, dtype=torch.int64)).shape == (2, 0, 5)


def test_an_unknown_key_is_an_error(config: dict) -> None:
    with pytest.raises(ConfigurationError, match="options_file"):
        make(config, options_file="options.json")


def test_a_bad_architecture_is_a_configuration_error(config: dict) -> None:
    config["architecture"]["lstm"]["n_layer"] = 2
    with pytest.raises(ConfigurationError, match=r"lstm\.n_layer is not known"):
        make(config)


def test_a_file_of_another_architecture_is_an_error(config: dict, fixtures: Path) -> None:
    config["architecture"]["lstm"]["dim"] = 20
    for name in ("tiny", "tiny.safetensors"):
        with pytest.raises(CheckpointError, match=r"lstm\.dim is 16 there, and 20 is wanted"):
            make(config, pretrained_file=str(fixtures / "models" / name))


def test_speed_and_memory_are_set_in_the_configuration(config: dict) -> None:
    embedder = make(config, precision="int8", word_cache_size=7, recompute_gates=True)
    bilm = embedder._elmo.bilm
    assert bilm.lstm.precision == "int8"
    assert bilm.lstm.recompute_gates
    assert bilm.char_cnn._cache.size == 7


def test_a_precision_that_cannot_be_is_a_configuration_error(config: dict) -> None:
    for settings in ({"precision": "int4"}, {"precision": "int8", "requires_grad": True}):
        with pytest.raises(ConfigurationError, match="precision must be"):
            make(config, **settings)


def test_frozen_features_are_kept_from_the_first_batch_in_training_on(config: dict) -> None:
    embedder = make(config, dropout=0.0, frozen_features={"max_gigabytes": 0.001})
    cache = embedder._layer_cache
    expected = make(config)(IDS)
    torch.testing.assert_close(embedder(IDS), expected)
    # a model that is only used keeps nothing
    assert len(cache) == 0
    torch.testing.assert_close(embedder.train()(IDS), expected)
    assert len(cache) == 2
    other = CharacterMapper().batch_ids([["another", "one"]])
    torch.testing.assert_close(embedder.eval()(other), make(config)(other))
    assert len(cache) == 3


def test_how_features_are_kept_is_set_in_the_configuration(config: dict) -> None:
    settings = {"max_gigabytes": 0.5, "dtype": "float16"}
    cache = make(config, frozen_features=settings)._layer_cache
    assert (cache.max_bytes, cache.dtype) == (500_000_000, "float16")
    assert make(config, frozen_features={})._layer_cache.max_bytes == 4_000_000_000
    assert make(config)._layer_cache is None
    assert make(config, frozen_features=None)._layer_cache is None


@pytest.mark.parametrize(
    "settings", [{"requires_grad": True}, {"stateful": True}, {"recurrent_dropout": 0.1}]
)
def test_features_that_change_cannot_be_kept(config: dict, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="frozen_features must be null unless"):
        make(config, frozen_features={}, **settings)


def test_an_archive_s_folder_of_frozen_features_is_ignored(
    config: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = make(config, frozen_features={"path": str(tmp_path / "layers")})
    assert embedder(IDS).shape[:2] == IDS.shape[:2]
    assert not (tmp_path / "layers").exists()
    assert "frozen_features.path is ignored" in caplog.text


@pytest.mark.parametrize("settings", [{"max_gigabytes": 0}, {"dtype": "int8"}])
def test_frozen_features_that_cannot_be_are_a_configuration_error(
    config: dict, settings: dict[str, object]
) -> None:
    with pytest.raises(ConfigurationError, match="frozen_features: "):
        make(config, frozen_features=settings)


def trained(folder: Path, config: dict[str, Any], *, frozen_features: object) -> list[float]:
    """Trains a tagger for three epochs, and returns the losses in training and validation."""
    data = ROOT / "fixtures" / "data" / "ner"
    train_model(
        Params(
            {
                "dataset_reader": {
                    "type": "elmo_columns",
                    "token_indexers": {"elmo": {"type": "elmo_character_ids"}},
                    "separator": "\t",
                    "tag_separator": ",",
                    "max_instances": 40,
                },
                "train_data_path": str(data / "train.conll"),
                "validation_data_path": str(data / "dev.conll"),
                "model": {
                    "type": "simple_tagger",
                    "text_field_embedder": {
                        "token_embedders": {"elmo": {**config, "frozen_features": frozen_features}}
                    },
                    "encoder": {
                        "type": "lstm",
                        "input_size": 16,
                        "hidden_size": 20,
                        "bidirectional": True,
                    },
                },
                "data_loader": {"batch_size": 8, "shuffle": True},
                "trainer": {
                    "num_epochs": 3,
                    "cuda_device": -1,
                    "optimizer": {"type": "adam", "lr": 0.02},
                },
            }
        ),
        serialization_dir=folder,
    )
    return [
        json.loads((folder / f"metrics_epoch_{epoch}.json").read_text())[name]
        for epoch in range(3)
        for name in ("training_loss", "validation_loss")
    ]


def test_a_tagger_learns_the_same_with_frozen_features_and_without(
    config: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = trained(tmp_path / "plain", config, frozen_features=None)
    assert expected[4] < 0.9 * expected[0]
    kept = trained(tmp_path / "memory", config, frozen_features={})
    assert kept == pytest.approx(expected, rel=1e-3)
    settings = {"dtype": "float16"}
    rounded = trained(tmp_path / "rounded", config, frozen_features=settings)
    assert rounded == pytest.approx(expected, rel=1e-2)
    setting = "model.text_field_embedder.token_embedders.elmo.frozen_features"
    outputs = []
    for overrides in ({}, {setting: None}):
        archive = load_archive(str(tmp_path / "rounded" / "model.tar.gz"), overrides=overrides)
        instance = archive.dataset_reader.text_to_instance([Token("Bank")])
        archive.dataset_reader.apply_token_indexers(instance)
        outputs.append(archive.model.eval().forward_on_instance(instance)["logits"])
    numpy.testing.assert_array_equal(*outputs)
    assert not any("layers of" in record.getMessage() for record in caplog.records)
