"""Files that an earlier commit wrote load today with equal numbers; see fixtures/before."""

from pathlib import Path

import allennlp_models.tagging  # noqa: F401
import numpy
import pytest
import torch
from allennlp.data import Token
from allennlp.models.archival import load_archive

import elmo_components.registered  # noqa: F401
from elmo_components import Elmo
from elmo_components.checkpoints import load

CHECKPOINTS = ["bilm_tf", "float16.safetensors", "float32.safetensors", "many_langs"]
ARCHIVES = ["language_model.tar.gz", "tagger.tar.gz"]
SENTENCES = [["The", "river", "bank", "."], ["Anna", "lives", "in", "New", "York", "é", "中"]]


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(__file__).parent.parent / "fixtures" / "before"


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, numpy.ndarray]:
    with numpy.load(folder / "expected.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", CHECKPOINTS + ARCHIVES)
def test_layers_are_as_before(folder: Path, expected: dict[str, numpy.ndarray], name: str) -> None:
    layers = Elmo.from_pretrained(folder / name).embed(SENTENCES, layers="all")
    for number, found in enumerate(layers):
        numpy.testing.assert_allclose(found, expected[f"{name}/{number}"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["bilm_tf", "float32.safetensors", "language_model.tar.gz"])
def test_a_softmax_and_its_vocabulary_load_as_before(folder: Path, name: str) -> None:
    checkpoint = load(folder / name, softmax=True)
    assert checkpoint.vocabulary == ("</S>", "<S>", "<UNK>", "The", "bank", ".")
    assert checkpoint.tensors["softmax.weight"].shape == (6, 3)


def test_the_formats_hold_the_same_tensors(folder: Path) -> None:
    one, other = (
        load(folder / name, softmax=True).tensors for name in ("bilm_tf", "float32.safetensors")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("name", "key"), [("tagger.tar.gz", "logits"), ("language_model.tar.gz", "loss")]
)
def test_an_archive_computes_as_before(
    folder: Path, expected: dict[str, numpy.ndarray], name: str, key: str
) -> None:
    archive = load_archive(folder / name)
    reader = archive.dataset_reader
    for number, words in enumerate(SENTENCES):
        instance = reader.text_to_instance([Token(word) for word in words])
        reader.apply_token_indexers(instance)
        found = archive.model.eval().forward_on_instance(instance)[key]
        numpy.testing.assert_allclose(found, expected[f"{key}/{number}"], rtol=1e-5, atol=1e-5)
