"""Tests of language_model.py, against the equations in float64 and plain loops."""

from collections.abc import Sequence
from typing import Optional

import numpy
import pytest
import torch
from torch import nn

from elmo_components.characters import CharacterMapper
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig
from elmo_components.modules.bilm import BiLm
from elmo_components.pretraining.language_model import LanguageModel
from elmo_components.pretraining.softmax import FullSoftmax, OwnWeights
from tests.reference import bilm_layers, float64, word_vector

VOCABULARY = ["</S>", "<S>", "<UNK>", "a", "bc", "naïve", "fox", "d"]
HIDDEN = 3


def make(
    *,
    num_layers: int = 2,
    skip: bool = True,
    cell_size: int = 5,
    clip: Optional[float] = 0.6,
    dropout: float = 0.0,
) -> LanguageModel:
    config = ElmoConfig(
        CharCnnConfig(4, ((1, 2), (3, 5)), 1, "relu"),
        LstmConfig(HIDDEN, cell_size, num_layers, clip, clip, skip),
    )
    softmax = FullSoftmax(OwnWeights(len(VOCABULARY), HIDDEN))
    model = LanguageModel(BiLm(config), softmax, dropout=dropout).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


Rows = list[list[str]]


def batch(forward: Rows, backward: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Returns character ids, targets and lengths, of each direction's rows of words: the words but
    the last are read, those but the first are predicted.
    """
    lengths = [max(0, len(row) - 1) for row in forward]
    mapper = CharacterMapper()
    ids = [mapper.batch_ids([row[:-1] for row in rows]) for rows in (forward, backward)]
    targets = torch.zeros(2, len(forward), max(lengths), dtype=torch.int64)
    for direction, rows in enumerate((forward, backward)):
        for number, row in enumerate(rows):
            words = [VOCABULARY.index(word) for word in row[1:]]
            targets[direction, number, : len(words)] = torch.tensor(words, dtype=torch.int64)
    return torch.stack(ids), targets, torch.tensor(lengths)


# sentences one after the other, as in streams; the backward direction has a stream of its own
ROWS = (
    [["<S>", "a", "bc", "</S>", "<S>", "fox"], [], ["<S>", "naïve", "</S>"], ["d", "a"]],
    [["</S>", "bc", "a", "<S>", "</S>", "d"], [], ["</S>", "naïve", "<S>"], ["fox", "<UNK>"]],
)


def expected_losses(
    model: LanguageModel,
    inputs: Sequence[str],
    targets: Sequence[int],
    direction: int,
) -> list[float]:
    """Returns -log p of each target, by loops over the papers' equations."""
    config = model.bilm.config
    vectors = [
        word_vector(
            CharacterMapper().word_ids(word).tolist(),
            float64(model.bilm.char_cnn.state_dict()),
            activation=config.char_cnn.activation,
            num_filters=len(config.char_cnn.filters),
            num_highways=config.char_cnn.num_highway_layers,
        )
        for word in inputs
    ]
    lstm = config.lstm
    # the reference's backward direction reads from the last word to the first
    layers = bilm_layers(
        vectors if direction == 0 else vectors[::-1],
        float64(model.bilm.lstm.state_dict()),
        num_layers=lstm.num_layers,
        cell_clip=lstm.cell_clip,
        projection_clip=lstm.projection_clip,
        skip_connections=lstm.skip_connections,
    )
    size = lstm.hidden_size
    top = layers[-1, :, :size] if direction == 0 else layers[-1, ::-1, size:]
    softmax = float64(model.softmax.state_dict())
    losses = []
    for hidden, target in zip(top, targets):
        scores = [
            weight @ hidden + bias
            for weight, bias in zip(softmax["output.weight"], softmax["output.bias"])
        ]
        p = numpy.exp(scores[target]) / sum(numpy.exp(scores))
        losses.append(-numpy.log(p))
    return losses


@pytest.mark.parametrize(("num_layers", "skip", "cell_size"), [(1, False, 5), (2, True, HIDDEN)])
def test_each_direction_predicts_the_next_word_of_its_stream(
    num_layers: int, skip: bool, cell_size: int
) -> None:
    model = make(num_layers=num_layers, skip=skip, cell_size=cell_size)
    ids, targets, lengths = batch(*ROWS)
    # what stands past a row's end does not count
    targets[0, 2, 3:] = 5
    prediction = model(ids, targets, lengths)
    wanted = torch.zeros(2, 4, 5, dtype=torch.float64)
    for direction in range(2):
        for number, row in enumerate(ROWS[direction]):
            if row:
                numbers = [VOCABULARY.index(word) for word in row[1:]]
                losses = expected_losses(model, row[:-1], numbers, direction)
                wanted[direction, number, : len(losses)] = torch.tensor(losses)
    assert int((wanted > 0).sum()) == 2 * (5 + 0 + 2 + 1)
    torch.testing.assert_close(prediction.token_losses, wanted)
    torch.testing.assert_close(prediction.loss, wanted.sum())
    assert prediction.loss.requires_grad and not prediction.token_losses.requires_grad


class Each(nn.Module):
    """A full softmax that keeps each token's loss with its gradients."""

    def __init__(self, output: OwnWeights) -> None:
        super().__init__()
        self.output = output

    def forward(
        self, hidden: torch.Tensor, targets: torch.Tensor, seed: Optional[torch.Tensor] = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        weight, bias = self.output(None)
        self.hidden = hidden
        self.losses = nn.functional.cross_entropy(
            hidden @ weight.t() + bias, targets, reduction="none"
        )
        return self.losses.sum(), self.losses.detach()


def test_no_token_s_loss_depends_on_what_it_must_not_see() -> None:
    # with clipping some would not depend on what they see either
    model = make(clip=None)
    ids, targets, lengths = batch(*ROWS)
    vectors = torch.randn(2, 4, 5, HIDDEN, dtype=torch.float64).requires_grad_()
    model.bilm.char_cnn.register_forward_hook(lambda *_: vectors)
    model.softmax = Each(model.softmax.output)
    model(ids, targets, lengths)
    places = [
        (direction, row, step)
        for direction in range(2)
        for row, length in enumerate(lengths.tolist())
        for step in range(length)
    ]
    assert len(places) == len(model.softmax.losses)
    for (direction, row, step), loss in zip(places, model.softmax.losses):
        (gradient,) = torch.autograd.grad(loss, vectors, retain_graph=True)
        seen = torch.zeros(2, 4, 5, dtype=torch.bool)
        seen[direction, row, : step + 1] = True
        assert not gradient[~seen].any()
        assert (gradient[seen] != 0.0).any(dim=-1).all()


def cut(part: slice) -> tuple[Rows, Rows]:
    return [row[part] for row in ROWS[0]], [row[part] for row in ROWS[1]]


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_state_that_is_carried_makes_cuts_one_long_row(at: int) -> None:
    model = make()
    whole = model(*batch(*ROWS))
    # a cut's last word is predicted there and read in the next
    first = model(*batch(*cut(slice(0, at + 1))))
    second = model(*batch(*cut(slice(at, None))), first.state)
    halves = torch.cat([first.token_losses[:, :, :at], second.token_losses], dim=2)
    torch.testing.assert_close(halves, whole.token_losses)
    torch.testing.assert_close(first.loss + second.loss, whole.loss)
    torch.testing.assert_close(second.state, whole.state)
    # and without it they are not
    alone = model(*batch(*cut(slice(at, None))))
    assert not torch.allclose(alone.token_losses, second.token_losses)


def test_no_words_have_no_loss() -> None:
    model = make()
    prediction = model(*batch([[], []], [[], []]))
    assert float(prediction.loss) == 0.0 and prediction.token_losses.shape == (2, 2, 0)
    prediction.loss.backward()


def test_dropout_falls_on_the_softmax_s_input_too_in_training_alone() -> None:
    # clipped to both sides, a layer and its input may add up to 0
    model, arguments = make(dropout=0.4, clip=None), batch(*ROWS)
    model.softmax = Each(model.softmax.output)
    model.eval()
    exact = model(*arguments)
    torch.testing.assert_close(exact.loss, make_alike(model)(*arguments).loss)
    model.train()
    # what the layers' dropout does is lstm_test's
    model.bilm.lstm.eval()
    dropped = []
    for _ in range(100):
        with torch.no_grad():
            model(*arguments)
        dropped.append(model.softmax.hidden)
    model.eval()
    with torch.no_grad():
        model(*arguments)
    # (draws, tokens, hidden_size)
    drawn = torch.stack(dropped)
    kept = drawn != 0.0
    scaled = (model.softmax.hidden / 0.6).expand_as(drawn)
    torch.testing.assert_close(drawn[kept], scaled[kept])
    # 5 standard deviations of a share
    assert abs(float(kept.double().mean()) - 0.6) < 5.0 * (0.24 / kept.numel()) ** 0.5


def make_alike(model: LanguageModel) -> LanguageModel:
    other = make(clip=None)
    other.load_state_dict(model.state_dict())
    return other


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_must_be_a_probability(dropout: float) -> None:
    with pytest.raises(ValueError, match=f"at least 0 and below 1; found {dropout}"):
        make(dropout=dropout)
