"""Tests of words by code points, with a word table: their ids, and the encoder that takes them."""

import copy
import json
import time
from dataclasses import replace

import numpy
import pytest
import torch

from elmo_components.characters import CharacterMapper, word_numbers
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.char_cnn import CharCnn
from tests.closeness import assert_close

ALPHABET = "abж中\u3000🙂"
WORDS = ["<oov>", "<bos>", "<eos>", "<pad>", "ab", "Ab", "b" * 48, "中"]
CNN = CharCnnConfig(4, ((1, 3), (3, 5)), 1, "relu", ALPHABET, "code_points", "\n".join(WORDS), 6)
LSTM = LstmConfig(8, 16, 1, 3.0, 3.0, True)
CONFIG = ElmoConfig(CNN, LSTM)
OPTIONS = json.dumps(CONFIG.to_options(), ensure_ascii=False)


def ids_by_hand(word: str) -> list[int]:
    """Returns a word's ids in plain steps."""
    kept = word[:48]
    characters = [262 + ALPHABET.index(c) if c in ALPHABET else 1 for c in kept]
    if kept in ("<bos>", "<eos>"):
        characters = [257 if kept == "<bos>" else 258]
    ids = [259, *characters, 260]
    number = WORDS.index(kept) + 1 if kept in WORDS else 1
    return ids + [261] * (50 - len(ids)) + [0, number]


@pytest.mark.parametrize(
    "word",
    [
        *("ab", "Ab", "aB", "", "жx中", "\u3000", "🙂", "\ud800a", "b" * 47, "b" * 48, "b" * 60),
        *("中" * 49, "<bos>", "<eos>", "<S>", "</S>", "<oov>"),
    ],
)
def test_a_word_is_its_code_points_and_its_number(word: str) -> None:
    ids = CharacterMapper.of(CNN).word_ids(word)
    assert ids.dtype == numpy.int16 and ids.tolist() == ids_by_hand(word)


def test_large_numbers_have_two_digits() -> None:
    words = ["<oov>", *(f"w{number}" for number in range(100_000))]
    start = time.perf_counter()
    mapper = CharacterMapper(alphabet="w", units="code_points", words="\n".join(words))
    ids = mapper.batch_ids([["w99999", "w32766", "w32767", "other"], ["w0"]])
    # making the tables takes no time that anyone would notice
    assert time.perf_counter() - start < 5
    assert ids.shape == (2, 4, 52)
    assert ids[0, 0, 50:].tolist() == [3, 100_001 - 3 * 2**15]
    assert word_numbers(ids).tolist() == [[100_000, 32_767, 32_768, 0], [1, -1, -1, -1]]


def test_without_words_there_are_50_ids() -> None:
    mapper = CharacterMapper(alphabet=ALPHABET, units="code_points")
    assert mapper.batch_ids([["ab"], []]).shape == (2, 1, 50)
    assert mapper.word_ids("ab").tolist() == ids_by_hand("ab")[:50]


def test_tokens_to_add_are_refused() -> None:
    with pytest.raises(ValueError, match="tokens_to_add must be empty with code points"):
        CharacterMapper(alphabet="a", units="code_points", tokens_to_add={"x": 1})


def test_the_options_hold_all_of_it() -> None:
    assert ElmoConfig.from_options(json.loads(OPTIONS)) == CONFIG
    assert (CNN.num_words, CNN.ids_per_word, CNN.num_characters) == (8, 52, 268)
    options = json.loads(OPTIONS)
    # a file of one a line may end with an end of a line
    options["char_cnn"]["words"] += "\n"
    options["char_cnn"]["alphabet"] = "\n".join(ALPHABET) + "\n"
    assert ElmoConfig.from_options(options) == CONFIG


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": "letters"}, "char_cnn.units must be one of bytes, code_points; found 'letters'"),
        ({"units": "bytes"}, "Where there are words, units must be 'code_points'; found 'bytes'"),
        ({"words": ["<oov>"]}, "char_cnn.words has the wrong type"),
        ({"words": "<oov>\na\n\nb"}, "must have <oov> in it, and no empty word"),
        ({"words": "<oov>\na\nb\na"}, r"must have each word once; found more of \['a'\]"),
        ({"words": ""}, "word_size must be .* found 6 and 0 words"),
        ({"word_dim": 0}, "word_size must be .* found 0 and 8 words"),
    ],
)
def test_options_that_cannot_be_are_named(changes: dict, message: str) -> None:
    options = json.loads(OPTIONS)
    options["char_cnn"].update(changes)
    with pytest.raises(ValueError, match=message):
        ElmoConfig.from_options(options)


