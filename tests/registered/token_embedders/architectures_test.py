"""Architectures by name and from a file, in the embedder and in archives."""

import json
import shutil
from pathlib import Path
from typing import Any

import _jsonnet
import pytest
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.models import load_archive
from allennlp.modules import TokenEmbedder

from elmo_components import checkpoints
from elmo_components.checkpoints.architectures import ARCHITECTURES, NAMESPACE
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from tests.conftest import ROOT


def test_names_have_the_numbers_of_the_shared_configurations_and_of_the_shipped_model() -> None:
    library = ROOT / "training_configs" / "elmo.libsonnet"
    snippet = f"(import '{library}').architectures"
    architectures = json.loads(_jsonnet.evaluate_snippet("snippet", snippet))
    for name in ("english", "german", "small", "medium", "original"):
        assert ARCHITECTURES[name] == ElmoConfig.from_options(architectures[name])
    for name in ("english", "german"):
        assert ARCHITECTURES[name] == checkpoints.load(name).config
    for name in ("original-5.5b", "pubmed", "portuguese"):
        assert ARCHITECTURES[name] == ARCHITECTURES["original"]


def test_an_embedder_takes_a_name_or_says_which_there_are() -> None:
    params = {"type": "elmo", "architecture": "english", "requires_grad": True}
    assert TokenEmbedder.from_params(Params(dict(params))).get_output_dim() == 512
    with pytest.raises(ConfigurationError, match=r"one of english, german, .* found 'englsh'"):
        TokenEmbedder.from_params(Params({**params, "architecture": "englsh"}))


def test_a_name_stands_for_an_architecture_with_an_alphabet_too() -> None:
    params = {"type": "elmo", "architecture": "chinese", "pretrained_file": "chinese"}
    vocab = Vocabulary()
    embedder = TokenEmbedder.from_params(Params(params), vocab=vocab)
    assert embedder.get_output_dim() == 512
    *_, stored = vocab.get_token_to_index_vocabulary(NAMESPACE)
    assert ElmoConfig.from_options(json.loads(stored)["options"]).char_cnn.alphabet[0] == "，"


def config(architecture: object, data: Path) -> dict[str, Any]:
    elmo = {"type": "elmo", "architecture": architecture, "requires_grad": True}
    return {
        "dataset_reader": {
            "type": "elmo_columns",
            "token_indexers": {"elmo": {"type": "elmo_character_ids"}},
        },
        "train_data_path": str(data),
        "model": {
            "type": "simple_tagger",
            "text_field_embedder": {"token_embedders": {"elmo": elmo}},
            "encoder": {"type": "pass_through", "input_dim": 16},
        },
        "data_loader": {"batch_size": 2},
        "trainer": {"num_epochs": 1, "optimizer": {"type": "sgd", "lr": 0.1}, "cuda_device": -1},
    }


def test_an_archive_does_not_need_the_file_of_its_architecture(
    tmp_path: Path, tiny_folder: Path
) -> None:
    options = Path(shutil.copy(tiny_folder / "options.json", tmp_path / "options.json"))
    (tmp_path / "train.conll").write_text("Dogs NOUN\nbark VERB\n")
    params = Params(config(str(options), tmp_path / "train.conll"))
    train_model(params, str(tmp_path / "out"))
    options.unlink()
    archive = load_archive(str(tmp_path / "out" / "model.tar.gz"))
    instance = archive.dataset_reader.text_to_instance("Dogs bark")
    archive.dataset_reader.apply_token_indexers(instance)
    assert len(archive.model.forward_on_instance(instance)["tags"]) == 2
    # as `elmo-convert` reads it
    elmo = Elmo.from_pretrained(tmp_path / "out" / "model.tar.gz")
    assert elmo.config == Elmo.from_pretrained(tiny_folder).config
