"""Holds the Kneser-Ney trigram to its definition, worked out in plain Python."""

import gzip
import json
import math
import random
import runpy
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

BENCHMARK = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "kneser_ney.py"))
KneserNey = BENCHMARK["KneserNey"]

EOS, BOS, UNKNOWN = range(3)
# The last two words never occur.
SIZE = 200


def made_sentences(number: int, *, seed: int) -> list[tuple[int, ...]]:
    """Returns sentences of words that are the rarer the higher their ids."""
    draw = random.Random(seed)
    sentences = []
    for _ in range(number):
        words = [draw.randint(2, 9)]
        while draw.random() < 0.9:
            follows = words[-1] % 15 + 3
            other = min(SIZE - 3, int(draw.paretovariate(0.7)) + 1)
            words.append(follows if draw.random() < 0.3 else other)
        sentences.append(tuple(words))
    return sentences


class Definition:
    """
    Chen and Goodman's model (1998, section 3) in plain Python, over tuples of ids.

        p(w | h) = (c(h w) - D(c(h w)) + p(w | h') * sum over v of D(c(h v))) / sum over v of c(h v)
    """

    def __init__(self, sentences: Sequence[tuple[int, ...]], *, start: int, end: int) -> None:
        self.start = start
        counts: Counter[tuple[int, ...]] = Counter()
        preceding = defaultdict(set)
        for words in sentences:
            marked = (start, *words, end)
            for place in range(1, len(marked)):
                counts[marked[max(place - 2, 0) : place + 1]] += 1
                for length in range(1, min(place, 2) + 1):
                    ngram = marked[place - length + 1 : place + 1]
                    preceding[ngram].add(marked[place - length])
        counts.update({ngram: len(words) for ngram, words in preceding.items()})
        # {context: {word: count}}
        self.following: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
        for ngram, count in counts.items():
            self.following[ngram[:-1]][ngram[-1]] = count
        self.discounts = {}
        for length in (1, 2, 3):
            n = Counter(count for ngram, count in counts.items() if len(ngram) == length)
            y = n[1] / (n[1] + 2 * n[2])
            self.discounts[length] = (
                0.0,
                1 - 2 * y * n[2] / n[1],
                2 - 3 * y * n[3] / n[2],
                3 - 4 * y * n[4] / n[3],
            )

    def probability(self, context: tuple[int, ...], word: int) -> float:
        """Returns the probability of a word after at most two ids."""
        lower = self.probability(context[1:], word) if context else 1 / (SIZE - 1)
        if context not in self.following:
            return lower
        following = self.following[context]
        discounts = self.discounts[len(context) + 1]
        left = sum(discounts[min(count, 3)] for count in following.values())
        count = following.get(word, 0)
        return (count - discounts[min(count, 3)] + left * lower) / sum(following.values())

    def log_probability(self, words: tuple[int, ...], end: int) -> float:
        """Returns that of a sentence and its end."""
        marked = (self.start, *words, end)
        return sum(
            math.log(self.probability(marked[max(place - 2, 0) : place], marked[place]))
            for place in range(1, len(marked))
        )


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_the_command_prints_the_definition_s_perplexities(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vocabulary = ["</S>", "<S>", "<UNK>", *(f"w{number}" for number in range(3, SIZE))]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    texts = {"train": made_sentences(1000, seed=0), "test": made_sentences(30, seed=1)}
    files = {name: str(tmp_path / f"{name}{suffix}") for name in texts}
    for name, sentences in texts.items():
        # words outside of the vocabulary, and such as look like its marks, are unknown
        others = ["<S>", "</S>", "<UNK>", "other"]
        lines = [
            " ".join(
                vocabulary[i] if i != UNKNOWN else others[at % 4] for at, i in enumerate(words)
            )
            for words in sentences
        ]
        opened = gzip.open if suffix == ".txt.gz" else open
        with opened(files[name], "wt") as file:
            file.write("\n\n".join(lines) + "\n")
    BENCHMARK["main"](
        [
            *("--vocabulary", str(tmp_path / "vocab.txt")),
            *("--train", files["train"], "--test", files["test"]),
        ]
    )
    result = json.loads(capsys.readouterr().out)

    tokens = [word for words in texts["test"] for word in words]
    predictions = len(tokens) + 30
    assert result["predictions"] == predictions
    assert result["share_unknown"] == pytest.approx(tokens.count(UNKNOWN) / len(tokens))
    logs = []
    for start, end, step in ((BOS, EOS, 1), (EOS, BOS, -1)):
        definition = Definition([words[::step] for words in texts["train"]], start=start, end=end)
        total = sum(definition.log_probability(words[::step], end) for words in texts["test"])
        logs.append(-total / predictions)
    forward, backward = map(math.exp, logs)
    assert result["perplexity"] == pytest.approx(
        {
            "forward": forward,
            "backward": backward,
            "mean": (forward + backward) / 2,
            "exp_of_mean_log": math.sqrt(forward * backward),
        },
        rel=1e-9,
    )
