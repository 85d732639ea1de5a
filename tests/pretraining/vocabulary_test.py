"""Tests of vocabulary.py."""

from pathlib import Path

import pytest

from elmo_components.checkpoints.vocabulary_file import write_vocabulary
from elmo_components.pretraining.vocabulary import CharacterCounts, WordCounts

SENTENCES = [["b", "a", "c", "a"], ["a", "b", "<S>", "d", "<UNK>"], ["</S>", "é", "B"]]


def test_a_vocabulary_is_in_bilm_tfs_order() -> None:
    counts = WordCounts(SENTENCES)
    assert (counts.num_sentences, counts.num_tokens) == (3, 12)
    special = ["</S>", "<S>", "<UNK>"]
    assert counts.vocabulary() == [*special, "a", "b", "B", "c", "d", "é"]
    assert counts.vocabulary(size=5) == [*special, "a", "b"]
    assert counts.vocabulary(size=3) == special
    assert counts.vocabulary(min_count=2) == [*special, "a", "b"]
    assert counts.vocabulary(size=4, min_count=2) == [*special, "a"]
    with pytest.raises(ValueError, match="room for"):
        counts.vocabulary(size=2)


def test_the_share_of_unknown_tokens_counts_what_is_not_in_the_list() -> None:
    counts = WordCounts(SENTENCES)
    # c, d, é, B and the <UNK> of the text
    assert counts.share_unknown(counts.vocabulary(size=5)) == pytest.approx(5 / 12)
    assert counts.share_unknown(counts.vocabulary()) == pytest.approx(1 / 12)


def test_of_no_text_nothing_is_unknown_or_spelt() -> None:
    assert WordCounts([]).share_unknown([]) == 0.0
    assert CharacterCounts({}).share_spelt("é") == 0.0


def test_words_that_a_line_cannot_hold_have_no_id(tmp_path: Path) -> None:
    bad = ["", " ", "a\nb", "a\r", "\x85", "a\u2028b", "10\u00a0000", "a@@NEWLINE@@", "\x1c", "a b"]
    words = WordCounts([bad, ["fine", "\u200b", "@@UNKNOWN@@"]]).vocabulary()
    assert words[3:] == ["@@UNKNOWN@@", "fine", "\u200b"]
    write_vocabulary(words, tmp_path / "vocab.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["vocab.txt"]
    # as bilm-tf reads it
    with open(tmp_path / "vocab.txt", encoding="utf-8") as file:
        assert [line.strip() for line in file] == words


def test_an_alphabet_is_the_most_frequent_characters_beyond_ascii() -> None:
    counts = CharacterCounts({"中国": 3, "中": 2, "abc国": 1, "\u3000": 9, "x\u2028": 9, "文": 1})
    assert counts.alphabet(size=100) == "中国文"
    assert counts.alphabet(size=2) == "中国"
    assert counts.alphabet(size=100, min_count=4) == "中国"
    # 5 and 4 of the two, 1 of the third, 3 and 9 of ASCII, 18 of what no line can hold
    assert counts.share_spelt("中国") == pytest.approx(19 / 40)
    for size in (0, 32_506):
        with pytest.raises(ValueError, match=f"from 1 to 32505; found {size}"):
            counts.alphabet(size=size)


def test_equally_frequent_characters_are_in_the_order_of_their_code_points() -> None:
    assert CharacterCounts({"国文中": 2}).alphabet(size=3) == "中国文"
