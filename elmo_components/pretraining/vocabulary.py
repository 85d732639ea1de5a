"""The vocabulary of a corpus: the predicted words, and the characters with their own ids."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Optional

from elmo_components.alphabet import MAX_ALPHABET
from elmo_components.characters import BOS_TOKEN, EOS_TOKEN

__all__ = ["UNKNOWN_TOKEN", "CharacterCounts", "WordCounts"]

UNKNOWN_TOKEN = "<UNK>"


class WordCounts:
    """
    Counts the words of tokenised sentences in one pass.

    # Parameters

    sentences : `Iterable[Sequence[str]]`
        The sentences, without sentence marks.
    """

    def __init__(self, sentences: Iterable[Sequence[str]]) -> None:
        self.num_sentences = 0
        self.words: Counter[str] = Counter()
        for sentence in sentences:
            self.num_sentences += 1
            self.words.update(sentence)
        self.num_tokens = sum(self.words.values())

    def vocabulary(self, *, size: Optional[int] = None, min_count: int = 1) -> list[str]:
        """
        Returns the words in bilm-tf's order: "</S>", "<S>", "<UNK>", then by falling frequency,
        then by code points. Words with white space are left out: a file has one word a line.

        # Parameters

        size : `Optional[int]`
            The largest number of words, including these three; `None` for no limit.
        min_count : `int`
            The least number of occurrences.
        """
        special = [EOS_TOKEN, BOS_TOKEN, UNKNOWN_TOKEN]
        if size is not None and size < len(special):
            raise ValueError(f"A vocabulary must have room for {special}; found {size}")
        words = [
            (-count, word)
            for word, count in self.words.items()
            if count >= min_count and word not in special and _fits_a_line(word)
        ]
        return list(islice((*special, *(word for _, word in sorted(words))), size))

    def share_unknown(self, vocabulary: Iterable[str]) -> float:
        """Returns the share of tokens that are not in a vocabulary; 0 without tokens."""
        known = sum(self.words[word] for word in vocabulary if word != UNKNOWN_TOKEN)
        return 1 - known / self.num_tokens if self.num_tokens else 0.0


class CharacterCounts:
    """
    Counts the characters of counted words.

    # Parameters

    words : `Mapping[str, int]`
        How often each word occurs.
    """

    def __init__(self, words: Mapping[str, int]) -> None:
        self.characters: Counter[str] = Counter()
        for word, count in words.items():
            for character in word:
                self.characters[character] += count

    def alphabet(self, *, size: int, min_count: int = 1) -> str:
        """
        Returns the characters beyond ASCII by falling frequency, then by code points. White space
        is left out: a file has one character a line.

        # Parameters

        size : `int`
            The largest number of characters.
        min_count : `int`
            The least number of occurrences.
        """
        if not 0 < size <= MAX_ALPHABET:
            raise ValueError(f"An alphabet's size must be from 1 to {MAX_ALPHABET}; found {size}")
        characters = [
            (-count, character)
            for character, count in self.characters.items()
            if count >= min_count and not character.isascii() and _fits_a_line(character)
        ]
        return "".join(character for _, character in sorted(characters)[:size])

    def share_spelt(self, alphabet: str) -> float:
        """Returns the share of characters neither in ASCII nor in an alphabet; 0 without any."""
        own = set(alphabet)
        spelt = sum(
            count
            for character, count in self.characters.items()
            if not character.isascii() and character not in own
        )
        return spelt / max(1, sum(self.characters.values()))


def _fits_a_line(word: str) -> bool:
    # AllenNLP reads @@NEWLINE@@ as a line's end; bilm-tf strips words, and ends lines at \r too
    return word.split() == [word] and "@@NEWLINE@@" not in word
