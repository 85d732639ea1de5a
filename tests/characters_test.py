"""Tests of characters.py."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch

from elmo_components.alphabet import MAX_ALPHABET
from elmo_components.characters import CharacterMapper

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


ALPHABET = "的中🙂国é"
# what a character of it has, and what one beyond it is spelt by
PIECES = {
    "的": [262],
    "中": [263],
    "🙂": [264],
    "国": [265],
    "é": [266],
    "日": [0xE6 + 1, 0x97 + 1, 0xA5 + 1],
    "a": [98],
    "\ud800": [],
}


def ids_by_alphabet(word: str) -> list[int]:
    pieces = [piece for character in word for piece in PIECES[character]]
    framed = [259, *pieces[:48], 260]
    return framed + [261] * (50 - len(framed))


@pytest.mark.parametrize(
    "word",
    [
        "",
        "中国",
        "🙂",
        "中日a国",
        "a\ud800é",
        "日" * 16,
        "中" + "日" * 16,
        "中" * 48,
        "中" * 10_000,
    ],
    ids=ascii,
)
def test_characters_of_an_alphabet_have_ids_of_their_own_and_others_are_spelt(word: str) -> None:
    ids = CharacterMapper(alphabet=ALPHABET).word_ids(word)
    assert ids.dtype == numpy.int16
    assert ids.tolist() == ids_by_alphabet(word)


def test_what_is_not_of_an_alphabet_keeps_its_ids() -> None:
    mapper = CharacterMapper(alphabet="ж", tokens_to_add={"[MASK]": 1})
    for word in WORDS:
        assert mapper.word_ids(word).tolist() == ids_by_hand(word)
    ids = mapper.batch_ids([["[MASK]", "</S>", "жa"]])
    assert ids[0].tolist() == [
        [259, 2, 260] + [261] * 47,
        ids_by_hand("</S>"),
        [259, 262, 98, 260] + [261] * 46,
    ]


def test_mappers_of_different_alphabets_do_not_mix() -> None:
    first, second, none = (CharacterMapper(alphabet=text) for text in ("中国", "国中", ""))
    for _ in range(2):
        assert first.word_ids("中")[1] == 262 and second.word_ids("中")[1] == 263
        assert none.word_ids("中").tolist() == ids_by_hand("中")


def test_the_lines_of_a_file_are_an_alphabet() -> None:
    lines = "".join(f"{character}\n" for character in ALPHABET)
    mapper = pickle.loads(pickle.dumps(CharacterMapper(alphabet=lines)))
    assert mapper.word_ids("中国").tolist() == ids_by_alphabet("中国")


def test_the_largest_alphabet_fits_the_ids() -> None:
    largest = "".join(map(chr, range(0x4E00, 0x4E00 + MAX_ALPHABET)))
    assert CharacterMapper(alphabet=largest).word_ids(largest[-1])[1] == 32_766
    with pytest.raises(ValueError, match="at most 32505 characters; found 32506"):
        CharacterMapper(alphabet=largest + "a")


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        (["a", ["b"]], r"The tokens of sentences\[1\] must be strings; found list \['b'\]"),
        ([Path("b")], r"found PosixPath PosixPath\('b'\)|found WindowsPath"),
        ([SimpleNamespace(text="b")], "found SimpleNamespace .*: pass its text"),
    ],
)
def test_what_is_no_sentence_is_named(sentence: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        CharacterMapper().batch_ids([["a"], sentence])
