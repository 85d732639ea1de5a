"""Tests of registered/translator.py, on a tiny model with random weights."""

from pathlib import Path

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.columns import ColumnReader
from elmo_components.registered.translation.parallel_reader import ParallelReader
from elmo_components.registered.translation.translator import ElmoTranslatorPredictor
from tests.registered.translation.seq2seq_test import seq2seq


@pytest.fixture
def reader() -> ParallelReader:
    return ParallelReader()


@pytest.fixture
def translator(reader: ParallelReader, fixtures: Path) -> Predictor:
    pairs = reader.read(str(fixtures / "data" / "parallel" / "dev.tsv"))
    model = seq2seq(
        Vocabulary.from_instances(pairs),
        beam_search={"constraints": [{"type": "elmo_known_words"}], "max_steps": 6},
    )
    return ElmoTranslatorPredictor(model, reader)


def test_raw_text_and_tokens_are_translated(translator: Predictor) -> None:
    text = translator.predict("The goat isn't white.")
    assert text["words"] == ["The", "goat", "is", "n't", "white", "."]
    assert isinstance(text["translation"], str) and text["translation"]
    assert text["score"] < 0.0
    assert set(text) == {"words", "translation", "score"}
    assert translator.predict_json({"tokens": text["words"]}) == text


def test_the_sentence_is_split_by_the_readers_tokenizer(translator: Predictor) -> None:
    spaces = ParallelReader(source_tokenizer=WhitespaceTokenizer())
    output = ElmoTranslatorPredictor(translator._model, spaces).predict("The goat isn't white.")
    assert output["words"] == ["The", "goat", "isn't", "white."]


def test_a_batch_equals_its_sentences_and_nothing_is_translated_as_nothing(
    translator: Predictor,
) -> None:
    inputs = [
        translator.load_line(line) for line in ("The goat.\n", " \n", "A dog sees two cats\n")
    ]
    together = translator.predict_batch_json(inputs)
    assert together[1] == {"words": [], "translation": "", "score": None}
    for one, output in zip(inputs, together):
        alone = translator.predict_json(one)
        assert (alone["words"], alone["translation"]) == (output["words"], output["translation"])
        assert alone["score"] == pytest.approx(output["score"], abs=1e-5)


def test_pairs_of_a_reader_are_translated_too(
    translator: Predictor, reader: ParallelReader, fixtures: Path
) -> None:
    pairs = list(reader.read(str(fixtures / "data" / "parallel" / "test.tsv")))[:3]
    outputs = translator.predict_batch_instance(pairs)
    for pair, output in zip(pairs, outputs):
        assert output["words"] == [token.text for token in pair["source_tokens"]]


@pytest.mark.parametrize("inputs", [{}, {"sentence": "a", "tokens": ["a"]}, {"tokens": "a"}])
def test_other_inputs_are_errors(translator: Predictor, inputs: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match='"sentence"'):
        translator.predict_json(inputs)


def test_another_reader_is_an_error(translator: Predictor) -> None:
    with pytest.raises(ConfigurationError, match="found ColumnReader"):
        ElmoTranslatorPredictor(translator._model, ColumnReader())
