"""Tests of parameters.py."""

from pathlib import Path

import pytest
import torch

from elmo_components.checkpoints import Checkpoint, CheckpointError, load, save
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig
from elmo_components.modules.bilm import BiLm


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("highways", [0, 2])
@pytest.mark.parametrize("hidden_size", [5, 7, 9])
@pytest.mark.parametrize("alphabet", ["", "中国"])
def test_the_shapes_of_a_config_are_those_of_its_modules(
    num_layers: int, highways: int, hidden_size: int, alphabet: str
) -> None:
    # with 7 filters and a cell of 9, sizes 7 and 9 leave out one projection each
    config = ElmoConfig(
        CharCnnConfig(3, ((1, 3), (2, 4)), highways, "tanh", alphabet),
        LstmConfig(hidden_size, 9, num_layers, None, None, False),
    )
    assert parameter_shapes(config) == {
        name: tuple(tensor.shape) for name, tensor in BiLm(config).state_dict().items()
    }


@pytest.mark.parametrize("name", ["saved", "saved.safetensors"])
def test_what_cannot_be_saved_is_an_error_that_names_it(
    tiny_folder: Path, tmp_path: Path, name: str
) -> None:
    whole = load(tiny_folder)
    bias = "char_cnn.projection.bias"
    for changes, message in (
        ({"extra": torch.zeros(1)}, "The biLM cannot be saved: extra is not a parameter"),
        ({bias: torch.zeros(7)}, rf"{bias} is of shape \(7,\), not \(8,\)"),
        ({bias: whole.tensors[bias] / 0.0}, f"cannot be saved: {bias} has values that are not"),
    ):
        broken = Checkpoint(whole.config, {**whole.tensors, **changes})
        with pytest.raises(CheckpointError, match=message):
            save(broken, tmp_path / name)
    assert not list(tmp_path.iterdir())
