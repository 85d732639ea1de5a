"""
The perplexity of a Kneser-Ney trigram, the peer that a language model of ours must beat.

    python benchmarks/kneser_ney.py --vocabulary vocab.txt --train FILE... --test FILE...

Files (`.txt`, `.gz` or `.xz`) have a tokenised sentence a line, words parted by white space. The
vocabulary is closed and in bilm-tf's order: "</S>", "<S>", "<UNK>", which stands for all words
outside, then the others. As in a biLM, the forward model predicts w1, ..., wn and "</S>" of each
sentence given what precedes, from "<S>" on; the backward model predicts wn, ..., w1 and "<S>" from
"</S>" on. A training text takes about 70 bytes of memory a word.
"""

import argparse
import json
import resource
import time
from array import array
from collections.abc import Iterable
from itertools import repeat
from pathlib import Path
from typing import Optional

import numpy as np

from elmo_components.characters import BOS_TOKEN, EOS_TOKEN
from elmo_components.pretraining.corpus import find_shards, read_lines
from elmo_components.pretraining.vocabulary import UNKNOWN_TOKEN

# The ids of the vocabulary's first three lines.
SPECIAL = [EOS_TOKEN, BOS_TOKEN, UNKNOWN_TOKEN]
EOS, BOS, UNKNOWN = range(3)

# An n-gram is an int64: the ids of its words, the last of which has the lowest bits.
BITS = 20
WORD = (1 << BITS) - 1
BIGRAM = (1 << 2 * BITS) - 1


class KneserNey:
    """
    A trigram model with interpolated modified Kneser-Ney smoothing.

    With c the counts, d the discount of a count and h' the context h without its first word:

        p(w | h) = (c(h w) - d(c(h w))) / c(h) + share(h) * p(w | h')
        share(h) = sum over w of d(c(h w)) / c(h), or 1 where h does not occur

    and last p(w) = 1 / (vocabulary_size - 1): all words can follow, save the start. Trigrams have
    the counts of the text. A shorter n-gram has the number of words that precede it, or, where it
    begins with the start, which nothing precedes, the count of the text. Each order has a discount
    for the count 1, for 2, and for 3 or more. (Chen and Goodman 1998, "An Empirical Study of
    Smoothing Techniques for Language Modeling", section 3.)

    # Parameters

    ids : `np.ndarray`
        int32, (tokens,), the text: `start`, ids of words and the end, sentence after sentence.
    start : `int`
        The id that begins each sentence and is never predicted.
    vocabulary_size : `int`
        The number of ids, with both marks.
    """

    def __init__(self, ids: np.ndarray, *, start: int, vocabulary_size: int) -> None:
        self._start = start
        self._uniform = 1 / (vocabulary_size - 1)
        trigrams = self.predictions(ids)
        # the first word of a sentence has a context of one word
        first = trigrams >> BITS & WORD == start
        starts = trigrams[first] & BIGRAM
        trigrams, trigram_counts = np.unique(trigrams[~first], return_counts=True)
        bigrams, bigram_counts = np.unique(
            np.concatenate([trigrams & BIGRAM, starts]), return_counts=True
        )
        unigrams, unigram_counts = np.unique(bigrams & WORD, return_counts=True)
        self._orders = [
            (WORD, _Order(unigrams, unigram_counts)),
            (BIGRAM, _Order(bigrams, bigram_counts)),
            (-1, _Order(trigrams, trigram_counts)),
        ]

    def predictions(self, ids: np.ndarray) -> np.ndarray:
        """
        Returns int64, (predictions,), the trigram that ends at each id of a text save the starts.

        A trigram whose second word is the start has another sentence's end (for the first sentence,
        the last one's) as its first, a context that never occurs.
        """
        ids = ids.astype(np.int64)
        # (predictions,)
        ends = np.flatnonzero(ids != self._start)
        return ids[ends - 2] << 2 * BITS | ids[ends - 1] << BITS | ids[ends]

    def probabilities(self, trigrams: np.ndarray) -> np.ndarray:
        """Returns float64, (predictions,), of each trigram's last word given the others."""
        # (predictions,)
        probabilities = np.full(len(trigrams), self._uniform)
        for mask, order in self._orders:
            probabilities = order.interpolate(trigrams & mask, probabilities)
        return probabilities


