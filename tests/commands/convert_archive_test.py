"""Tests of convert.py with models that AllenNLP has trained: what `elmo-export` does."""

from pathlib import Path
from typing import Any, Optional

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.data import Vocabulary
from allennlp.models import Model
from allennlp.modules.elmo import Elmo as AllenNlpElmo
from allennlp.modules.elmo import batch_to_ids
from allennlp.modules.token_embedders import ElmoTokenEmbedder

from elmo_components.checkpoints import load
from elmo_components.checkpoints.vocabulary_file import write_vocabulary
from elmo_components.commands.convert import convert
from elmo_components.pretraining.vocabulary import WordCounts
from elmo_components.registered.token_embedders.elmo import ElmoEmbedder
from tests.closeness import assert_close

SENTENCES = ["the cat sat on the mat", "a dog sat", "the dog ran to the river bank", "a mat"]
BATCHES = [
    [["The", "bank", "of", "the", "river"], ["na\u00efve"], ["x" * 60, "\u65e5\u672c\u8a9e"]],
    [["Two"], ["a", "b", "c"], []],
]
OURS, PUBLISHED = "model.safetensors", "exported"


def vocabulary_in(folder: Path, sentences: list[str]) -> list[str]:
    folder.mkdir(parents=True)
    words = WordCounts(map(str.split, sentences)).vocabulary()
    write_vocabulary(words, folder / "vocab.txt")
    write_vocabulary(["vocab"], folder / "non_padded_namespaces.txt")
    return words


def train(
    folder: Path,
    options: dict[str, Any],
    sentences: list[str] = SENTENCES,
    pretrained_file: Optional[Path] = None,
    **model: object,
) -> Path:
    """Trains a language model for an epoch and returns the folder of the training."""
    vocabulary_in(folder / "words", sentences)
    (folder / "corpus.txt").write_text("\n".join(sentences) + "\n", encoding="utf-8")
    pretrained = {} if pretrained_file is None else {"pretrained_file": str(pretrained_file)}
    config = {
        "dataset_reader": {"type": "elmo_corpus"},
        "train_data_path": str(folder / "corpus.txt"),
        "vocabulary": {
            "type": "from_files",
            "directory": str(folder / "words"),
            "oov_token": "<UNK>",
        },
        "model": {
            "type": "elmo_language_model",
            "architecture": options,
            **pretrained,
            **model,
        },
        "data_loader": {"batch_size": 4},
        "trainer": {"num_epochs": 1, "optimizer": {"type": "adam", "lr": 0.01}, "cuda_device": -1},
    }
    train_model(Params(config), str(folder / "trained"))
    return folder / "trained"


@pytest.fixture(scope="module")
def options(tiny_folder: Path) -> dict[str, Any]:
    return load(tiny_folder).config.to_options()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, options: dict[str, Any]) -> Path:
    return train(tmp_path_factory.mktemp("language_model"), options)


def model_in(trained: Path) -> Model:
    return Model.from_archive(str(trained / "model.tar.gz"))


@pytest.mark.parametrize(
    ("source", "destination"), [("model.tar.gz", PUBLISHED), ("", PUBLISHED), ("", OURS)]
)
def test_an_archive_or_the_folder_of_a_training_is_converted(
    trained: Path, tmp_path: Path, source: str, destination: str
) -> None:
    report = convert(trained / source, tmp_path / destination)
    found = load(tmp_path / destination, softmax=True)
    words = WordCounts(map(str.split, SENTENCES)).vocabulary()
    assert found.vocabulary == tuple(words)
    prefix = "language_model."
    expected = {
        name[len(prefix) :].replace("softmax.output.", "softmax.").replace("bilm.", ""): tensor
        for name, tensor in model_in(trained).state_dict().items()
    }
    assert found.tensors.keys() == expected.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in expected.items())
    assert report.endswith(f"with a softmax of {len(words)} words, in {tmp_path / destination}")


def test_allennlps_own_embedder_reads_the_published_form_and_gives_the_same_vectors(
    trained: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    folder = tmp_path / PUBLISHED
    convert(trained / "model.tar.gz", folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "options.json",
        "vocab.txt",
        "weights.hdf5",
    ]
    files = str(folder / "options.json"), str(folder / "weights.hdf5")
    theirs = ElmoTokenEmbedder(*files, dropout=0.0).eval()
    ours = ElmoEmbedder(options, str(folder)).eval()
    layers = AllenNlpElmo(*files, 1)._elmo_lstm
    bilm = model_in(trained).language_model.bilm
    for batch in BATCHES:
        ids = batch_to_ids(batch)
        # AllenNLP's goes on from the batch before
        theirs._elmo._elmo_lstm._elmo_lstm.reset_states()
        assert_close(ours(ids), theirs(ids))
        layers._elmo_lstm.reset_states()
        expected = torch.stack(layers(ids)["activations"])
        assert_close(bilm(ids).layers, expected)


@pytest.mark.parametrize(
    ("softmax", "destination"),
    [({"type": "full"}, PUBLISHED), ({"type": "sampled", "num_samples": 4}, OURS)],
)
def test_a_language_model_starts_from_a_converted_one(
    trained: Path, tmp_path: Path, options: dict[str, Any], destination: str, softmax: dict
) -> None:
    convert(trained, tmp_path / destination)
    words = vocabulary_in(tmp_path / "words", ["the whale sat", "the cat"])
    settings = {"type": "from_files", "directory": str(tmp_path / "words"), "oov_token": "<UNK>"}
    config = {
        "type": "elmo_language_model",
        "architecture": options,
        "pretrained_file": str(tmp_path / destination),
        "softmax": softmax,
    }
    model = Model.from_params(
        vocab=Vocabulary.from_params(Params(settings)), params=Params(config)
    ).language_model
    old = model_in(trained).language_model
    old_words = WordCounts(map(str.split, SENTENCES)).vocabulary()
    for name, tensor in model.bilm.state_dict().items():
        assert torch.equal(tensor, old.bilm.state_dict()[name]), name
    for row, word in enumerate(words):
        if word == "whale":
            assert model.softmax.output.bias[row] == 0.0
            continue
        old_row = old_words.index(word)
        assert torch.equal(model.softmax.output.weight[row], old.softmax.output.weight[old_row])
        assert torch.equal(model.softmax.output.bias[row], old.softmax.output.bias[old_row])


def test_a_fine_tuned_archive_needs_no_file_that_it_started_from(
    trained: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    convert(trained, tmp_path / OURS)
    tuned = train(tmp_path / "tuned", options, ["the whale sat"], tmp_path / OURS)
    (tmp_path / OURS).unlink()
    convert(tuned / "model.tar.gz", tmp_path / PUBLISHED)
    found = load(tmp_path / PUBLISHED, softmax=True)
    assert found.vocabulary == ("</S>", "<S>", "<UNK>", "sat", "the", "whale")
    state = torch.load(tuned / "best.th")
    assert torch.equal(
        found.tensors["softmax.weight"], state["language_model.softmax.output.weight"]
    )


def test_a_tied_softmax_is_left_out_and_the_report_says_so(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    folder = train(tmp_path, options, softmax={"type": "full", "tied": True})
    assert "with no softmax" in convert(folder, tmp_path / OURS)
    assert load(tmp_path / OURS, softmax=True).num_words == 0
