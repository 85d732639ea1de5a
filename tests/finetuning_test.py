"""Tests of the recipes in docs/finetuning.md: what each trains, with which steps, and when."""

import json
import re
from pathlib import Path
from typing import Any

import _jsonnet
import pytest
import torch
from allennlp.commands.train import TrainModel
from allennlp.common import Params
from allennlp.common.plugins import import_plugins
from allennlp.models.archival import archive_model, load_archive

import elmo_components.registered  # noqa: F401
from elmo_components.elmo import Elmo
from tests.conftest import ROOT

import_plugins()

RECIPES = re.findall(
    r"^```jsonnet\n(.*?)^```$",
    (ROOT / "docs" / "finetuning.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE | re.DOTALL,
)
# As the document has them.
FROZEN, ALL, NO_GRAD, DISCRIMINATIVE, GRADUAL, TWO_PLACES, OWN = RECIPES
GROUPS = [".bilm.char_cnn.", "_layers.0.", "_layers.1."]


def build(recipe: str, folder: Path, tiny: Elmo, tiny_folder: Path, *, epochs: int) -> TrainModel:
    """What a recipe trains, with the tiny model and few sentences."""
    return loop(reduced(recipe, tiny, tiny_folder, epochs=epochs), folder)


def reduced(recipe: str, tiny: Elmo, tiny_folder: Path, *, epochs: int) -> dict[str, Any]:
    """The configuration of a recipe, with the tiny model and few sentences."""
    config = json.loads(_jsonnet.evaluate_snippet(str(ROOT / "own.jsonnet"), recipe))
    embedders = config["model"]["text_field_embedder"]["token_embedders"]
    embedders["elmo"]["architecture"] = tiny.config.to_options()
    embedders["elmo"]["pretrained_file"] = str(tiny_folder)
    size = tiny.config.output_size
    encoder = config["model"].get("encoder") or config["model"]["seq2vec_encoder"]
    if "encoder" in encoder:
        encoder["input_size"], encoder = 2 * size, encoder["encoder"]
    encoder["input_size"] = size + (50 if "tokens" in embedders else 0)
    config["dataset_reader"]["max_instances"] = 20
    config["trainer"]["num_epochs"] = epochs
    config["evaluate_on_test"] = False
    # so that the last epoch's weights are left, and not the best's
    del config["validation_data_path"]
    if config["trainer"]["learning_rate_scheduler"]["type"] == "reduce_on_plateau":
        # it goes by those
        del config["trainer"]["learning_rate_scheduler"]
    return config


def loop(config: dict[str, Any], folder: Path) -> TrainModel:
    return TrainModel.from_params(
        Params(json.loads(json.dumps(config))),
        serialization_dir=str(folder),
        local_rank=0,
        batch_weight_key="",
    )


def group_of(name: str) -> str:
    return next((group for group in GROUPS if group in name), "task")


def changed(before: dict[str, torch.Tensor], model: torch.nn.Module) -> set[str]:
    """The groups of which any parameter is another one than before."""
    return {
        group_of(name)
        for name, parameter in model.named_parameters()
        if not torch.equal(before[name], parameter)
    }


def copies(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(
    ("recipe", "trained"),
    [
        (FROZEN, {"task"}),
        (ALL, {"task", *GROUPS}),
        (NO_GRAD, {"task", *GROUPS[1:]}),
        (TWO_PLACES, {"task"}),
    ],
    ids=["frozen", "all", "no_grad", "two_places"],
)
def test_a_recipe_trains_what_it_says(
    recipe: str, trained: set[str], tmp_path: Path, tiny: Elmo, tiny_folder: Path
) -> None:
    training = build(recipe, tmp_path, tiny, tiny_folder, epochs=1)
    before = copies(training.model)
    training.run()
    assert changed(before, training.model) == trained


def test_discriminative_steps_are_smaller_below(
    tmp_path: Path, tiny: Elmo, tiny_folder: Path
) -> None:
    training = build(DISCRIMINATIVE, tmp_path, tiny, tiny_folder, epochs=1)
    groups: list[dict[str, Any]] = training.trainer.optimizer.param_groups
    assert [group["lr"] for group in groups] == [0.0001, 0.0003, 0.0008, 0.002]
    names = {id(parameter): name for name, parameter in training.model.named_parameters()}
    for group, expected in zip(groups, [*GROUPS, "task"]):
        assert {group_of(names[id(parameter)]) for parameter in group["params"]} == {expected}


@pytest.mark.parametrize(
    ("epochs", "trained"),
    [
        (2, {"task", GROUPS[2]}),
        (4, {"task", *GROUPS}),
    ],
)
def test_gradual_unfreezing_goes_from_the_top_down(
    epochs: int, trained: set[str], tmp_path: Path, tiny: Elmo, tiny_folder: Path
) -> None:
    training = build(GRADUAL, tmp_path, tiny, tiny_folder, epochs=epochs)
    base = training.trainer._learning_rate_scheduler.base_values
    # lowest first, and the group of what is in no other, which is empty
    assert base[:4] == pytest.approx([0.002 * 0.38**3, 0.002 * 0.38**2, 0.002 * 0.38, 0.002])
    before = copies(training.model)
    training.run()
    assert changed(before, training.model) == trained


def test_a_model_from_ones_own_starts_with_its_weights_and_needs_no_file_of_it(
    tmp_path: Path, tiny: Elmo, tiny_folder: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    config = reduced(FROZEN, tiny, tiny_folder, epochs=1)
    first.mkdir()
    Params(json.loads(json.dumps(config))).to_file(str(first / "config.json"))
    training = loop(config, first)
    training.run()
    torch.save(training.model.state_dict(), first / "best.th")
    recipe = OWN.replace("output/own", str(first))
    config = json.loads(_jsonnet.evaluate_snippet("own.jsonnet", recipe))
    second.mkdir()
    Params(json.loads(json.dumps(config))).to_file(str(second / "config.json"))
    further = loop(config, second)
    torch.testing.assert_close(further.model.state_dict(), training.model.state_dict())
    further.run()
    torch.save(further.model.state_dict(), second / "best.th")
    first.rename(tmp_path / "gone")
    found = load_archive(archive_model(str(second))).model
    torch.testing.assert_close(found.state_dict(), further.model.state_dict())
