"""Tests of lstm.py."""

import pytest
import torch

from elmo_components.config import LstmConfig
from elmo_components.kernels import LayerState, LstmCall, projected_lstm
from elmo_components.modules.lstm import ElmoLstm
from elmo_components.modules.lstm_state import LstmState

BATCH, TIME, INPUT, HIDDEN, CELL = 3, 6, 5, 4, 7
LENGTHS = torch.tensor([6, 2, 4])
MASK = torch.arange(TIME).unsqueeze(0) < LENGTHS.unsqueeze(1)


def make(
    *, num_layers: int = 2, cell_size: int = CELL, skip: bool = True, dropout: float = 0.0
) -> ElmoLstm:
    config = LstmConfig(HIDDEN, cell_size, num_layers, 0.9, 0.6, skip)
    lstm = ElmoLstm(config, input_size=INPUT, recurrent_dropout=dropout)
    for parameter in lstm.parameters():
        torch.nn.init.normal_(parameter)
    return lstm.double()


def inputs() -> torch.Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("cell_size", [CELL, HIDDEN])
@pytest.mark.parametrize("skip", [True, False])
def test_a_sentence_alone_equals_the_sentence_in_a_batch(
    num_layers: int, cell_size: int, skip: bool
) -> None:
    lstm, batch = make(num_layers=num_layers, cell_size=cell_size, skip=skip), inputs()
    layers, state = lstm(batch, MASK)
    assert layers.shape == (num_layers, BATCH, TIME, 2 * HIDDEN)
    assert not layers[:, ~MASK].any()
    for row, length in enumerate(LENGTHS.tolist()):
        alone, alone_state = lstm(
            batch[row : row + 1, :length], torch.ones(1, length, dtype=torch.bool)
        )
        torch.testing.assert_close(alone[:, 0], layers[:, row, :length])
        torch.testing.assert_close(alone_state.hidden[:, :, 0], state.hidden[:, :, row])
        torch.testing.assert_close(alone_state.cell[:, :, 0], state.cell[:, :, row])


def test_what_stands_in_the_padding_does_not_matter() -> None:
    lstm, batch = make(), inputs()
    other = torch.where(MASK.unsqueeze(-1), batch, batch + 100.0)
    torch.testing.assert_close(lstm(batch, MASK)[0], lstm(other, MASK)[0], rtol=0.0, atol=0.0)


def test_no_direction_sees_what_it_must_not() -> None:
    lstm, batch = make(), inputs()
    before, _ = lstm(batch, MASK)
    changed = batch.clone()
    changed[0, 3] += 1.0
    after, _ = lstm(changed, MASK)
    same = (before == after).all(dim=0)[0]
    assert same[:3, :HIDDEN].all() and same[4:, HIDDEN:].all()
    # clipped elements may stay the same, but no whole step
    assert not same[3:, :HIDDEN].all(dim=1).any() and not same[:4, HIDDEN:].all(dim=1).any()


def test_a_state_goes_on_where_it_came_from() -> None:
    lstm, batch = make(), inputs()
    full = torch.ones(BATCH, TIME, dtype=torch.bool)
    whole, whole_state = lstm(batch, full)
    start, state = lstm(batch[:, :2], full[:, :2])
    end, end_state = lstm(batch[:, 2:], full[:, 2:], state)
    halves = torch.cat([start, end], dim=2)[..., :HIDDEN]
    torch.testing.assert_close(halves, whole[..., :HIDDEN])
    torch.testing.assert_close(end_state.hidden[:, 0], whole_state.hidden[:, 0])
    # the backward direction goes on from right to left
    end, state = lstm(batch[:, 2:], full[:, 2:])
    start, _ = lstm(batch[:, :2], full[:, :2], state)
    torch.testing.assert_close(torch.cat([start, end], dim=2)[..., HIDDEN:], whole[..., HIDDEN:])


def test_an_empty_sentence_keeps_its_state() -> None:
    lstm = make()
    mask = MASK.clone()
    mask[1] = False
    state = LstmState(
        torch.randn(2, 2, BATCH, HIDDEN, dtype=torch.float64),
        torch.randn(2, 2, BATCH, CELL, dtype=torch.float64),
    )
    layers, end = lstm(inputs(), mask, state)
    assert not layers[:, 1].any()
    torch.testing.assert_close(end.hidden[:, :, 1], state.hidden[:, :, 1])
    torch.testing.assert_close(end.cell[:, :, 1], state.cell[:, :, 1])


@pytest.mark.parametrize(("batch", "time"), [(0, 3), (2, 0), (0, 0)])
def test_nothing_in_gives_nothing_out(batch: int, time: int) -> None:
    layers, state = make()(
        torch.zeros(batch, time, INPUT, dtype=torch.float64),
        torch.ones(batch, time, dtype=torch.bool),
    )
    assert layers.shape == (2, batch, time, 2 * HIDDEN)
    assert state.cell.shape == (2, 2, batch, CELL)


def test_recurrent_dropout_is_one_mask_a_sentence_in_training_alone() -> None:
    lstm, batch = make(num_layers=1, dropout=0.5), inputs()
    plain, _ = make(num_layers=1)(batch, MASK)
    dropped, _ = lstm.train()(batch, MASK)
    zero = dropped[0] == 0.0
    assert zero[0].any() and (zero[0] == zero[0, :1]).all()
    kept, _ = lstm.eval()(batch, MASK)
    assert plain.shape == kept.shape and (kept[0][MASK] != 0.0).all()


