"""Tests of pretraining/teachers.py."""

from typing import Any

import pytest
import torch
from torch import nn

from elmo_components.characters import CharacterMapper
from elmo_components.elmo import Elmo
from elmo_components.pretraining.language_model import LanguageModel
from elmo_components.pretraining.teachers import Distillation, WordDistillation
from tests.pretraining.language_model_test import batch, make

SENTENCES = [["a", "bc", "naïve"], ["fox"], ["d", "a", "fox", "bc", "a"], ["bc", "d"]]
SIZE = 4


def read(
    model: LanguageModel, sentences: list[list[str]]
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Returns the layers of sentences, as pre-training reads them, and the rows' lengths."""
    forward = [["<S>", *words, "</S>"] for words in sentences]
    ids, targets, lengths = batch(forward, [row[::-1] for row in forward])
    return model(ids, targets, lengths).layers, lengths


def distillation(model: LanguageModel, **settings: Any) -> Distillation:
    return Distillation(model.bilm.config, SIZE, **settings).to(next(model.parameters()).dtype)


@pytest.mark.parametrize("loss", ["cosine", "squared_error"])
def test_a_word_s_loss_is_that_of_the_head_on_the_mix_of_its_own_layers(loss: str) -> None:
    model = make()
    student = distillation(model, loss=loss)
    nn.init.normal_(student.mix.weights)
    teacher = torch.randn(4, 5, SIZE, dtype=torch.float64)
    # a transformer's vector of a word without word pieces
    teacher[2, 3] = 0.0
    expected = []
    for words, targets in zip(SENTENCES, teacher):
        # as a task reads them: each sentence alone, its marks left out
        layers = model.bilm(CharacterMapper().batch_ids([words])).layers[:, 0, 1:-1]
        weights = torch.softmax(student.mix.weights, 0)
        mixed = sum(weight * layer for weight, layer in zip(weights, layers))
        for predicted, target in zip(student.head(mixed), targets):
            if not target.any():
                continue
            difference = predicted - target
            cosine = predicted @ target / (predicted.norm() * target.norm())
            expected.append(1 - cosine if loss == "cosine" else difference @ difference / SIZE)
    found = student(*read(model, SENTENCES), teacher)
    assert found.shape == (3 + 1 + 4 + 2,)
    torch.testing.assert_close(found.double(), torch.stack(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["cosine", "squared_error"])
def test_the_loss_is_zero_where_the_head_predicts_the_teacher(loss: str) -> None:
    model = make()
    student = distillation(model, loss=loss)
    teacher = torch.zeros(4, 5, SIZE, dtype=torch.float64)
    for row, words in enumerate(SENTENCES):
        layers = model.bilm(CharacterMapper().batch_ids([words])).layers[:, 0, 1:-1]
        teacher[row, : len(words)] = student.head(layers.mean(dim=0)).detach()
    found = student(*read(model, SENTENCES), teacher)
    torch.testing.assert_close(found, torch.zeros(11), rtol=0, atol=1e-6)


def test_the_weight_falls_linearly_to_zero() -> None:
    config = make().bilm.config
    student = Distillation(config, SIZE, weight=4.0, decay_steps=4)
    weights = []
    for _ in range(6):
        weights.append(student.weight)
        student.steps += 1
    assert weights == [4.0, 3.0, 2.0, 1.0, 0.0, 0.0]
    resumed = Distillation(config, SIZE, weight=4.0, decay_steps=8)
    resumed.load_state_dict(student.state_dict())
    assert resumed.weight == 1.0
    resumed.decay_steps = None
    assert resumed.weight == 4.0


def test_a_student_learns_a_tiny_teacher_from_the_teacher_s_loss_alone(tiny: Elmo) -> None:
    model = make(cell_size=24).float()
    student = Distillation(model.bilm.config, tiny.config.output_size)
    for module in (*model.bilm.lstm.forward_layers, *model.bilm.lstm.backward_layers):
        module.reset_parameters()
    model.bilm.char_cnn.reset_parameters()
    with torch.no_grad():
        ids = CharacterMapper().batch_ids(SENTENCES)
        teacher = tiny(ids)["elmo_representations"][0]
    before = tiny.state_dict()
    parameters = [*model.bilm.parameters(), *student.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    losses = []
    for _ in range(150):
        loss = student(*read(model, SENTENCES), teacher).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.5 and losses[-1] < 0.02
    assert all(parameter.grad is not None for parameter in parameters)
    torch.testing.assert_close(dict(tiny.state_dict()), dict(before), rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in tiny.parameters())


def test_no_word_has_no_loss() -> None:
    model = make()
    student = distillation(model)
    found = student(*read(model, [["a"]]), torch.zeros(1, 1, SIZE, dtype=torch.float64))
    assert found.shape == (0,)


def test_what_cannot_be_is_an_error() -> None:
    model = make()
    for settings in ({"loss": "dot"}, {"weight": 0.0}, {"decay_steps": 0}):
        with pytest.raises(ValueError, match="must be"):
            distillation(model, **settings)
    # with sentence marks
    with pytest.raises(ValueError, match=r"here \(4, 5, 4\); found \(4, 7, 4\)"):
        distillation(model)(*read(model, SENTENCES), torch.ones(4, 7, SIZE))


@pytest.mark.parametrize("loss", ["cosine", "squared_error"])
def test_the_character_encoder_learns_static_vectors_of_words(loss: str) -> None:
    char_cnn = make().float().bilm.char_cnn
    words = ["a", "bc", "naïve", "fox"]
    ids = CharacterMapper().batch_ids([words])[0]
    teacher = torch.randn(4, SIZE)
    torch.manual_seed(0)
    hidden_size = char_cnn(ids).size(-1)
    student = WordDistillation(hidden_size, SIZE, loss=loss, words_per_batch=16)
    torch.manual_seed(1)
    found = student(char_cnn, ids, teacher)
    torch.manual_seed(1)
    drawn = torch.randint(4, (16,))
    for value, word in zip(found, drawn):
        predicted, target = student.head(char_cnn(ids[word])), teacher[word]
        difference = predicted - target
        cosine = predicted @ target / (predicted.norm() * target.norm())
        expected = 1 - cosine if loss == "cosine" else difference @ difference / SIZE
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)
    parameters = [*char_cnn.parameters(), *student.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        student(char_cnn, ids, teacher).mean().backward()
        optimizer.step()
    assert student(char_cnn, ids, teacher).mean() < 0.05 < found.mean()


def test_a_word_teacher_that_cannot_be_is_an_error() -> None:
    for settings in ({"loss": "dot"}, {"weight": 0.0}, {"words_per_batch": 0}):
        with pytest.raises(ValueError, match="must be"):
            WordDistillation(8, SIZE, **settings)
