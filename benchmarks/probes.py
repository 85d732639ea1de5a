"""
What each layer of an ELMo knows: parts of speech by a linear classifier, senses by a cosine.

    python benchmarks/probes.py DATA --output OUTPUT/probes.json [--elmo english]

DATA has `pos/ud_english_ewt` and `polysemy/wic` as published. For parts of speech, softmax
regression on one layer's vectors, their mean or a learned mix, of the epoch that is best on the
development set; for Word in Context, the cosine of the word's two vectors and the threshold that is
best on the training pairs. Scores are of the test sets (cf. Peters et al. 2018, tables 5 and 6).
The cosine is also taken after whitening (Su et al. 2021, "Whitening Sentence Representations").

By its skip connection the top layer has the one below in it; "added" is what it adds to that.
"""

import argparse
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Callable, NamedTuple, TypeVar

import numpy
import torch
from torch import nn

from elmo_components.elmo import Elmo
from elmo_components.modules.scalar_mix import ScalarMix

# Of softmax regression.
EPOCHS = 8
BATCH = 256
# Of the mix for senses, each with all pairs.
STEPS = 300
LEARNED = "learned mix"
# Principal components of the words' vectors, a number that is best on the development pairs.
COMPONENTS = 50
WHITENED = "added, whitened"

T = TypeVar("T")


class Pair(NamedTuple):
    """A word in two sentences, and whether its sense is the same."""

    sentences: tuple[list[str], list[str]]
    places: tuple[int, int]
    is_same: bool


def main() -> None:
    """Measures both and writes them."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--elmo", default="english")
    parser.add_argument(
        "--most", type=int, default=6000, help="how many sentences, or pairs, of a file, by chance"
    )
    arguments = parser.parse_args()
    elmo = Elmo.from_pretrained(arguments.elmo)
    found = {
        "pos": parts_of_speech(elmo, arguments.data / "pos" / "ud_english_ewt", arguments.most),
        "wic": senses(elmo, arguments.data / "polysemy" / "wic", arguments.most),
    }
    arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


def layer_names(elmo: Elmo) -> list[str]:
    """Returns the names of what is compared."""
    names = [f"layer {layer}" for layer in range(elmo.config.num_layers)]
    return [*names, f"added by {elmo.config.num_layers - 1}", "mean"]


def compared(layers: numpy.ndarray) -> numpy.ndarray:
    """Returns layers, (num_layers, ..., size), what the last adds, and their mean after them."""
    added = layers[-1:] - layers[-2:-1]
    return numpy.concatenate([layers, added, layers.mean(axis=0, keepdims=True)])


def parts_of_speech(elmo: Elmo, folder: Path, most: int) -> dict[str, float]:
    """Returns the accuracy of UPOS from each layer alone, and from a mix learned with it."""
    texts = {
        part: _at_most(_tagged(folder / f"en_ewt-ud-{part}.conllu"), most)
        for part in ("train", "dev", "test")
    }
    tags = sorted({tag for sentence in texts["train"] for _, tag in sentence})
    numbers = {tag: number for number, tag in enumerate(tags)}
    data = {}
    for part, sentences in texts.items():
        words = [[word for word, _ in sentence] for sentence in sentences]
        # (num_layers + 2, tokens, 2 * hidden_size)
        vectors = numpy.concatenate([compared(layers) for layers in elmo.embed(words)], axis=1)
        # one that training has not is never right
        labels = [numbers.get(tag, -1) for sentence in sentences for _, tag in sentence]
        data[part] = torch.from_numpy(vectors), torch.tensor(labels)
    rows = {name: slice(row, row + 1) for row, name in enumerate(layer_names(elmo))}
    rows[LEARNED] = slice(elmo.config.num_layers)
    return {
        name: _probe({part: (vectors[row], labels) for part, (vectors, labels) in data.items()})
        for name, row in rows.items()
    }


def _at_most(items: Iterable[T], most: int) -> list[T]:
    """Returns all, or so many by chance: in files of several sources one follows another."""
    found = list(items)
    return found if len(found) <= most else random.Random(0).sample(found, most)


def _tagged(path: Path) -> Iterator[list[tuple[str, str]]]:
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if re.match(r"\d+\t", line)]
        if rows:
            yield [(row[1], row[3]) for row in rows]


def _probe(data: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Returns the test accuracy of softmax regression on a learned mix of layers."""
    torch.manual_seed(0)
    vectors, labels = data["train"]
    # (layers, 1, size), both
    mean, deviation = vectors.mean(1, keepdim=True), vectors.std(1, keepdim=True) + 1e-6
    mix = ScalarMix(len(vectors))
    regression = nn.Linear(vectors.size(-1), int(labels.max()) + 1)
    # as in the taggers, where the mix is trained at the model's rate
    parameters = [*mix.parameters(), *regression.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def scores(layers: torch.Tensor) -> torch.Tensor:
        return regression(_mixed(mix, (layers - mean) / deviation))

    def accuracy(part: str) -> float:
        of_part, expected = data[part]
        with torch.no_grad():
            return float((scores(of_part).argmax(1) == expected).float().mean())

    best = (0.0, 0.0)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores(vectors[:, rows]), labels[rows]).backward()
            optimizer.step()
        best = max(best, (accuracy("dev"), accuracy("test")), key=itemgetter(0))
    return best[1]


