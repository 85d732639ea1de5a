"""Tests of the model of Word in Context and of its predictor."""

import json
import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Batch, DatasetReader, Vocabulary
from allennlp.models import Model
from allennlp.predictors import Predictor

import elmo_components.registered  # noqa: F401
from elmo_components.elmo import Elmo

FEATURES = {
    "type": "features",
    "feedforward": {"input_dim": 64, "num_layers": 1, "hidden_dims": 6, "activations": "relu"},
}
READER = DatasetReader.from_params(
    Params(
        {
            "type": "elmo_word_in_context",
            "token_indexers": {"elmo": {"type": "elmo_character_ids"}},
        }
    )
)
PAIRS: list[tuple[list[str], list[str], int, int, bool]] = [
    (["Room", "and", "board"], ["boards", "!"], 2, 0, True),
    (["Go", "home", "now", "please"], ["We", "go"], 0, 1, False),
    (["A", "run"], ["They", "ran", "."], 1, 1, False),
    (["Bats"], ["A", "bat", "flew"], 0, 1, True),
]


def make(tiny: Elmo, **settings: object) -> Model:
    embedder = {"type": "elmo", "architecture": tiny.config.to_options(), "dropout": 0.0}
    params = {
        "type": "elmo_word_in_context",
        "text_field_embedder": {"token_embedders": {"elmo": embedder}},
        **settings,
    }
    return Model.from_params(Params(deepcopy(params)), vocab=Vocabulary())


def tensors() -> dict[str, Any]:
    batch = Batch([READER.text_to_instance(*pair) for pair in PAIRS])
    for instance in batch.instances:
        READER.apply_token_indexers(instance)
    batch.index_instances(Vocabulary())
    return batch.as_tensor_dict()


def word_vector(model: Model, sentence: list[str], index: int) -> torch.Tensor:
    """A word's vector, of its sentence alone: as yet, all layers count alike."""
    elmo = model.text_field_embedder.token_embedder_elmo._elmo
    # (num_layers, time, 2 * hidden_size)
    layers = torch.as_tensor(elmo.embed([sentence], layers="all")[0])
    return layers.mean(dim=0)[index]


def test_the_cosine_of_the_words_own_vectors_decides(tiny: Elmo) -> None:
    model = make(tiny, comparison={"type": "cosine", "scale": 3.0, "threshold": 0.25}).eval()
    output = model(**tensors())
    expected = []
    for first, second, first_index, second_index, _ in PAIRS:
        a = word_vector(model, first, first_index).double()
        b = word_vector(model, second, second_index).double()
        cosine = float((a * b).sum() / math.sqrt(float((a * a).sum() * (b * b).sum())))
        expected.append(1 / (1 + math.exp(-3.0 * (cosine - 0.25))))
    torch.testing.assert_close(output["probabilities"], torch.tensor(expected))
    labels = [same for *_, same in PAIRS]
    loss = -sum(math.log(p if same else 1 - p) for p, same in zip(expected, labels)) / len(PAIRS)
    assert float(output["loss"].detach()) == pytest.approx(loss, rel=1e-5)
    right = sum((p > 0.5) == same for p, same in zip(expected, labels))
    ordered = [
        float(p > q)
        for p, same in zip(expected, labels)
        for q, other in zip(expected, labels)
        if same and not other
    ]
    metrics = model.get_metrics(reset=True)
    assert metrics["accuracy"] == pytest.approx(right / len(PAIRS))
    assert metrics["auc"] == pytest.approx(sum(ordered) / len(ordered))


def test_a_few_pairs_can_be_learned(tiny: Elmo) -> None:
    encoder = {"type": "lstm", "input_size": 16, "hidden_size": 8, "bidirectional": True}
    model = make(tiny, comparison=FEATURES, encoder=encoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(40):
        optimizer.zero_grad()
        model(**tensors())["loss"].backward()
        optimizer.step()
    model.get_metrics(reset=True)
    model.eval()(**tensors())
    assert model.get_metrics() == {"accuracy": 1.0, "auc": 1.0}


def test_features_of_another_size_are_an_error(tiny: Elmo) -> None:
    wrong = {**FEATURES, "feedforward": {**FEATURES["feedforward"], "input_dim": 16}}
    with pytest.raises(ConfigurationError, match=r"must be 64, four times .* found 16"):
        make(tiny, comparison=wrong)(**tensors())


def test_the_predictor_takes_sentences_and_lists_of_tokens(tiny: Elmo) -> None:
    predictor = Predictor.from_params(
        Params({"type": "elmo_word_in_context"}),
        model=make(tiny, comparison={"type": "cosine", "threshold": -2.0}).eval(),
        dataset_reader=READER,
    )
    places = {"first_index": 2, "second_index": 0}
    text = {"first": "Room and board", "second": "boards !", **places}
    tokens = {"first": ["Room", "and", "board"], "second": ["boards", "!"], **places}
    assert predictor.load_line("\ufeff" + json.dumps(text) + "\n") == text
    one, same = predictor.predict_json(text), predictor.predict_batch_json([tokens])[0]
    assert set(one) == {"label", "probability"} and one["label"] == "T"
    assert one["probability"] == pytest.approx(same["probability"], rel=1e-5)
    for wrong, message in (
        ({**text, "first_index": 3}, "first_index must be at least 0 and less than 3, .*; found 3"),
        ({**text, "second": 7}, "each a sentence or a list of tokens; found 7"),
        ({"first": "a", "second": "b"}, '"first_index" and "second_index"'),
    ):
        with pytest.raises(ConfigurationError, match=message):
            predictor.predict_json(wrong)
