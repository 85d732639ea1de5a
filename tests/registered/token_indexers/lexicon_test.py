"""Tests of the lexicon's indexer and embedder."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.data.batch import Batch
from allennlp.data.fields import TextField
from allennlp.data.instance import Instance
from allennlp.data.token_indexers import TokenIndexer
from allennlp.data.tokenizers import Token
from allennlp.modules.token_embedders import TokenEmbedder
from allennlp.nn.util import get_text_field_mask

from elmo_components.registered.token_embedders.lexicon import LexiconEmbedder
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer
from elmo_components.registered.token_indexers.lexicon import LexiconIndexer, lexicon_types

TABLE = "New York\tplace\nNew York City\tplace\nYork Street\tplace\nYork\tperson\nÉva\tperson\n"


@pytest.fixture()
def table(tmp_path: Path) -> str:
    path = tmp_path / "table.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return str(path)


def index(indexer: LexiconIndexer, *sentences: str, **settings: Any) -> tuple[Vocabulary, Any]:
    """Returns the vocabulary of sentences, and their features, (batch, time, 2 * types + 1)."""
    instances = [
        Instance({"tokens": TextField([Token(word) for word in text.split(" ")], {"i": indexer})})
        for text in sentences
    ]
    vocabulary = Vocabulary.from_instances(instances, **settings)
    batch = Batch(instances)
    batch.index_instances(vocabulary)
    return vocabulary, batch.as_tensor_dict()["tokens"]["i"]["features"]


def test_the_longest_phrase_of_a_type_is_marked(table: str) -> None:
    vocabulary, features = index(
        LexiconIndexer(table), "in NEW york city with éva now", "new york street"
    )
    assert lexicon_types(vocabulary) == ["person", "place"]
    # person's first token and others, then place's, and a token
    assert features[0].tolist() == [
        [0, 0, 0, 0, 1],
        [0, 0, 1, 0, 1],
        [1, 0, 0, 1, 1],
        [0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1],
        [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 1],
    ]
    # of two phrases as long the first, and padding
    marks = [[0, 0, 1, 0, 1], [1, 0, 0, 1, 1], [0, 0, 0, 0, 1]]
    assert features[1].tolist() == marks + [[0] * 5] * 4


def test_case_counts_where_it_shall(table: str) -> None:
    _, features = index(LexiconIndexer(table, ignore_case=False), "york York")
    assert features[0].tolist() == [[0, 0, 0, 0, 1], [1, 0, 0, 0, 1]]


def test_phrases_are_split_by_the_rules_of_the_language(tmp_path: Path) -> None:
    path = tmp_path / "names.jsonl"
    entry = {"phrase": "  O'Neill &  Co.", "type": "org"}
    path.write_text(json.dumps(entry) + "\n\n", encoding="utf-8")
    _, features = index(LexiconIndexer(str(path)), "by O'Neill & Co.")
    assert features[0].tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 1], [0, 1, 1]]


def test_the_vocabulary_has_the_whole_table_and_the_file_is_not_read_again(
    table: str, tmp_path: Path
) -> None:
    vocabulary, features = index(LexiconIndexer(table), "York", min_count={"lexicon_tags": 3})
    vocabulary.save_to_files(str(tmp_path / "vocabulary"))
    Path(table).unlink()
    loaded = Vocabulary.from_files(str(tmp_path / "vocabulary"))
    indexer = pickle.loads(pickle.dumps(LexiconIndexer(table)))
    found = indexer.tokens_to_indices([Token("York"), Token("")], loaded)
    padded = indexer.as_padded_tensor_dict(found, indexer.get_padding_lengths(found))
    assert torch.equal(padded["features"][:1], features[0])
    assert padded["features"][1].tolist() == [0, 0, 0, 0, 1]
    # `York Street` is there, though no sentence has it
    words = indexer.tokens_to_indices([Token("york"), Token("street")], loaded)
    assert words == {"features": [[0, 2], [3]]}


@pytest.mark.parametrize("names", [("elmo", "lexicon"), ("lexicon", "elmo")])
def test_a_token_outside_all_phrases_is_no_padding(table: str, names: tuple[str, str]) -> None:
    indexers: dict[str, TokenIndexer] = {
        "elmo": ElmoCharacterIndexer(),
        "lexicon": LexiconIndexer(table),
    }
    in_order = {name: indexers[name] for name in names}
    sentences = [["in", "New", "York", "now"], ["rain"]]
    instances = [
        Instance({"tokens": TextField([Token(word) for word in sentence], in_order)})
        for sentence in sentences
    ]
    batch = Batch(instances)
    batch.index_instances(Vocabulary.from_instances(instances))
    mask = get_text_field_mask(batch.as_tensor_dict()["tokens"])
    assert mask.tolist() == [[True] * 4, [True] + [False] * 3]


def test_indexers_with_one_namespace_share_their_tables(table: str, tmp_path: Path) -> None:
    other = tmp_path / "other.tsv"
    other.write_text("Oslo\tplace\n", encoding="utf-8")
    field = TextField(
        [Token("Oslo"), Token("York")],
        {"one": LexiconIndexer(table), "other": LexiconIndexer(str(other))},
    )
    vocabulary = Vocabulary.from_instances([Instance({"tokens": field})])
    field.index(vocabulary)
    tensors = field.as_tensor(field.get_padding_lengths())
    expected = [[0, 0, 1, 0, 1], [1, 0, 0, 0, 1]]
    assert [found["features"].tolist() for found in tensors.values()] == [expected] * 2


def test_the_embedder_adds_the_vectors_of_a_token_s_marks(table: str) -> None:
    vocabulary, features = index(LexiconIndexer(table), "New York is")
    params = Params({"type": "elmo_lexicon", "embedding_dim": 5})
    embedder = TokenEmbedder.from_params(params, vocab=vocabulary)
    assert isinstance(embedder, LexiconEmbedder) and embedder.get_output_dim() == 5
    vectors = embedder(features)
    weight = embedder._marks.weight
    torch.testing.assert_close(vectors[0, 1], weight[:, 0] + weight[:, 3])
    assert not vectors[0, 2].any()
    vectors.sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "York\n", "must be phrase, tab, type; found 'York'"),
        ("a.tsv", "York\tplace\tcity\n", "must be phrase, tab, type"),
        ("a.jsonl", '{"phrase": "York"}\n', 'must be an object with "phrase" and "type"'),
        ("a.jsonl", "York\tplace\n", "must be an object"),
        ("a.tsv", "\n", "has no phrases"),
    ],
)
def test_another_table_is_an_error(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        index(LexiconIndexer(str(path)), "York")


def test_a_vocabulary_without_the_table_is_an_error() -> None:
    message = "no phrases in the namespace 'lexicon_tags'"
    with pytest.raises(ConfigurationError, match=message):
        LexiconEmbedder(Vocabulary())
    with pytest.raises(ConfigurationError, match=message):
        index(LexiconIndexer(), "York")
    with pytest.raises(ConfigurationError, match="spaCy has no rules for 'none'"):
        LexiconIndexer(language="none")