SENTENCE = ["ab", "Ab", "zz", "b" * 60, "ab", "中中"]


def expected_vectors(char_cnn: CharCnn, words: list[str]) -> torch.Tensor:
    """Returns the vectors of words one by one, in float64."""
    exact = copy.deepcopy(char_cnn).double()
    vectors = []
    for word in words:
        ids = torch.tensor(ids_by_hand(word))
        parts = [exact.word_embedding.weight[int(ids[51]) - 1]]  # type: ignore[union-attr]
        if exact.config.filters:
            # (embedding_size, characters)
            characters = exact.character_embedding(ids[:50]).t()
            found = torch.cat(
                [
                    torch.conv1d(characters, layer.weight, layer.bias).amax(-1).relu()
                    for layer in exact.convolutions
                ]
            )
            for highway in exact.highways:
                found = highway(found)
            parts.append(found)
        vectors.append(exact.projection(torch.cat(parts)))  # type: ignore[misc]
    return torch.stack(vectors)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("alone", [True, False])
def test_a_words_own_vector_comes_first(frozen: bool, alone: bool) -> None:
    config = CNN
    if alone:
        config = replace(CNN, embedding_size=0, filters=(), num_highway_layers=0, alphabet="")
    char_cnn = CharCnn(config, hidden_size=8).requires_grad_(not frozen)
    ids = CharacterMapper.of(config).batch_ids([SENTENCE])
    # the second time out of the cache, where there is one
    for _ in range(2):
        found = char_cnn(ids)[0]
        expected = expected_vectors(char_cnn, SENTENCE)
        assert_close(found.double(), expected)
    traced = torch.jit.trace(char_cnn, CharacterMapper.of(config).batch_ids([["a", "中"]]))
    torch.testing.assert_close(traced(ids), char_cnn(ids))


def test_words_that_share_their_lower_digit_are_not_one() -> None:
    words = "\n".join(["<oov>", *(f"w{number}" for number in range(70_000))])
    config = replace(CNN, words=words, word_size=2, alphabet="w")
    char_cnn = CharCnn(config, hidden_size=8).requires_grad_(False)
    names = ["w5", f"w{5 + 2**15}", f"w{5 + 2**16}"]
    ids = CharacterMapper.of(config).batch_ids([names])
    vectors = char_cnn(ids)[0]
    assert (vectors[:, None] - vectors[None]).abs().amax(-1).count_nonzero() == 6
    rows = char_cnn.word_embedding.weight[[6, 6 + 2**15, 6 + 2**16]]  # type: ignore[union-attr]
    weight = char_cnn.projection.weight  # type: ignore[union-attr]
    # they differ in that vector, and in characters that are all unknown but for their number
    by_digits = char_cnn(torch.cat([ids[..., :50][:, :1].expand(1, 3, 50), ids[..., 50:]], -1))[0]
    torch.testing.assert_close(by_digits[1] - by_digits[0], weight[:, :2] @ (rows[1] - rows[0]))
    torch.testing.assert_close(by_digits[2] - by_digits[0], weight[:, :2] @ (rows[2] - rows[0]))


def test_every_parameter_learns() -> None:
    bilm = BiLm(CONFIG)
    bilm(CharacterMapper.of(CNN).batch_ids([SENTENCE, ["b"]])).layers.sum().backward()
    unused = [name for name, p in bilm.named_parameters() if p.grad is None or not p.grad.any()]
    assert unused == []
    rows = bilm.char_cnn.word_embedding.weight.grad  # type: ignore[union-attr]
    # <pad> is in no sentence
    assert rows.any(dim=1).tolist() == [True, True, True, False, True, True, True, False]


def test_the_sentence_marks_are_the_models_own() -> None:
    marks = BiLm(CONFIG).mark_ids(torch.device("cpu"))
    assert marks.tolist() == [ids_by_hand("<bos>"), ids_by_hand("<eos>")]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, 268, "Character ids must be from 0 to 267; found 268"),
        (51, 9, "Words' numbers must be from 0 to 8; found 9"),
        (50, 1, "Words' numbers must be from 0 to 8; found 327"),
        (51, -1, "Words' numbers must be from 0 to 8; found -1"),
    ],
)
def test_ids_out_of_range_are_named(column: int, value: int, message: str) -> None:
    ids = CharacterMapper.of(CNN).batch_ids([["ab"]])
    ids[0, 0, column] = value
    with pytest.raises(ValueError, match=message):
        BiLm(CONFIG)(ids)
    with pytest.raises(ValueError, match=r"of shape \(batch, time, 52\); found \(1, 1, 50\)"):
        BiLm(CONFIG)(ids[..., :50])
