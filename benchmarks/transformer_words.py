"""
A transformer's vectors of words alone, as text: what a `word_teacher` of pre-training reads.

    python benchmarks/transformer_words.py TRANSFORMER VOCABULARY --output words.txt.gz

TRANSFORMER is a name of Hugging Face's or a folder; VOCABULARY is the `vocab.txt` that `elmo
vocabulary` wrote, most frequent words first. A vector is the mean of the last layer over a word's
pieces and the two marks around them, with norm 1.
"""

import argparse
import gzip
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch

# Words of like length are computed together.
BATCH = 256
# Vectors of longer words are those of their first pieces.
MOST_PIECES = 32


def main() -> None:
    """Computes the vectors and writes them."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("transformer")
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--most", type=int, default=120_000, help="how many words")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.output.suffix != ".gz":
        parser.error(f"--output must end with .gz; found {arguments.output}")
    words = list(islice(read_words(arguments.vocabulary), arguments.most))
    temporary = arguments.output.with_name(arguments.output.name + ".tmp")
    with gzip.open(temporary, "wt", encoding="utf-8", compresslevel=1) as file:
        for word, vector in zip(words, vectors_of(words, arguments.transformer)):
            file.write(f"{word} {' '.join(f'{number:.4f}' for number in vector.tolist())}\n")
    os.replace(temporary, arguments.output)
    print(f"{len(words):,} words in {arguments.output}")


def read_words(path: Path) -> Iterator[str]:
    """Yields a vocabulary's words, without its first three lines: marks and the unknown word."""
    with open(path, encoding="utf-8") as lines:
        for line in islice(lines, 3, None):
            word = line.rstrip("\n")
            if word and " " not in word:
                yield word


def vectors_of(words: Sequence[str], transformer: str) -> torch.Tensor:
    """Returns (words, size)."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(transformer)
    model = AutoModel.from_pretrained(transformer).eval()
    found = torch.empty(len(words), model.config.hidden_size)
    by_length = sorted(range(len(words)), key=lambda place: len(words[place]))
    for first in range(0, len(words), BATCH):
        places = by_length[first : first + BATCH]
        batch = tokenizer(
            [words[place] for place in places],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=MOST_PIECES,
        )
        with torch.inference_mode():
            # (words, pieces, size)
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        means = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        found[places] = torch.nn.functional.normalize(means, dim=-1)
    return found


if __name__ == "__main__":
    main()