def senses(elmo: Elmo, folder: Path, most: int) -> dict[str, float]:
    """
    Returns the accuracy of a threshold on the cosine of a word's two vectors, of each layer, and of
    a mix whose cosines are learned to tell senses apart; and after whitening of what the last adds.
    """
    words, labels = {}, {}
    for part in ("train", "test"):
        pairs = _at_most(_pairs(folder, part), most)
        words[part] = _words(elmo, pairs)
        labels[part] = torch.tensor([pair.is_same for pair in pairs])
    cosines = {
        name: {part: _cosine(*words[part][:, row]) for part in words}
        for row, name in enumerate(layer_names(elmo))
    }
    layers = {part: both[:, : elmo.config.num_layers] for part, both in words.items()}
    mix = _mix_for_senses(layers["train"], labels["train"])
    cosines[LEARNED] = {
        part: _cosine(*(_mixed(mix, one) for one in layers[part])) for part in words
    }
    # (2, pairs, size) of each part
    added = {part: both[:, elmo.config.num_layers] for part, both in words.items()}
    whiten = _whitening(added["train"].flatten(0, 1))
    cosines[WHITENED] = {part: _cosine(*whiten(both)) for part, both in added.items()}
    return {
        name: _by_threshold(*((found[part].numpy(), labels[part].numpy()) for part in words))
        for name, found in cosines.items()
    }


def _whitening(vectors: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Returns what maps vectors to the principal components of these, each of variance 1."""
    mean = vectors.mean(dim=0)
    _, scales, axes = torch.linalg.svd(vectors - mean, full_matrices=False)
    # (size, components)
    matrix = axes[:COMPONENTS].T / scales[:COMPONENTS]
    return lambda others: (others - mean) @ matrix


def _mix_for_senses(words: torch.Tensor, labels: torch.Tensor) -> ScalarMix:
    mix = ScalarMix(words.size(1))
    # of the logit: how steep, and where it is 0
    scale, threshold = nn.Parameter(torch.tensor(5.0)), nn.Parameter(torch.tensor(0.5))
    optimizer = torch.optim.Adam([*mix.parameters(), scale, threshold], lr=0.02)
    for _ in range(STEPS):
        optimizer.zero_grad()
        logits = scale * (_cosine(*(_mixed(mix, one) for one in words)) - threshold)
        nn.functional.binary_cross_entropy_with_logits(logits, labels.float()).backward()
        optimizer.step()
    return mix.requires_grad_(False)


def _pairs(folder: Path, part: str) -> Iterator[Pair]:
    lines = (folder / f"{part}.data.txt").read_text(encoding="utf-8").splitlines()
    labels = (folder / f"{part}.gold.txt").read_text(encoding="utf-8").split()
    for line, label in zip(lines, labels):
        _, _, places, first, second = line.split("\t")
        one, other = map(int, places.split("-"))
        yield Pair((first.split(), second.split()), (one, other), label == "T")


def _words(elmo: Elmo, pairs: Sequence[Pair]) -> torch.Tensor:
    """Returns both vectors of each pair: (2, num_layers + 2, pairs, 2 * hidden_size)."""
    layers = elmo.embed(list(chain.from_iterable(pair.sentences for pair in pairs)))
    places = chain.from_iterable(pair.places for pair in pairs)
    vectors = numpy.stack(
        [compared(found[:, place]) for found, place in zip(layers, places)], axis=1
    )
    return torch.from_numpy(numpy.stack([vectors[:, ::2], vectors[:, 1::2]]))


def _mixed(mix: ScalarMix, layers: torch.Tensor) -> torch.Tensor:
    """Returns (words, size) of (num_layers, words, size)."""
    return mix(layers[:, None], torch.ones(1, layers.size(1), dtype=torch.bool))[0]


def _cosine(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return nn.functional.cosine_similarity(one, other, dim=-1)


def _by_threshold(
    train: tuple[numpy.ndarray, numpy.ndarray], test: tuple[numpy.ndarray, numpy.ndarray]
) -> float:
    cosines, labels = train
    thresholds = numpy.quantile(cosines, numpy.linspace(0, 1, 201))
    threshold = max(thresholds, key=lambda bound: ((cosines >= bound) == labels).mean())
    return float(((test[0] >= threshold) == test[1]).mean())


if __name__ == "__main__":
    main()
