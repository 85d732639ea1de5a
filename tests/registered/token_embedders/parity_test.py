"""Holds the package to AllenNLP's own `Elmo`, which reads the same weights file."""

from pathlib import Path

import pytest
import torch
from allennlp.modules.elmo import Elmo as AllenNlpElmo
from allennlp.modules.elmo import batch_to_ids

from elmo_components.characters import CharacterMapper
from elmo_components.elmo import Elmo
from elmo_components.modules.lstm_state import carried
from tests.characters_test import WORDS
from tests.closeness import assert_close

BATCHES = [
    [["The", "bank", "of", "the", "river"], ["naïve"], ["x" * 60, "日本語"]],
    [["Two"], ["a", "b", "c"], ["d"]],
    # a smaller batch, a larger one, and an empty sentence
    [["Fewer", "now"]],
    [["w"], ["x", "y"], ["z"], ["And", "one", "more", "sentence"]],
    [["The", "end", "."], [], ["a"]],
]


def files(folder: Path) -> tuple[str, str]:
    return str(folder / "options.json"), str(folder / "weights.hdf5")


def test_character_ids_are_the_same() -> None:
    sentences = [WORDS, ["one"]]
    assert torch.equal(CharacterMapper().batch_ids(sentences), batch_to_ids(sentences))


@pytest.mark.parametrize("stateful", [False, True])
def test_all_layers_are_the_same_over_five_batches(tiny_folder: Path, stateful: bool) -> None:
    theirs = AllenNlpElmo(*files(tiny_folder), 1)._elmo_lstm
    ours = Elmo.from_pretrained(tiny_folder)
    state = None
    for batch in BATCHES:
        ids = batch_to_ids(batch)
        if not stateful:
            theirs._elmo_lstm.reset_states()
        expected = theirs(ids)
        given = state.for_batch(len(batch)) if stateful and state is not None else None
        layers, mask, new_state = ours.bilm(ids, given)
        state = carried(state, new_state)
        assert torch.equal(mask, expected["mask"])
        assert_close(layers, torch.stack(expected["activations"]))


@pytest.mark.parametrize("do_layer_norm", [False, True])
@pytest.mark.parametrize("keep_sentence_boundaries", [False, True])
@pytest.mark.parametrize("scalar_mix_parameters", [None, [0.3, -1.0, 2.0]])
def test_representations_are_the_same(
    tiny_folder: Path,
    do_layer_norm: bool,
    keep_sentence_boundaries: bool,
    scalar_mix_parameters: list[float],
) -> None:
    settings = {
        "do_layer_norm": do_layer_norm,
        "keep_sentence_boundaries": keep_sentence_boundaries,
        "scalar_mix_parameters": scalar_mix_parameters,
    }
    theirs = AllenNlpElmo(*files(tiny_folder), 2, **settings).eval()
    ours = Elmo.from_pretrained(tiny_folder, num_output_representations=2, **settings)
    if scalar_mix_parameters is None:
        for number, mix in enumerate(ours.scalar_mixes):
            mix.weights.data = torch.randn(3)
            for parameter, weight in zip(
                getattr(theirs, f"scalar_mix_{number}").scalar_parameters, mix.weights
            ):
                parameter.data.fill_(weight.item())
    ids = batch_to_ids(BATCHES[0])
    expected, found = theirs(ids), ours(ids)
    assert torch.equal(found["mask"], expected["mask"])
    for mine, other in zip(found["elmo_representations"], expected["elmo_representations"]):
        # AllenNLP's layer norm shifts the padding too, which nobody reads
        mask = found["mask"].unsqueeze(-1)
        assert_close(mine * mask, other * mask)
