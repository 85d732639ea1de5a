"""Tests of registered/indexer.py."""

import pickle

import numpy
import pytest
import spacy
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Batch, Instance, Token, TokenIndexer, Vocabulary
from allennlp.data.fields import ListField, TextField
from allennlp.data.token_indexers import ELMoTokenCharactersIndexer

from elmo_components import characters
from elmo_components.characters import CharacterMapper
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

SENTENCES = [["The", "naïve", "fox"], ["x" * 100], ["</S>", "a\ud800"]]


def tensors(indexer: TokenIndexer, sentences: list[list[str]] = SENTENCES) -> torch.Tensor:
    batch = Batch(
        [
            Instance({"text": TextField([Token(word) for word in sentence], {"elmo": indexer})})
            for sentence in sentences
        ]
    )
    batch.index_instances(Vocabulary())
    return batch.as_tensor_dict()["text"]["elmo"]["elmo_tokens"]


def test_it_is_registered_and_gives_the_tensors_of_allennlps_own() -> None:
    indexer = TokenIndexer.from_params(Params({"type": "elmo_character_ids"}))
    found, expected = tensors(indexer), tensors(ELMoTokenCharactersIndexer())
    assert found.dtype == expected.dtype == torch.int64
    assert torch.equal(found, expected)


def test_added_tokens_and_a_least_length_are_as_allennlps_own() -> None:
    settings = {"tokens_to_add": {"fox": 7}, "token_min_padding_length": 5}
    found = tensors(ElmoCharacterIndexer(**settings))
    assert found.shape == (3, 5, 50)
    assert torch.equal(found, tensors(ELMoTokenCharactersIndexer(**settings)))


def test_an_empty_field_and_padded_lists_of_fields_have_a_shape() -> None:
    indexer = ElmoCharacterIndexer()
    assert tensors(indexer, [[]]).shape == (1, 0, 50)
    fields = [TextField([Token(word) for word in words], {"elmo": indexer}) for words in SENTENCES]
    batch = Batch(
        [Instance({"lists": ListField(fields)}), Instance({"lists": ListField(fields[:1])})]
    )
    batch.index_instances(Vocabulary())
    ids = batch.as_tensor_dict()["lists"]["elmo"]["elmo_tokens"]
    assert ids.shape == (2, 3, 3, 50)
    assert not ids[1, 1:].any()


def test_indices_can_be_made_a_tensor_one_by_one() -> None:
    # as allennlp-models' bidirectional_lm_token_embedder does with the sentence marks
    indices = ElmoCharacterIndexer().tokens_to_indices([Token("<S>")], Vocabulary())
    assert torch.LongTensor(indices["elmo_tokens"][0]).tolist()[:4] == [259, 257, 260, 261]


def test_it_can_be_sent_to_another_process_and_compared() -> None:
    indexer = ElmoCharacterIndexer(tokens_to_add={"a": 1})
    assert pickle.loads(pickle.dumps(indexer)) == indexer
    assert indexer != ElmoCharacterIndexer()


def test_bad_settings_are_configuration_errors() -> None:
    with pytest.raises(ConfigurationError, match="'a' has 300"):
        ElmoCharacterIndexer(tokens_to_add={"a": 300})
    with pytest.raises(ConfigurationError, match="namespace"):
        TokenIndexer.from_params(Params({"type": "elmo_character_ids", "namespace": "x"}))


def test_indices_from_another_process_give_the_same_tensors() -> None:
    field = TextField([Token(word) for word in SENTENCES[0]], {"elmo": ElmoCharacterIndexer()})
    instance = Instance({"text": field})
    instance.index_fields(Vocabulary())
    expected = Batch([instance]).as_tensor_dict()["text"]["elmo"]["elmo_tokens"]
    sent = pickle.dumps(instance)
    # as in a process that has seen no word
    characters._spellings.cache_clear()
    for again in (pickle.loads(sent), instance.duplicate()):
        found = Batch([again]).as_tensor_dict()["text"]["elmo"]["elmo_tokens"]
        assert torch.equal(found, expected)


@pytest.mark.parametrize("length", [0, 2, 3, 5])
def test_indices_are_cut_or_padded_to_the_length_asked_for(length: int) -> None:
    indexers = ElmoCharacterIndexer(), ELMoTokenCharactersIndexer()
    found, expected = (
        indexer.as_padded_tensor_dict(
            indexer.tokens_to_indices([Token(word) for word in SENTENCES[0]], Vocabulary()),
            {"elmo_tokens": length},
        )["elmo_tokens"]
        for indexer in indexers
    )
    assert found.dtype == torch.int64
    assert torch.equal(found, expected.reshape(length, 50))


def test_tokens_may_be_spacys() -> None:
    indexer = ElmoCharacterIndexer()
    found = indexer.tokens_to_indices(list(spacy.blank("en")("The naïve fox")), Vocabulary())
    expected = indexer.tokens_to_indices([Token(word) for word in SENTENCES[0]], Vocabulary())
    numpy.testing.assert_array_equal(found["elmo_tokens"], expected["elmo_tokens"])


def test_a_token_without_text_is_an_error() -> None:
    with pytest.raises(TypeError, match="A word must be a string; found None"):
        ElmoCharacterIndexer().tokens_to_indices([Token()], Vocabulary())


def test_characters_of_an_alphabet_have_ids_of_their_own() -> None:
    params = {"type": "elmo_character_ids", "alphabet": "中\n国\n"}
    indexer = TokenIndexer.from_params(Params(params))
    ids = tensors(indexer, [["国", "中国", "fox"]])
    assert torch.equal(ids, CharacterMapper(alphabet="中国").batch_ids([["国", "中国", "fox"]]))
    assert ids[0, 0, 1] == 263
    again = pickle.loads(pickle.dumps(indexer))
    assert again == indexer == ElmoCharacterIndexer(alphabet="中国") != ElmoCharacterIndexer()
    assert torch.equal(tensors(again, [["国", "中国", "fox"]]), ids)
    with pytest.raises(ConfigurationError, match="each character once"):
        ElmoCharacterIndexer(alphabet="中中")
