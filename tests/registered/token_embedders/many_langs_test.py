"""A model of ELMoForManyLangs in AllenNLP: indexer and embedder, and an archive that is enough."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.data import Token, TokenIndexer, Vocabulary
from allennlp.models.archival import load_archive

from elmo_components.checkpoints import load
from elmo_components.elmo import Elmo
from elmo_components.registered.token_embedders.elmo import ElmoEmbedder
from tests.closeness import assert_close

SENTENCES = [["The", "bank", "中国"], ["Bank", "x" * 60, "é"]]
KEYS = ("alphabet", "units", "words")


@pytest.fixture(params=["words_and_characters", "characters", "words"])
def model(request: pytest.FixtureRequest, fixtures: Path) -> Path:
    return fixtures / "models" / "many_langs" / request.param


def indexer_of(architecture: dict[str, Any]) -> dict[str, Any]:
    cnn = architecture["char_cnn"]
    return {"type": "elmo_character_ids", **{key: cnn[key] for key in KEYS if key in cnn}}


def indexed(indexer: TokenIndexer, words: list[str]) -> torch.Tensor:
    indices = indexer.tokens_to_indices([Token(word) for word in words], Vocabulary())
    lengths = indexer.get_padding_lengths(indices)
    return indexer.as_padded_tensor_dict(indices, lengths)["elmo_tokens"]


def test_the_embedder_gives_what_elmo_does(model: Path) -> None:
    architecture = load(model).config.to_options()
    embedder = ElmoEmbedder(architecture, str(model)).eval()
    indexer = TokenIndexer.from_params(Params(indexer_of(architecture)))
    expected = Elmo.from_pretrained(model).embed(SENTENCES, layers="mean")
    for words, vectors in zip(SENTENCES, expected):
        found = embedder(indexed(indexer, words).unsqueeze(0))[0]
        # a new mix weighs all layers alike
        torch.testing.assert_close(found, torch.from_numpy(vectors))


def test_an_archive_needs_nothing_else(model: Path, tmp_path: Path) -> None:
    pretrained = Path(shutil.copytree(model, tmp_path / "pretrained"))
    architecture = load(pretrained).config.to_options()
    (tmp_path / "train.txt").write_text("The###D bank###N\n中国###N é###D Bank###N\n", "utf-8")
    config = {
        "dataset_reader": {
            "type": "sequence_tagging",
            "token_indexers": {"elmo": indexer_of(architecture)},
        },
        "train_data_path": str(tmp_path / "train.txt"),
        "model": {
            "type": "simple_tagger",
            "text_field_embedder": {
                "token_embedders": {
                    "elmo": {
                        "type": "elmo",
                        "architecture": architecture,
                        "pretrained_file": str(pretrained),
                    }
                }
            },
            "encoder": {"type": "pass_through", "input_dim": 8},
        },
        "data_loader": {"batch_size": 2},
        "trainer": {"num_epochs": 1, "optimizer": {"type": "sgd", "lr": 0.1}, "cuda_device": -1},
    }
    # through Jsonnet, as files come
    (tmp_path / "config.json").write_text(json.dumps(config, ensure_ascii=False), "utf-8")
    trained = train_model(Params.from_file(str(tmp_path / "config.json")), str(tmp_path / "out"))
    assert trained is not None
    shutil.copy(tmp_path / "out" / "model.tar.gz", tmp_path / "model.tar.gz")
    for path in (pretrained, tmp_path / "out"):
        shutil.rmtree(path)
    (tmp_path / "train.txt").unlink()
    archive = load_archive(str(tmp_path / "model.tar.gz"))
    instance = archive.dataset_reader.text_to_instance([Token(word) for word in SENTENCES[0]])
    archive.dataset_reader.apply_token_indexers(instance)
    found, expected = (
        tagger.eval().forward_on_instance(instance)["logits"] for tagger in (archive.model, trained)
    )
    assert_close(found, expected)
    # the biLM alone comes out of it, to the last bit
    checkpoint = load(tmp_path / "model.tar.gz")
    for name, tensor in load(model).tensors.items():
        assert torch.equal(checkpoint.tensors[name], tensor), name
