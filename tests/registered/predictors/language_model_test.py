"""Tests of the predictor elmo_language_model against losses that a loop computes."""

import math
from typing import Any, Optional

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Vocabulary
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.corpus import CorpusReader
from elmo_components.registered.predictors.language_model import ElmoLanguageModelPredictor
from tests.registered.models.language_model_test import (
    WORDS,
    losses_of,
    make,
    number,
    spread,
    vocab,
    vocabulary_folder,
)

__all__ = ["vocab", "vocabulary_folder"]

SENTENCES = [["the", "zebra", "sees", "a", "dog"], [], ["cat"]]


@pytest.mark.parametrize(
    "softmax",
    [
        None,
        {"type": "sampled", "num_samples": 4, "tied": True},
        {"type": "adaptive", "cutoffs": [4], "div_value": 1.0},
    ],
)
def test_surprisals_and_likely_words_are_those_of_the_probabilities(
    softmax: Optional[dict[str, Any]], vocab: Vocabulary
) -> None:
    model = spread(make(vocab, softmax=softmax)).eval()
    predictor = ElmoLanguageModelPredictor(model, CorpusReader(), num_words=len(WORDS))
    assert Predictor.by_name(model.default_predictor) is ElmoLanguageModelPredictor
    inputs = [{"tokens": words} for words in SENTENCES]
    for words, output in zip(SENTENCES, predictor.predict_batch_json(inputs)):
        for found, of_mark, direction in (
            ("forward", "sentence_end", 0),
            ("backward", "sentence_start", 1),
        ):
            if softmax is None:
                expected = [loss / math.log(2) for _, loss in losses_of(model, [words], direction)]
                bits = [token[found] for token in output["tokens"]]
                bits = bits if direction == 0 else bits[::-1]
                assert [*bits, output[of_mark]] == pytest.approx(expected, rel=1e-4)
            likely = output["next_words" if direction == 0 else "previous_words"]
            probabilities = {entry["word"]: entry["probability"] for entry in likely}
            assert set(probabilities) == set(WORDS)
            assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-4)
            assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
            mark = "</S>" if direction == 0 else "<S>"
            assert -math.log2(probabilities[mark]) == pytest.approx(output[of_mark], rel=1e-3)
        assert [token["word"] for token in output["tokens"]] == words
        assert [token["known"] for token in output["tokens"]] == [
            number(word) != WORDS.index("<UNK>") for word in words
        ]


def test_text_and_tokens_give_the_same_and_other_inputs_are_refused(vocab: Vocabulary) -> None:
    predictor = ElmoLanguageModelPredictor(spread(make(vocab)).eval(), CorpusReader())
    assert predictor.load_line("\ufeffthe cat\n") == {"sentence": "the cat"}
    of_text = predictor.predict_json(predictor.load_line("the cat\n"))
    assert of_text == predictor.predict_json(predictor.load_line('{"tokens": ["the", "cat"]}'))
    for wrong in ({}, {"sentence": 3}, {"tokens": "the cat"}, {"sentence": "a", "tokens": ["a"]}):
        with pytest.raises(ConfigurationError, match='either a "sentence"'):
            predictor.predict_json(wrong)
    with pytest.raises(ConfigurationError, match="must be a JSON object"):
        predictor.load_line("{the cat")
    other = DatasetReader.by_name("sequence_tagging")()
    with pytest.raises(ConfigurationError, match="the reader elmo_corpus; found ElmoLanguageModel"):
        ElmoLanguageModelPredictor(spread(make(vocab)), other)


def test_fewer_words_than_one_are_refused(vocab: Vocabulary) -> None:
    with pytest.raises(ConfigurationError, match="num_words must be 1 or more; found 0"):
        ElmoLanguageModelPredictor(make(vocab), CorpusReader(), num_words=0)
