"""Tests of registered/predictor.py, on models with random weights."""

import json
from pathlib import Path
from typing import Any

import allennlp_models.classification
import allennlp_models.tagging  # noqa: F401
import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Vocabulary
from allennlp.models import Model
from allennlp.predictors import Predictor

import elmo_components.registered  # noqa: F401
from elmo_components.elmo import Elmo

TYPES = ["person", "location", "organization", "product"]
TAGS = ["O", *(f"{begin}-{kind}" for kind in TYPES for begin in "BI")]


@pytest.fixture
def embedder(tiny: Elmo) -> dict[str, Any]:
    return {"elmo": {"type": "elmo", "architecture": tiny.config.to_options()}}


def predictor(
    reader: dict[str, Any], model: dict[str, Any], name: str, labels: list[str], **settings: object
) -> Predictor:
    vocabulary = Vocabulary(tokens_to_add={"labels": labels})
    return Predictor.from_params(
        Params({"type": name, **settings}),
        model=Model.from_params(Params(model), vocab=vocabulary).eval(),
        dataset_reader=DatasetReader.from_params(Params(reader)),
    )


@pytest.fixture
def tagger(embedder: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """A tagger that finds what a test puts into `tags_of`."""
    made = predictor(
        {"type": "elmo_columns", "token_indexers": {"elmo": {"type": "elmo_character_ids"}}},
        {
            "type": "crf_tagger",
            "label_encoding": "BIO",
            "text_field_embedder": {"token_embedders": embedder},
            "encoder": {"type": "pass_through", "input_dim": 16},
        },
        "elmo_tagger",
        TAGS,
    )
    monkeypatch.setattr(made, "tags_of", {}, raising=False)
    forward = made._model.forward_on_instances

    def forward_on_instances(instances: list) -> list[dict[str, Any]]:
        outputs = forward(instances)
        for instance, output in zip(instances, outputs):
            words = [token.text for token in instance["tokens"]]
            assert output["words"] == words and len(output["tags"]) == len(words)
            output["tags"] = [made.tags_of.get(word, "O") for word in words]
        return outputs

    monkeypatch.setattr(made._model, "forward_on_instances", forward_on_instances)
    return made


def test_entities_have_their_place_in_the_raw_text(tagger: Predictor) -> None:
    tagger.tags_of.update({"Ana": "B-person", "Díaz": "I-person", "Oslo": "B-location"})
    sentence = " Ana  Díaz, in\tOslo's port"
    prediction = tagger.predict_json({"sentence": sentence})
    assert prediction["words"] == ["Ana", "Díaz", ",", "in", "Oslo", "'s", "port"]
    assert prediction["tags"][:2] == ["B-person", "I-person"]
    assert prediction["entities"] == [
        {"type": "person", "text": "Ana  Díaz", "start": 1, "end": 10},
        {"type": "location", "text": "Oslo", "start": 15, "end": 19},
    ]
    for entity in prediction["entities"]:
        assert sentence[entity["start"] : entity["end"]] == entity["text"]
    assert set(prediction) == {"words", "tags", "entities"}


def test_tokens_given_keep_their_borders(tagger: Predictor) -> None:
    tagger.tags_of.update({"New York": "B-location"})
    prediction = tagger.predict_json({"tokens": ["In", "New York", "don't"]})
    assert prediction["words"] == ["In", "New York", "don't"]
    assert prediction["entities"] == [
        {"type": "location", "text": "New York", "start": 3, "end": 11}
    ]


def test_a_batch_equals_its_sentences_and_empty_ones_have_no_tags(tagger: Predictor) -> None:
    inputs = [{"sentence": text} for text in ("Ana in Oslo", "", "  \t ", "Oslo")]
    inputs.append({"tokens": []})
    together = tagger.predict_batch_json(inputs)
    assert together == [tagger.predict_json(one) for one in inputs]
    assert together[1] == together[4] == {"words": [], "tags": [], "entities": []}


def test_instances_of_a_reader_are_tagged_too(tagger: Predictor, fixtures: Path) -> None:
    tagger.tags_of.update({"the": "B-person"})
    reader = tagger._dataset_reader
    instances = list(reader.read(str(fixtures / "data" / "ner" / "dev.conll")))[:5]
    for prediction in tagger.predict_batch_instance(instances):
        text = " ".join(prediction["words"])
        assert prediction["tags"].count("B-person") == len(prediction["entities"])
        for entity in prediction["entities"]:
            assert text[entity["start"] : entity["end"]] == entity["text"] == "the"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Raw text.\n", {"sentence": "Raw text."}),
        ('{"sentence": "JSON"}\n', {"sentence": "JSON"}),
        ('"quoted" text\n', {"sentence": '"quoted" text'}),
        ("[brackets]\n", {"sentence": "[brackets]"}),
    ],
)
def test_a_line_is_raw_text_or_a_json_object(tagger: Predictor, line: str, expected: dict) -> None:
    assert tagger.load_line(line) == expected