class _Order:
    """
    The n-grams of one order: what their contexts give to them, and leave to the order below.

    # Parameters

    ngrams : `np.ndarray`
        int64, (ngrams,), sorted.
    counts : `np.ndarray`
        int64, (ngrams,).
    """

    def __init__(self, ngrams: np.ndarray, counts: np.ndarray) -> None:
        # (ngrams,)
        discounts = _discounts(counts)[np.minimum(counts, 3)]
        contexts = ngrams >> BITS
        # (contexts,)
        starts = np.flatnonzero(np.diff(contexts, prepend=-1))
        totals = np.add.reduceat(counts, starts)
        self._contexts = contexts[starts]
        self._left = np.add.reduceat(discounts, starts) / totals
        # (ngrams,)
        self._ngrams = ngrams
        self._given = (counts - discounts) / np.repeat(totals, np.diff(starts, append=len(ngrams)))

    def interpolate(self, ngrams: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Returns (predictions,), the probabilities, given those of the order below."""
        left = _look_up(ngrams >> BITS, self._contexts, self._left, missing=1.0)
        return _look_up(ngrams, self._ngrams, self._given, missing=0.0) + left * lower


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Returns (4,), the discounts of the counts 0, 1, 2, and 3 or more."""
    # (5,): how many n-grams have the counts 0 to 4
    having = np.bincount(counts[counts <= 4], minlength=5)
    if not having[1:4].all():
        raise ValueError(
            "N-grams with the counts 1, 2 and 3 must occur at each order; found "
            f"{having[1:4].tolist()} of them. Train on more text."
        )
    ratio = having[1] / (having[1] + 2 * having[2])
    discounts = [k - (k + 1) * ratio * having[k + 1] / having[k] for k in (1, 2, 3)]
    if min(discounts) < 0:
        raise ValueError(
            f"Discounts must not be negative; found {[round(float(d), 3) for d in discounts]}. "
            "Train on text in which fewer n-grams have a count the higher it is."
        )
    return np.array([0.0, *discounts])


def _look_up(
    wanted: np.ndarray, keys: np.ndarray, values: np.ndarray, *, missing: float
) -> np.ndarray:
    """Returns (wanted,), the value of each key wanted; keys are sorted."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], missing)


def read_ids(paths: Iterable[Path], vocabulary: list[str]) -> np.ndarray:
    """
    Returns int32, (tokens,), the text of files: "<S>", ids of words and "</S>" of each sentence.

    # Raises

    `ValueError` for a vocabulary in another order or too large, and where there is no sentence.
    """
    if vocabulary[:3] != SPECIAL or len(vocabulary) > WORD:
        raise ValueError(
            f"A vocabulary must begin with {SPECIAL} and have at most {WORD} words; found "
            f"{vocabulary[:3]} and {len(vocabulary)} words"
        )
    # a word of the text that looks like a mark is none
    id_of = {word: number for number, word in enumerate(vocabulary) if number > UNKNOWN}
    ids = array("i")
    for path in paths:
        for line in read_lines(path):
            ids.append(BOS)
            ids.extend(map(id_of.get, line.split(), repeat(UNKNOWN)))
            ids.append(EOS)
    if not ids:
        raise ValueError(f"{', '.join(map(str, paths))}: must hold a sentence; all are empty")
    return np.array(ids)


def perplexities(train: np.ndarray, test: np.ndarray, vocabulary_size: int) -> dict[str, float]:
    """Returns the perplexity of each direction, and both averages, for ids as `read_ids` does."""
    logs = {}
    for name, start, step in (("forward", BOS, 1), ("backward", EOS, -1)):
        model = KneserNey(train[::step], start=start, vocabulary_size=vocabulary_size)
        logs[name] = -np.log(model.probabilities(model.predictions(test[::step]))).mean()
    return {
        **{name: float(np.exp(log)) for name, log in logs.items()},
        "mean": float(np.mean(np.exp(list(logs.values())))),
        "exp_of_mean_log": float(np.exp(np.mean(list(logs.values())))),
    }


def main(arguments: Optional[list[str]] = None) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--train", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", required=True)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    vocabulary = options.vocabulary.read_text(encoding="utf-8").splitlines()
    train = read_ids(find_shards(options.train), vocabulary)
    test = read_ids(find_shards(options.test), vocabulary)
    result = {
        "vocabulary_size": len(vocabulary),
        "training_predictions": int(np.sum(train != BOS)),
        "predictions": int(np.sum(test != BOS)),
        "share_unknown": float(np.sum(test == UNKNOWN) / np.sum(test > BOS)),
        "perplexity": perplexities(train, test, len(vocabulary)),
        "seconds": round(time.perf_counter() - start, 1),
        # Linux counts it in KiB
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
