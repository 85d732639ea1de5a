"""Tests of the predictor of labels, on models with random weights."""

import copy
from typing import Any

import allennlp_models.classification  # noqa: F401
import pytest
import torch
from allennlp.common import Params
from allennlp.data import DatasetReader
from allennlp.predictors import Predictor

from elmo_components.elmo import Elmo
from tests.registered.predictors.memorized import make_predictor


@pytest.fixture
def embedder(tiny: Elmo) -> dict[str, Any]:
    return {"elmo": {"type": "elmo", "architecture": tiny.config.to_options()}}


LABELS = ["bad", "good", "fair"]


def classifier(
    embedder: dict[str, Any],
    reader: dict[str, Any],
    labels: list[str] = LABELS,
    **model: object,
) -> Predictor:
    indexers = {
        "elmo": {"type": "elmo_character_ids"},
        "tokens": {"type": "single_id"},
    }
    return make_predictor(
        {"type": "elmo_classifier"},
        {
            "type": "basic_classifier",
            **model,
            "text_field_embedder": {
                "token_embedders": {**embedder, "tokens": {"type": "embedding", "embedding_dim": 2}}
            },
            "seq2vec_encoder": {"type": "boe", "embedding_dim": 18},
        },
        DatasetReader.from_params(Params({**reader, "token_indexers": indexers})),
        labels,
    )


@pytest.mark.parametrize(
    "reader",
    [
        {"type": "sst_tokens"},
        {"type": "text_classification_json", "tokenizer": {"type": "spacy_blank"}},
    ],
)
def test_texts_are_classified(embedder: dict[str, Any], reader: dict[str, Any]) -> None:
    made = classifier(embedder, reader)
    inputs = [
        {"sentence": "A fine film"},
        {"sentence": ""},
        {"sentence": None, "tokens": ["Dull", "."]},
    ]
    first, empty, second = made.predict_batch_json(inputs)
    assert empty == {"label": None, "probabilities": {}}
    for prediction in (first, second):
        probabilities = prediction["probabilities"]
        assert set(probabilities) == {"bad", "good", "fair"}
        torch.testing.assert_close(sum(probabilities.values()), 1.0, rtol=0.0, atol=1e-6)
        assert prediction["label"] == max(probabilities, key=probabilities.get)
        assert set(prediction) == {"label", "probabilities"}


def test_tokens_that_are_given_are_not_split_again(embedder: dict[str, Any]) -> None:
    reader = {"type": "elmo_labelled_lines", "tokenizer": {"type": "spacy_blank"}}
    # AllenNLP takes keys out of what it is given
    made = classifier(copy.deepcopy(embedder), reader)
    instance = made._json_to_instance({"tokens": ["don't", "go"]})
    assert [token.text for token in instance["tokens"]] == ["don't", "go"]
    instance = made._json_to_instance({"sentence": "don't go"})
    assert [token.text for token in instance["tokens"]] == ["do", "n't", "go"]
    # as the reader splits what it is trained on
    spaces = classifier(embedder, {"type": "elmo_labelled_lines"})
    instance = spaces._json_to_instance({"sentence": "don't go 10\u00a0000"})
    assert [token.text for token in instance["tokens"]] == ["don't", "go", "10\u00a0000"]


def test_labels_that_are_in_no_vocabulary_are_numbers(embedder: dict[str, Any]) -> None:
    # as text_classification_json has them with `skip_label_indexing`
    made = classifier(embedder, {"type": "elmo_labelled_lines"}, [], num_labels=3)
    prediction = made.predict("A fine film")
    assert set(prediction["probabilities"]) == {"0", "1", "2"}
    assert prediction["label"] in prediction["probabilities"]
