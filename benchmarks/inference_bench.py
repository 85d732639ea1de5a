"""Whole sentences to vectors: `Elmo` beside AllenNLP's, with the same weights."""

import tempfile
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from allennlp.modules.elmo import Elmo as AllenNlpElmo
from side_by_side import SHAPES, read_rate, take_turns
from torch import nn

from elmo_components import Elmo, checkpoints
from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint
from elmo_components.config import ElmoConfig
from elmo_components.modules.bilm import BiLm

BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}


def measure(sentences: Sequence[list[str]], repeats: int, peaks: dict) -> list[dict[str, Any]]:
    """Returns a row for each shape, number of sentences, precision and state of the word cache."""
    rows = []
    for name, config in SHAPES.items():
        theirs, ours = models_of(config)
        for batches, title in (
            ([[sentence] for sentence in sentences[:8]], "one sentence"),
            ([sentences[:32]], "32 sentences"),
        ):
            ids = [CharacterMapper().batch_ids(batch) for batch in batches]
            tokens = sum(len(sentence) for batch in batches for sentence in batch)
            models = {"allennlp": theirs, **ours}
            with torch.no_grad():
                seconds = take_turns(
                    {kind: partial(embed, model, ids) for kind, model in models.items()},
                    repeats,
                )
                closeness = _closeness(theirs, ours, ids[0])
            for kind in ours:
                precision, cache = kind.split()
                rows.append(
                    {
                        "case": f"{name}, {title}, {precision}, {cache} words",
                        "unit": "tokens/s",
                        "allennlp": tokens / seconds["allennlp"],
                        "ours": tokens / seconds[kind],
                        "limit": limit_of(config, precision, cache, batches, peaks),
                        **closeness[kind],
                    }
                )
    return rows


def embed(model: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    for ids in batches:
        model(ids)


def models_of(config: ElmoConfig) -> tuple[AllenNlpElmo, dict[str, Elmo]]:
    with tempfile.TemporaryDirectory() as folder:
        checkpoints.save(Checkpoint(config, BiLm(config).state_dict()), folder)
        files = f"{folder}/options.json", f"{folder}/weights.hdf5"
        theirs = AllenNlpElmo(*files, 1, dropout=0.0).eval()
        ours = {
            "float32 new": Elmo.from_pretrained(folder, dropout=0.0, word_cache_size=0),
            **{
                f"{precision} known": Elmo.from_pretrained(folder, dropout=0.0, precision=precision)
                for precision in BYTES
            },
        }
    return theirs, ours


def _closeness(theirs: AllenNlpElmo, ours: dict[str, Elmo], ids: torch.Tensor) -> dict[str, dict]:
    # it keeps its state from call to call
    theirs._elmo_lstm._elmo_lstm.reset_states()
    output = theirs._elmo_lstm(ids)
    # (num_layers, batch, time + 2, 2 * hidden_size)
    expected = torch.stack(output["activations"])
    found = {}
    for kind, model in ours.items():
        layers = model.bilm(ids).layers
        cosines = torch.nn.functional.cosine_similarity(layers, expected, dim=-1)
        found[kind] = {
            "largest_difference": float((layers - expected).abs().max()),
            "mean_cosine": float(cosines[:, output["mask"]].mean()),
        }
    return found


def limit_of(
    config: ElmoConfig,
    precision: str,
    cache: str,
    batches: Sequence[Sequence[list[str]]],
    peaks: dict,
) -> float:
    """
    The tokens/s that the machine allows: of each batch, the larger of its products over the peak
    and its weights, read once a step, over the speed at which so many bytes are read.
    """
    lstm, size = config.lstm, config.lstm.hidden_size
    cell = 4 * lstm.cell_size
    step = 2 * lstm.num_layers * (cell * size + lstm.cell_size * size)
    token = step + 2 * lstm.num_layers * cell * size
    features = config.char_cnn.num_filters
    word = 2 * config.char_cnn.num_highway_layers * features**2 + features * size
    seconds = tokens = 0.0
    for batch in batches:
        # with the marks
        lengths = [len(sentence) + 2 for sentence in batch]
        operations = 2 * token * sum(lengths)
        weights = step * BYTES[precision]
        read = weights * max(lengths) / read_rate(weights)
        seconds += max(operations / peaks[precision], read) / 1e9
        if cache == "new":
            different = {word for sentence in batch for word in sentence}
            windows = sum(len(form) + 3 for form in different)
            filters = 16 * sum(width * number for width, number in config.char_cnn.filters)
            operations = 2 * (word * len(different) + filters * windows)
            seconds += operations / peaks["float32"] / 1e9
        tokens += sum(lengths) - 2 * len(lengths)
    return tokens / seconds
