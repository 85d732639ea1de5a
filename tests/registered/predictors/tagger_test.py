"""Tests of the predictor of tags and entities, on real models."""

import json
from pathlib import Path
from typing import Any, Optional

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.data.tokenizers import CharacterTokenizer, Token
from allennlp.predictors import Predictor

from elmo_components.registered.dataset_readers.columns import ColumnReader
from elmo_components.registered.predictors.tagger import ElmoTaggerPredictor, _places
from tests.registered.predictors.memorized import make_predictor, memorized

# Words always have these tags.
TAGGED = [
    [("Ana", "B-person"), ("Díaz", "I-person"), (",", "O"), ("in", "O"), ("Oslo", "B-location")],
    [("'s", "O"), ("port", "O"), ("New York", "B-location"), ("In", "O"), ("don't", "O")],
    [("Oslo", "B-location"), ("the", "O"), ("Ana", "B-person"), ("in", "O")],
    [("我", "B-person"), ("在", "I-person"), ("中", "B-location"), ("国", "I-location")],
]


@pytest.fixture(scope="module")
def tagger() -> Predictor:
    reader = ColumnReader()
    instances = [
        reader.text_to_instance([word for word, _ in sentence], [tag for _, tag in sentence])
        for sentence in TAGGED
    ]
    model = {
        "type": "crf_tagger",
        "label_encoding": "BIO",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 16}}
        },
        "encoder": {"type": "pass_through", "input_dim": 16},
    }
    return memorized("elmo_tagger", model, reader, instances)


def with_reader(tagger: Predictor, **settings: Any) -> Predictor:
    """The same model with another reader."""
    return ElmoTaggerPredictor(tagger._model, ColumnReader(**settings))


def test_entities_have_their_place_in_the_raw_text(tagger: Predictor) -> None:
    sentence = " Ana\t\u3000 Díaz, in\tOslo's port"
    prediction = tagger.predict_json({"sentence": sentence})
    assert prediction["words"] == ["Ana", "Díaz", ",", "in", "Oslo", "'s", "port"]
    assert prediction["tags"][:2] == ["B-person", "I-person"]
    assert prediction["entities"] == [
        {"type": "person", "text": "Ana\t\u3000 Díaz", "start": 1, "end": 11},
        {"type": "location", "text": "Oslo", "start": 16, "end": 20},
    ]
    for entity in prediction["entities"]:
        assert sentence[entity["start"] : entity["end"]] == entity["text"]
    assert set(prediction) == {"words", "tags", "entities"}


def test_tokens_given_are_not_split(tagger: Predictor) -> None:
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
    assert tagger.predict_batch_json(inputs[1:3]) == together[1:3]


def test_instances_of_a_reader_are_tagged_too(tagger: Predictor, tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("In O\nAna O\nDíaz O\n", encoding="utf-8")
    instances = list(ColumnReader().read(str(tmp_path / "a.conll")))
    (prediction,) = tagger.predict_batch_instance(instances)
    assert prediction["entities"] == [{"type": "person", "text": "Ana Díaz", "start": 3, "end": 11}]


def test_the_tokenizer_of_the_reader_splits_the_text(tagger: Predictor) -> None:
    sentence = "我在 中国"
    # spaCy's rules of English make two tokens of it
    assert len(tagger.predict(sentence)["words"]) == 2
    expected = [
        {"type": "person", "text": "我在", "start": 0, "end": 2},
        {"type": "location", "text": "中国", "start": 3, "end": 5},
    ]
    by_characters = with_reader(tagger, tokenizer=CharacterTokenizer())
    # AllenNLP's tokenizer has no positions, and white space is a token
    assert by_characters.predict("我在中国")["entities"][1]["start"] == 2
    asked = ElmoTaggerPredictor(tagger._model, ColumnReader(), language="zh")
    assert asked.predict(sentence)["entities"] == expected


def test_a_token_that_is_not_in_the_text_has_no_place(tagger: Predictor) -> None:
    lower = with_reader(tagger, tokenizer=CharacterTokenizer(start_tokens=["Ana"]))
    (entity,) = lower.predict("")["entities"]
    assert entity["type"] == "person"
    assert entity["start"] is entity["end"] is entity["text"] is None
    tokens = CharacterTokenizer(lowercase_characters=True)
    assert with_reader(tagger, tokenizer=tokens).predict("X")["words"] == ["x"]


def test_pieces_of_words_have_their_tokenizers_places() -> None:
    pieces = [Token("Os", idx=0, idx_end=2), Token("##lo", idx=2, idx_end=4)]
    assert _places(pieces, "Oslo") == [(0, 2), (2, 4)]
    assert _places([Token("\udcff", idx=1)], "a\udcff") == [(1, 2)]


def test_a_lone_surrogate_is_text_like_any_other(tagger: Predictor) -> None:
    # as Python reads a byte of standard input that is not UTF-8
    sentence = "Ana \udcff in Oslo"
    prediction = tagger.predict(sentence)
    assert prediction["words"] == ["Ana", "\udcff", "in", "Oslo"]
    assert prediction["entities"][-1]["start"] == sentence.index("Oslo")
    assert json.loads(tagger.dump_line(prediction))["words"] == prediction["words"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Raw text.\n", {"sentence": "Raw text."}),
        ('{"sentence": "JSON"}\n', {"sentence": "JSON"}),
        ('"quoted" text\n', {"sentence": '"quoted" text'}),
        ("[brackets]\n", {"sentence": "[brackets]"}),
        ('\ufeff{"sentence": "JSON"}\n', {"sentence": "JSON"}),
        ("\ufeffRaw text.\n", {"sentence": "Raw text."}),
    ],
)
def test_a_line_is_raw_text_or_a_json_object(tagger: Predictor, line: str, expected: dict) -> None:
    assert tagger.load_line(line) == expected


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


def unconstrained(labels: list[str], label_encoding: Optional[str]) -> Predictor:
    """A tagger of random weights."""
    model = {
        "type": "simple_tagger",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 4}}
        },
        "encoder": {"type": "pass_through", "input_dim": 4},
    }
    settings = {"type": "elmo_tagger", "label_encoding": label_encoding}
    return make_predictor(settings, model, ColumnReader(), labels)


def test_tags_that_encode_no_spans_have_no_entities() -> None:
    prediction = unconstrained(["NOUN", "VERB"], None).predict("Dogs bark")
    assert set(prediction) == {"words", "tags"}
    assert set(prediction["tags"]) <= {"NOUN", "VERB"}


def test_tags_that_look_like_spans_are_spans() -> None:
    prediction = unconstrained(["B-x", "I-x"], None).predict("Dogs bark")
    assert "entities" in prediction


@pytest.mark.parametrize(
    ("encoding", "label"), [("BIOUL", "I-x"), ("BIOUL", "L-x"), ("BMES", "M-x"), ("BMES", "E-x")]
)
def test_ill_formed_sequences_of_tags_have_entities(encoding: str, label: str) -> None:
    # no label begins a span
    prediction = unconstrained([label], encoding).predict("Dogs bark")
    assert prediction["tags"] == [label] * 2
    ends = label[0] in "LE"
    assert [entity["text"] for entity in prediction["entities"]] == (
        ["Dogs", "bark"] if ends else ["Dogs bark"]
    )


def test_an_unknown_encoding_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"must be one of BIO, IOB1, .* found 'X'"):
        unconstrained(["O"], "X")
