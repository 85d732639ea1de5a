"""Published configurations train alike on AllenNLP's ELMo and on the drop-in."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from allennlp.commands import main
from allennlp.commands.train import TrainModel
from allennlp.common import Params
from allennlp.common.plugins import import_plugins
from allennlp.common.util import prepare_environment
from allennlp.models.archival import archive_model, load_archive
from allennlp.modules import TokenEmbedder
from allennlp.modules.elmo import _ElmoBiLm
from allennlp.training import TrainerCallback

from elmo_components.registered.drop_in.bilm import DropInBiLm
from elmo_components.registered.drop_in.elmo import DropInElmoTokenEmbedder, install, uninstall
from tests.closeness import assert_close
from tests.conftest import ROOT
from tests.registered.drop_in.published_configs import CONFIGS, ner_elmo

import_plugins()

DOCS = ROOT / "docs" / "drop_in.md"


class Losses(TrainerCallback):
    """Keeps the loss of each step."""

    def __init__(self, serialization_dir: str) -> None:
        super().__init__(serialization_dir)
        self.losses: list[float] = []

    def on_batch(
        self, trainer: Any, inputs: Any, outputs: list[dict], *arguments: Any, **settings: Any
    ) -> None:
        """Takes in a step of training."""
        if trainer.model.training:
            self.losses.append(outputs[0]["loss"].item())


@pytest.fixture
def dropping_in() -> Iterator[Callable[[], None]]:
    """`install`, which is undone after the test."""
    yield install
    uninstall()


def train(config: dict[str, Any], folder: Path, *, of: type) -> list[float]:
    """
    Trains as `allennlp train` does, up to an archive, and returns the loss of each step. The biLM
    must be `of` this class.
    """
    folder.mkdir()
    # a copy in which nothing is shared, since what is read is taken out
    params = Params(json.loads(json.dumps(config)))
    prepare_environment(params)
    params.to_file(str(folder / "config.json"))
    loop = TrainModel.from_params(params=params, serialization_dir=str(folder), local_rank=0)
    assert [type(module) for module in loop.model.modules()].count(of) == 1
    callback = Losses(str(folder))
    loop.trainer._callbacks.append(callback)
    loop.run()
    archive_model(str(folder))
    return callback.losses


def predictions(folder: Path, data: str) -> list[dict[str, Any]]:
    """What an archive's model says of the instances in a file."""
    archive = load_archive(folder / "model.tar.gz")
    instances = list(archive.validation_dataset_reader.read(data))
    for instance in instances:
        archive.validation_dataset_reader.apply_token_indexers(instance)
    return archive.model.eval().forward_on_instances(instances)


def assert_alike(found: Any, expected: Any) -> None:
    """Whether two outputs are the same, numbers to 1e-5."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_alike(found[key], expected[key])
    elif isinstance(expected, (numpy.ndarray, torch.Tensor)):
        assert_close(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("make", CONFIGS, ids=lambda make: make.__name__)
def test_a_published_configuration_trains_and_loads_alike(
    make: Callable,
    files: dict[str, str],
    dropping_in: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # NLTK 3.10 reads trees from such folders alone
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    config = make(files, tmp_path)
    data = config["validation_data_path"]
    expected = train(config, tmp_path / "theirs", of=_ElmoBiLm)
    outputs = predictions(tmp_path / "theirs", data)
    dropping_in()
    assert numpy.isfinite(train(config, tmp_path / "stateless", of=DropInBiLm)).all()
    monkeypatch.setenv("ELMO_STATEFUL", "1")
    found = train(config, tmp_path / "ours", of=DropInBiLm)
    # with dropout as it was published: the same seeds draw the same
    assert len(found) >= 6
    assert found == pytest.approx(expected, rel=0.0, abs=1e-4)
    for path in files.values():
        Path(path).unlink()
    for output, wanted in zip(predictions(tmp_path / "theirs", data), outputs):
        assert_alike(output, wanted)


def test_the_commands_of_the_docs_run(
    files: dict[str, str],
    dropping_in: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    config = ner_elmo(files, tmp_path)
    Path("config.jsonnet").write_text(json.dumps(config))
    shutil.copy(config["validation_data_path"], "data.txt")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", DOCS.read_text(), flags=re.M | re.S)
    (commands,) = (text for language, text in blocks if language == "bash")
    for command in commands.splitlines():
        forget()
        monkeypatch.setattr(sys, "argv", command.split())
        main()
        assert TokenEmbedder.by_name("elmo_token_embedder") is DropInElmoTokenEmbedder
    assert Path("output", "model", "model.tar.gz").exists()
    forget()
    (line,) = (text for language, text in blocks if language == "")
    Path(".allennlp_plugins").write_text(line)
    import_plugins()
    assert TokenEmbedder.by_name("elmo_token_embedder") is DropInElmoTokenEmbedder


def forget() -> None:
    """Makes AllenNLP's names AllenNLP's, and the next import of the module its first."""
    uninstall()
    sys.modules.pop("elmo_components.drop_in", None)
