"""`allennlp.interpret` with the predictors of tags and of labels."""

from typing import Any

import numpy
import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.data.token_indexers import SingleIdTokenIndexer, TokenIndexer
from allennlp.interpret.attackers import Hotflip, InputReduction
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter
from allennlp.predictors import Predictor

from elmo_components.elmo import Elmo
from elmo_components.registered.dataset_readers.columns import ColumnReader
from elmo_components.registered.dataset_readers.labelled_lines import LabelledLinesReader
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer
from tests.conftest import ROOT
from tests.registered.predictors.memorized import memorized

WORDS = ["Ana", "Díaz", "lives", "in", "Oslo"]
INDEXERS: dict[str, TokenIndexer] = {"elmo": ElmoCharacterIndexer()}


def embedder() -> dict[str, Any]:
    path = ROOT / "fixtures" / "models" / "tiny"
    elmo = {
        "type": "elmo",
        "architecture": Elmo.from_pretrained(path).config.to_options(),
        "pretrained_file": str(path),
        "dropout": 0.0,
    }
    return {"token_embedders": {"elmo": elmo}}


@pytest.fixture(scope="module")
def tagger() -> Predictor:
    reader = ColumnReader(INDEXERS)
    tags = ["B-person", "L-person", "O", "O", "U-place"]
    model = {
        "type": "crf_tagger",
        "label_encoding": "BIOUL",
        "text_field_embedder": embedder(),
        "encoder": {"type": "pass_through", "input_dim": 16},
    }
    return memorized("elmo_tagger", model, reader, [reader.text_to_instance(WORDS, tags)])


@pytest.fixture(scope="module")
def classifier() -> Predictor:
    # AllenNLP's classifier needs words' ids too
    reader = LabelledLinesReader({**INDEXERS, "tokens": SingleIdTokenIndexer()})
    embedders = embedder()
    embedders["token_embedders"]["tokens"] = {"type": "embedding", "embedding_dim": 4}
    model = {
        "type": "basic_classifier",
        "text_field_embedder": embedders,
        "seq2vec_encoder": {"type": "boe", "embedding_dim": 20},
    }
    texts = [("A fine film", "good"), ("Dull and long", "bad")]
    return memorized(
        "elmo_classifier", model, reader, [reader.text_to_instance(*text) for text in texts]
    )


@pytest.mark.parametrize("name", ["simple-gradient", "integrated-gradient", "smooth-gradient"])
def test_each_entitys_and_each_labels_gradients_have_a_value_a_word(
    tagger: Predictor, classifier: Predictor, name: str
) -> None:
    interpreter = SaliencyInterpreter.by_name(name)
    saliency = interpreter(tagger).saliency_interpret_from_json({"tokens": WORDS})
    assert set(saliency) == {"instance_1", "instance_2"}
    texts = interpreter(classifier).saliency_interpret_from_json({"sentence": "A fine film"})
    assert set(texts) == {"instance_1"}
    for instance, length in ((saliency["instance_1"], 5), (texts["instance_1"], 3)):
        gradients = numpy.array(instance["grad_input_1"])
        # normalized
        assert gradients.shape == (length,) and abs(gradients).sum() == pytest.approx(1.0)


def test_an_input_is_reduced_to_what_the_prediction_needs(
    tagger: Predictor, classifier: Predictor
) -> None:
    reduced = InputReduction(tagger).attack_from_json({"tokens": WORDS})
    assert len(reduced["final"]) == 2
    for final, entity in zip(reduced["final"], (WORDS[:2], WORDS[4:])):
        assert set(entity) <= {str(token) for token in final} <= set(WORDS)
    sentence = {"sentence": "A fine film"}
    (final,) = InputReduction(classifier).attack_from_json(sentence)["final"]
    assert 1 <= len(final) <= 3


def test_hotflip_is_refused_with_its_reason(classifier: Predictor) -> None:
    with pytest.raises(ConfigurationError, match="in ELMo a word has no vector without its sent"):
        Hotflip(classifier).initialize()
