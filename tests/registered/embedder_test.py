"""Tests of registered/embedder.py."""

from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.modules import TokenEmbedder

from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import CheckpointError
from elmo_components.elmo import Elmo

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


@pytest.mark.parametrize("name", ["tiny", "tiny.safetensors"])
def test_any_format_of_weights_is_read(config: dict, tiny: Elmo, fixtures: Path, name: str) -> None:
    embedder = make(config, pretrained_file=str(fixtures / "models" / name))
    torch.testing.assert_close(embedder(IDS), tiny(IDS)["elmo_representations"][0])


def test_without_a_file_weights_are_random(config: dict) -> None:
    first, second = (make(config, pretrained_file=None)(IDS) for _ in range(2))
    assert not torch.allclose(first, second)


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


def test_leading_dimensions_are_kept(config: dict) -> None:
    embedder = make(config, projection_dim=5)
    assert embedder(torch.stack([IDS, IDS, IDS])).shape == (3, 2, 2, 5)


def test_an_unknown_key_is_an_error(config: dict) -> None:
    with pytest.raises(ConfigurationError, match="options_file"):
        make(config, options_file="options.json")


def test_a_bad_architecture_is_a_configuration_error(config: dict) -> None:
    config["architecture"]["lstm"]["n_layer"] = 2
    with pytest.raises(ConfigurationError, match=r"lstm\.n_layer is not known"):
        make(config)


def test_the_number_of_fixed_weights_must_fit(config: dict) -> None:
    with pytest.raises(ConfigurationError, match="3 layers needs as many weights"):
        make(config, scalar_mix_parameters=[1.0])


def test_a_file_of_another_architecture_is_an_error(config: dict, fixtures: Path) -> None:
    config["architecture"]["lstm"]["dim"] = 20
    for name in ("tiny", "tiny.safetensors"):
        with pytest.raises(CheckpointError, match=r"lstm\.dim is 16 there, and 20 is wanted"):
            make(config, pretrained_file=str(fixtures / "models" / name))


def test_a_missing_file_is_an_error(config: dict) -> None:
    with pytest.raises(FileNotFoundError, match="There is no checkpoint at nowhere"):
        make(config, pretrained_file="nowhere")


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