def test_kept_elements_are_scaled_up() -> None:
    config = LstmConfig(HIDDEN, HIDDEN, 1, None, None, False)
    lstm = ElmoLstm(config, input_size=INPUT, recurrent_dropout=0.25)
    one_step = torch.randn(1, 1, INPUT), torch.ones(1, 1, dtype=torch.bool)
    whole, _ = lstm.eval()(*one_step)
    dropped, _ = lstm.train()(*one_step)
    kept = dropped != 0.0
    torch.testing.assert_close(dropped[kept], whole[kept] / 0.75)


def test_the_forget_gate_starts_open() -> None:
    lstm = ElmoLstm(LstmConfig(HIDDEN, CELL, 1, None, None, False), input_size=INPUT)
    weights = lstm.forward_layers[0]()
    assert weights.bias.tolist() == [0.0] * CELL + [1.0] * CELL + [0.0] * (2 * CELL)
    assert not lstm.forward_layers[0].bias.any()


def test_parameter_names_are_the_documented_ones() -> None:
    names = ["input_weight", "recurrent_weight", "bias", "projection_weight"]
    assert list(make(num_layers=1).state_dict()) == [
        f"{direction}_layers.0.{name}" for direction in ("forward", "backward") for name in names
    ]
    unprojected = make(num_layers=1, cell_size=HIDDEN).state_dict()
    assert not any("projection" in name for name in unprojected)


@pytest.mark.parametrize(
    ("shape", "mask", "message"),
    [
        ((BATCH, TIME, INPUT + 1), MASK, r"must be of shape \(batch, time, 5\); found \(3, 6, 6\)"),
        ((BATCH, INPUT), MASK, r"found \(3, 5\)"),
        ((BATCH, TIME, INPUT), MASK[:, 1:], r"here \(3, 6\); found \(3, 5\)"),
    ],
)
def test_other_shapes_are_errors(shape: tuple, mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()(torch.zeros(shape, dtype=torch.float64), mask)


def test_a_state_of_another_batch_is_an_error() -> None:
    lstm = make()
    _, state = lstm(inputs(), MASK)
    with pytest.raises(ValueError, match=r"hidden state must be of shape .* \(2, 2, 2, 4\)"):
        lstm(inputs()[:2], MASK[:2], state)


def test_recurrent_dropout_must_be_a_probability() -> None:
    with pytest.raises(ValueError, match="recurrent_dropout must be at least 0 and below 1"):
        make(dropout=1.0)


def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Returns a list to which each layer adds its inputs and its outputs, skip connection aside."""
    found: list[tuple[torch.Tensor, torch.Tensor]] = []

    def spy(call: LstmCall) -> tuple[torch.Tensor, LayerState]:
        outputs, state = projected_lstm(call)
        found.append((call.inputs, outputs))
        return outputs, state

    monkeypatch.setattr("elmo_components.modules.lstm.projected_lstm", spy)
    return found


def test_directions_read_inputs_of_their_own() -> None:
    lstm, forward, backward = make(), inputs(), inputs()
    outputs, state = lstm.directions(torch.stack([forward, backward]), LENGTHS)
    ahead, ahead_state = lstm(forward, MASK)
    # a sentence read from its last to its first is one that was reversed
    turned = backward.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        turned[row, :length] = backward[row, :length].flip(0)
    behind, behind_state = lstm(turned, MASK)
    for layer, found in enumerate(outputs):
        torch.testing.assert_close(found[0], ahead[layer, ..., :HIDDEN])
        for row, length in enumerate(LENGTHS.tolist()):
            torch.testing.assert_close(
                found[1, row, :length], behind[layer, row, :length, HIDDEN:].flip(0)
            )
            assert not found[:, row, length:].any()
    torch.testing.assert_close(state.cell[:, 0], ahead_state.cell[:, 0])
    torch.testing.assert_close(state.cell[:, 1], behind_state.cell[:, 1])


def test_input_dropout_is_drawn_anew_at_each_step_and_the_skip_connection_takes_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lstm, both = make(), torch.stack([inputs(), inputs()])
    found = calls(monkeypatch)
    for _ in range(150):
        with torch.no_grad():
            outputs, _ = lstm.directions(both, LENGTHS, input_dropout=0.3)
        (_, first_outputs), (second, second_outputs) = found[-2:]
        torch.testing.assert_close(outputs[0], first_outputs)
        # bilm-tf: DropoutWrapper(ResidualWrapper(cell), input_keep_prob=...)
        torch.testing.assert_close(outputs[1], second_outputs + second)
        kept = second != 0.0
        torch.testing.assert_close(second[kept], (first_outputs / 0.7)[kept])
    # (draws, directions, batch, time, input_size)
    drawn = torch.stack([first for first, _ in found[::2]])
    kept = drawn != 0.0
    torch.testing.assert_close(drawn[kept], (both / 0.7).expand_as(drawn)[kept])
    # 5 standard deviations of a share
    assert abs(float(kept.double().mean()) - 0.7) < 5.0 * (0.21 / kept.numel()) ** 0.5
    # steps, sentences and directions do not share what they drop: agreement is 0.7^2 + 0.3^2
    for other in (kept.roll(1, 3), kept.roll(1, 2), kept.roll(1, 1)):
        agreement = float((kept == other).double().mean())
        assert agreement == pytest.approx(0.58, abs=0.03)
