"""The checkpoint that comes with the package."""

import json
from pathlib import Path

import _jsonnet
import numpy
import pytest
import safetensors

from elmo_components import Elmo
from elmo_components.checkpoints.names import ENGLISH, SHIPPED, resolve
from elmo_components.config import ElmoConfig
from tests.conftest import ROOT

# What the package may grow by.
MOST_BYTES = 16_000_000


@pytest.fixture(scope="module")
def english() -> Elmo:
    return Elmo.from_pretrained(ENGLISH)


def test_its_name_stands_for_its_file_unless_something_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve(ENGLISH) == resolve(Path(ENGLISH)) == SHIPPED[ENGLISH]
    Path(ENGLISH).mkdir()
    assert resolve(ENGLISH) == Path(ENGLISH)


def test_it_is_small_and_in_float16() -> None:
    assert SHIPPED[ENGLISH].stat().st_size <= MOST_BYTES
    with safetensors.safe_open(SHIPPED[ENGLISH], framework="numpy") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118


def test_its_architecture_is_the_one_in_the_configurations(english: Elmo) -> None:
    snippet = f"(import '{ROOT}/training_configs/elmo.libsonnet').architectures.english"
    options = json.loads(_jsonnet.evaluate_snippet("", snippet))
    assert english.config == ElmoConfig.from_options(options)


def test_its_card_and_licences_stand_beside_it() -> None:
    card = SHIPPED[ENGLISH].with_name("README.md").read_text(encoding="utf-8")
    for word in ("CC BY-SA", "public domain", "perplexity", "Limits"):
        assert word in card


@pytest.mark.parametrize(
    ("word", "one_sense", "other_sense"),
    [
        (
            "bank",
            [
                "The bank lent the company money",
                "She paid the cheque into the bank",
                "The bank raised its interest rates",
            ],
            [
                "They sat on the bank of the river",
                "The boat drifted towards the muddy bank",
                "Trees grow along the north bank of the stream",
            ],
        ),
        (
            "played",
            [
                "He played the piano and sang",
                "The orchestra played a symphony",
                "She played the violin in a quartet",
            ],
            [
                "He played for the club until 1998",
                "She played as a defender in the league",
                "They played three matches for the national team",
            ],
        ),
    ],
    ids=("bank", "played"),
)
def test_a_word_is_nearer_to_itself_in_the_same_sense(
    english: Elmo, word: str, one_sense: list[str], other_sense: list[str]
) -> None:
    sentences = [text.split() for text in one_sense + other_sense]
    vectors = [
        layers[-1, sentence.index(word)]
        for layers, sentence in zip(english.embed(sentences), sentences)
    ]
    # (sentences, 2 * hidden_size)
    units = numpy.stack([vector / numpy.linalg.norm(vector) for vector in vectors])
    # (sentences, sentences)
    cosines = units @ units.T
    number = len(one_sense)
    pairs = numpy.triu_indices(number, 1)
    within = (cosines[:number, :number][pairs] + cosines[number:, number:][pairs]) / 2
    assert within.mean() > cosines[:number, number:].mean()
