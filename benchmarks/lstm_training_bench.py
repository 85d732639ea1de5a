"""The LSTMs forward and backward: `ElmoLstm` beside AllenNLP's and `torch.nn.LSTM`, no clipping."""

from typing import Any

import torch
from allennlp.modules.elmo_lstm import ElmoLstm as AllenNlpElmoLstm
from side_by_side import SHAPES, SHIPPED, take_turns
from torch import nn

from elmo_components.config import LstmConfig
from elmo_components.modules.lstm import ElmoLstm

# the configuration, sentences and tokens of each
CASES = {
    "small": (SHAPES["small"], 64, 20),
    "shipped": (SHIPPED, 128, 25),
    "original": (SHAPES["original"], 32, 20),
}


def measure(repeats: int, peaks: dict) -> list[dict[str, Any]]:
    """Returns a row for each shape."""
    return [
        _row(name, config.lstm, batch, time, repeats, peaks)
        for name, (config, batch, time) in CASES.items()
    ]


def _row(
    name: str, config: LstmConfig, batch: int, time: int, repeats: int, peaks: dict
) -> dict[str, Any]:
    size, cell = config.hidden_size, config.cell_size
    ours = ElmoLstm(config, input_size=size)
    theirs = AllenNlpElmoLstm(
        *(size, size, cell, config.num_layers),
        memory_cell_clip_value=config.cell_clip,
        state_projection_clip_value=config.projection_clip,
    )
    # two stacks that do not see each other
    plain = nn.ModuleList(
        nn.LSTM(size, cell, config.num_layers, batch_first=True, proj_size=size) for _ in range(2)
    )
    # (batch, time, size)
    inputs = torch.randn(batch, time, size, requires_grad=True)
    mask = torch.ones(batch, time, dtype=torch.bool)

    def run_ours() -> None:
        ours.zero_grad()
        ours(inputs, mask)[0].sum().backward()

    def run_theirs() -> None:
        theirs.zero_grad()
        theirs.reset_states()
        theirs(inputs, mask).sum().backward()

    def run_plain() -> None:
        plain.zero_grad()
        (plain[0](inputs)[0].sum() + plain[1](inputs.flip(1))[0].sum()).backward()

    seconds = take_turns({"allennlp": run_theirs, "ours": run_ours, "torch": run_plain}, repeats)
    # of both directions, a token
    products = 2 * config.num_layers * (8 * cell * size + cell * size)
    return {
        "case": f"{name}, LSTMs forward and backward, {batch} x {time}, float32",
        "unit": "tokens/s",
        "allennlp": batch * time / seconds["allennlp"],
        "ours": batch * time / seconds["ours"],
        "torch_nn_lstm": batch * time / seconds["torch"],
        "limit": peaks["float32"] * 1e9 / (3 * 2 * products),
    }
