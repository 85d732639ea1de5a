"""The checkpoints that come with the package."""

import json
from pathlib import Path

import _jsonnet
import numpy
import pytest
import safetensors

from elmo_components import Elmo
from elmo_components.checkpoints.names import SHIPPED, resolve
from elmo_components.config import ElmoConfig
from tests.conftest import ROOT

# What the package may grow by, each.
MOST_BYTES = 16_000_000
ARCHITECTURES = {
    "english": "(import '{}/elmo.libsonnet').architectures.english",
    "german": "(import '{}/elmo.libsonnet').architectures.german",
    "chinese": "import '{}/chinese_architecture.libsonnet'",
}
# Contexts of a word in two senses each; Chinese words are characters.
SENSES = [
    (
        "english",
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
        "english",
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
    (
        "german",
        "Steuer",
        [
            "Die Steuer auf Tabak wird erhöht",
            "Wer mehr verdient , zahlt mehr Steuer",
            "Diese Steuer bringt dem Staat Geld",
        ],
        [
            "Der Kapitän steht am Steuer des Schiffes",
            "Er saß betrunken am Steuer seines Wagens",
            "Am Steuer des Busses saß eine Frau",
        ],
    ),
    (
        "chinese",
        "行",
        [
            "他在银行工作",
            "中国人民银行发行新货币",
            "这家银行成立于上海",
        ],
        [
            "飞机在空中飞行",
            "人们步行去学校",
            "火车从北京行驶到上海",
        ],
    ),
]


@pytest.fixture(scope="module", params=SHIPPED)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_its_name_stands_for_its_file_unless_something_stands_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve(name) == resolve(Path(name)) == SHIPPED[name]
    Path(name).mkdir()
    assert resolve(name) == Path(name)


def test_it_is_small_and_in_float16(name: str) -> None:
    assert SHIPPED[name].stat().st_size <= MOST_BYTES
    with safetensors.safe_open(SHIPPED[name], framework="numpy") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118


def test_its_architecture_is_the_one_in_the_configurations(name: str) -> None:
    snippet = ARCHITECTURES[name].format(ROOT / "training_configs")
    options = json.loads(_jsonnet.evaluate_snippet("", snippet))
    assert Elmo.from_pretrained(name).config == ElmoConfig.from_options(options)


def test_its_card_and_licences_stand_beside_it(name: str) -> None:
    cards = SHIPPED[name].with_name("README.md").read_text(encoding="utf-8")
    _, _, card = cards.partition(f"# {name}.safetensors")
    card, _, _ = card.partition(".safetensors:")
    for word in ("training text", "perplexity", "named entities", "Limits"):
        assert word in card


@pytest.mark.parametrize(
    ("language", "word", "one_sense", "other_sense"), SENSES, ids=[case[1] for case in SENSES]
)
def test_a_word_is_nearer_to_itself_in_the_same_sense(
    language: str, word: str, one_sense: list[str], other_sense: list[str]
) -> None:
    split = list if language == "chinese" else str.split
    sentences = [split(text) for text in one_sense + other_sense]
    vectors = [
        layers[-1, sentence.index(word)]
        for layers, sentence in zip(Elmo.from_pretrained(language).embed(sentences), sentences)
    ]
    # (sentences, 2 * hidden_size)
    units = numpy.stack([vector / numpy.linalg.norm(vector) for vector in vectors])
    # (sentences, sentences)
    cosines = units @ units.T
    number = len(one_sense)
    pairs = numpy.triu_indices(number, 1)
    within = (cosines[:number, :number][pairs] + cosines[number:, number:][pairs]) / 2
    assert within.mean() > cosines[:number, number:].mean()