def test_predictions_are_lines_of_json(tagger: Predictor) -> None:
    line = tagger.dump_line(tagger.predict("Ana in Oslo"))
    assert json.loads(line)["words"] == ["Ana", "in", "Oslo"]
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"text": "a"},
        {"sentence": 1},
        {"tokens": "a b"},
        {"tokens": [1]},
        {"sentence": "a", "tokens": ["a"]},
    ],
)
def test_other_inputs_are_errors_that_show_them(tagger: Predictor, inputs: dict) -> None:
    with pytest.raises(ConfigurationError, match="must have either a"):
        tagger.predict_json(inputs)


def test_a_broken_json_line_is_an_error_that_shows_it(tagger: Predictor) -> None:
    with pytest.raises(ConfigurationError, match="must be a JSON object"):
        tagger.load_line('{"sentence": "a"')


def test_tags_that_encode_no_spans_have_no_entities(embedder: dict[str, Any]) -> None:
    tagger = predictor(
        {"type": "elmo_columns", "token_indexers": {"elmo": {"type": "elmo_character_ids"}}},
        {
            "type": "simple_tagger",
            "text_field_embedder": {"token_embedders": embedder},
            "encoder": {"type": "pass_through", "input_dim": 16},
        },
        "elmo_tagger",
        ["NOUN", "VERB"],
    )
    prediction = tagger.predict("Dogs bark")
    assert set(prediction) == {"words", "tags"}
    assert set(prediction["tags"]) <= {"NOUN", "VERB"}


def test_an_unknown_encoding_is_an_error(tagger: Predictor) -> None:
    with pytest.raises(ConfigurationError, match=r"must be one of BIO, BIOUL, .* found 'X'"):
        type(tagger)(tagger._model, tagger._dataset_reader, label_encoding="X")


def classifier(embedder: dict[str, Any], reader: dict[str, Any]) -> Predictor:
    indexers = {
        "elmo": {"type": "elmo_character_ids"},
        "tokens": {"type": "single_id"},
    }
    return predictor(
        {**reader, "token_indexers": indexers},
        {
            "type": "basic_classifier",
            "text_field_embedder": {
                "token_embedders": {**embedder, "tokens": {"type": "embedding", "embedding_dim": 2}}
            },
            "seq2vec_encoder": {"type": "boe", "embedding_dim": 18},
        },
        "elmo_classifier",
        ["bad", "good", "fair"],
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
    inputs = [{"sentence": "A fine film"}, {"sentence": ""}, {"tokens": ["Dull", "."]}]
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
    made = classifier(embedder, reader)
    instance = made._json_to_instance({"tokens": ["don't", "go"]})
    assert [token.text for token in instance["tokens"]] == ["don't", "go"]
    instance = made._json_to_instance({"sentence": "don't go"})
    assert [token.text for token in instance["tokens"]] == ["do", "n't", "go"]
