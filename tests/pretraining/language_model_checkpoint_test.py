"""Tests of language_model.py: starting from checkpoints, and making them."""

import logging
from pathlib import Path
from typing import Optional

import pytest
import torch

from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint, CheckpointError, load, save
from elmo_components.config import ElmoConfig
from elmo_components.modules.bilm import BiLm
from elmo_components.pretraining.language_model import LanguageModel
from elmo_components.pretraining.softmax import (
    AdaptiveSoftmax,
    FullSoftmax,
    OwnWeights,
    TiedWeights,
)

OLD = ["</S>", "<S>", "<UNK>", "the", "cat", "sat", "mat"]
NEW = ["</S>", "<S>", "<UNK>", "dog", "the", "mat", "ran", "a", "cat"]


def make(config: ElmoConfig, num_words: int) -> LanguageModel:
    return LanguageModel(BiLm(config), FullSoftmax(OwnWeights(num_words, config.lstm.hidden_size)))


def checkpoint_of(config: ElmoConfig, words: Optional[list[str]] = OLD) -> Checkpoint:
    model = make(config, len(OLD))
    torch.nn.init.normal_(model.softmax.output.bias)
    checkpoint = model.to_checkpoint(OLD)
    return Checkpoint(config, checkpoint.tensors, None if words is None else tuple(words))


def copies(model: LanguageModel) -> tuple[torch.Tensor, torch.Tensor]:
    output = model.softmax.output
    return output.weight.detach().clone(), output.bias.detach().clone()


def assert_has_the_bilm(model: LanguageModel, checkpoint: Checkpoint) -> None:
    for name, tensor in model.bilm.state_dict().items():
        assert torch.equal(tensor, checkpoint.tensors[name]), name


@pytest.mark.parametrize("name", ["folder", "model.safetensors"])
def test_a_model_comes_back_from_a_file(tiny_config: ElmoConfig, tmp_path: Path, name: str) -> None:
    model, other = make(tiny_config, len(OLD)), make(tiny_config, len(OLD))
    save(model.to_checkpoint(OLD), tmp_path / name)
    other.load_checkpoint(load(tmp_path / name, softmax=True), OLD)
    assert model.state_dict().keys() == other.state_dict().keys()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[key]), key


def test_known_words_get_their_rows_and_others_keep_theirs(
    tiny_config: ElmoConfig, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint, model = checkpoint_of(tiny_config), make(tiny_config, len(NEW))
    weight, bias = copies(model)
    with caplog.at_level(logging.INFO):
        model.load_checkpoint(checkpoint, NEW)
    taken = 0
    for row, word in enumerate(NEW):
        for old_row, old_word in enumerate(OLD):
            if old_word == word:
                weight[row] = checkpoint.tensors["softmax.weight"][old_row]
                bias[row] = checkpoint.tensors["softmax.bias"][old_row]
                taken += 1
    assert taken == 6
    assert torch.equal(model.softmax.output.weight, weight)
    assert torch.equal(model.softmax.output.bias, bias)
    assert_has_the_bilm(model, checkpoint)
    assert "6 of 9 rows of the softmax are copied from the checkpoint, by name" in caplog.text


def test_without_names_as_many_words_get_the_rows_in_their_places(
    tiny_config: ElmoConfig, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint, model = checkpoint_of(tiny_config, None), make(tiny_config, len(OLD))
    with caplog.at_level(logging.INFO):
        model.load_checkpoint(checkpoint, NEW[:7])
    assert torch.equal(model.softmax.output.weight, checkpoint.tensors["softmax.weight"])
    assert torch.equal(model.softmax.output.bias, checkpoint.tensors["softmax.bias"])
    assert "7 of 7 rows" in caplog.text and "by number" in caplog.text


def test_without_names_another_number_of_words_leaves_the_softmax_alone(
    tiny_config: ElmoConfig, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint, model = checkpoint_of(tiny_config, None), make(tiny_config, len(NEW))
    weight, bias = copies(model)
    model.load_checkpoint(checkpoint, NEW)
    assert torch.equal(model.softmax.output.weight, weight)
    assert torch.equal(model.softmax.output.bias, bias)
    assert_has_the_bilm(model, checkpoint)
    assert "has 7 words without names, and this one has 9" in caplog.text


def test_a_checkpoint_without_softmax_gives_its_bilm(
    tiny_config: ElmoConfig, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint, model = load(tiny_folder, softmax=True), make(tiny_config, len(NEW))
    weight, _ = copies(model)
    with caplog.at_level(logging.INFO):
        model.load_checkpoint(checkpoint, NEW)
    assert torch.equal(model.softmax.output.weight, weight)
    assert_has_the_bilm(model, checkpoint)
    assert "The checkpoint has no softmax" in caplog.text


@pytest.mark.parametrize("kind", ["tied", "adaptive"])
def test_other_softmaxes_take_and_give_the_bilm_alone(
    tiny_config: ElmoConfig, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    bilm = BiLm(tiny_config)
    softmax = (
        FullSoftmax(TiedWeights(bilm.char_cnn, CharacterMapper().batch_ids([OLD])[0]))
        if kind == "tied"
        else AdaptiveSoftmax(len(OLD), 8, cutoffs=[3])
    )
    model, checkpoint = LanguageModel(bilm, softmax), checkpoint_of(tiny_config)
    before = {name: tensor.clone() for name, tensor in softmax.state_dict().items()}
    model.load_checkpoint(checkpoint, OLD)
    assert_has_the_bilm(model, checkpoint)
    assert all(torch.equal(softmax.state_dict()[name], before[name]) for name in before)
    assert "only its biLM is copied" in caplog.text
    made = model.to_checkpoint(OLD)
    assert made.num_words == 0 and made.vocabulary is None


def test_all_that_does_not_fit_is_named_and_nothing_is_copied(tiny_config: ElmoConfig) -> None:
    model = make(tiny_config, len(OLD))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    checkpoint = checkpoint_of(tiny_config)
    tensors = {**checkpoint.tensors, "other": torch.zeros(1)}
    tensors["lstm.forward_layers.0.bias"] = torch.zeros(3)
    del tensors["char_cnn.projection.bias"]
    with pytest.raises(CheckpointError) as error:
        model.load_checkpoint(Checkpoint(tiny_config, tensors), OLD)
    for problem in (
        "char_cnn.projection.bias is missing",
        "other is not a parameter",
        "lstm.forward_layers.0.bias is of shape (3,), not (64,)",
    ):
        assert problem in str(error.value)
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
