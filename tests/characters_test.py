"""Tests of characters.py."""

from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
import torch

from elmo_components import characters
from elmo_components.characters import BOS_IDS, EOS_IDS, CharacterMapper

WORDS = [
    "The",
    "a",
    "",
    "naïve",
    "日本語",
    "🙂",
    "x" * 48,
    "x" * 49,
    "é" * 30,
    "x" * 10_000,
    "\ud800",
    "a\ud800b",
    "\x00\x01\x1f\x7f",
    "\t",
    "<S>",
    "</S>",
    "<s>",
    "-LRB-",
]


def ids_by_hand(word: str) -> list[int]:
    """bilm-tf's rule, one line a sentence of its description."""
    if word == "<S>":
        marks = [258, 256, 259]
    elif word == "</S>":
        marks = [258, 257, 259]
    else:
        marks = [258, *list(word.encode("utf-8", "ignore"))[:48], 259]
    return [mark + 1 for mark in marks + [260] * (50 - len(marks))]


@pytest.mark.parametrize("word", WORDS, ids=ascii)
def test_a_word_is_its_bytes_between_marks(word: str) -> None:
    ids = CharacterMapper().word_ids(word)
    assert ids.dtype == numpy.int16
    assert ids.tolist() == ids_by_hand(word)


def test_what_utf8_cannot_encode_is_left_out() -> None:
    mapper = CharacterMapper()
    assert mapper.word_ids("a\ud800b").tolist() == mapper.word_ids("ab").tolist()


def test_a_words_ids_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        CharacterMapper().word_ids("word")[0] = 0


def test_chosen_tokens_have_chosen_ids() -> None:
    mapper = CharacterMapper(tokens_to_add={"[MASK]": 1, "word": 260})
    assert mapper.word_ids("[MASK]").tolist() == [259, 2, 260] + [261] * 47
    assert mapper.word_ids("word").tolist() == [259, 261, 260] + [261] * 47
    assert mapper.word_ids("other").tolist() == ids_by_hand("other")
    assert CharacterMapper().word_ids("word").tolist() == ids_by_hand("word")


@pytest.mark.parametrize("character", [-1, 261])
def test_a_chosen_id_out_of_range_is_an_error(character: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 260; 'x' has {character}"):
        CharacterMapper(tokens_to_add={"x": character})


def test_sentences_are_padded_with_zeros() -> None:
    ids = CharacterMapper().batch_ids([["a", "b"], [], ["c"]])
    assert ids.shape == (3, 2, 50)
    assert ids[0, 1].tolist() == ids_by_hand("b")
    assert torch.equal(ids[1], torch.zeros(2, 50, dtype=torch.int64))
    assert ids[2, 0].tolist() == ids_by_hand("c")
    assert not ids[2, 1].any()


def test_no_sentences_and_no_tokens_have_a_shape() -> None:
    assert CharacterMapper().batch_ids([]).shape == (0, 0, 50)
    assert CharacterMapper().batch_ids([[]]).shape == (1, 0, 50)


def test_a_batch_has_each_sentences_words_in_their_places() -> None:
    mapper = CharacterMapper(tokens_to_add={"[MASK]": 1})
    sentences = [WORDS, [], ["[MASK]", "a"], WORDS[::-1]]
    ids = mapper.batch_ids(sentences)
    assert ids.dtype == torch.int64
    for row, sentence in zip(ids.tolist(), sentences):
        expected = [mapper.word_ids(word).tolist() for word in sentence]
        assert row == expected + [[0] * 50] * (len(WORDS) - len(sentence))
    assert ids[2, 0].tolist() == [259, 2, 260] + [261] * 47


def test_a_batch_is_the_callers_own() -> None:
    mapper = CharacterMapper()
    mapper.batch_ids([["a", "b"]]).zero_()
    assert mapper.batch_ids([["a"]]).tolist() == [[ids_by_hand("a")]]


def test_the_marks_of_a_sentence_are_int64_as_a_batch_is() -> None:
    assert BOS_IDS.dtype == EOS_IDS.dtype == numpy.int64
    assert BOS_IDS.tolist() == ids_by_hand("<S>") and EOS_IDS.tolist() == ids_by_hand("</S>")


def test_what_is_no_string_is_an_error() -> None:
    with pytest.raises(TypeError, match="A word must be a string; found 7"):
        CharacterMapper().batch_ids([["a", 7]])


def test_threads_that_share_a_mapper_get_the_same_ids() -> None:
    mapper = CharacterMapper()
    sentences = [[f"{number}-{word}" for word in WORDS] for number in range(50)]
    characters._byte_ids.cache_clear()
    with ThreadPoolExecutor(8) as threads:
        batches = list(threads.map(mapper.batch_ids, [sentences] * 16))
    assert all(torch.equal(batch, batches[0]) for batch in batches)
    assert batches[0][49, 1].tolist() == ids_by_hand("49-a")


def test_a_bounded_number_of_words_is_kept() -> None:
    assert characters._byte_ids.cache_info().maxsize == 65_536
