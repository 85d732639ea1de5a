"""
Static word vectors of a text, for AllenNLP's `embedding`: word2vec's or fastText's, by gensim.

    python benchmarks/static_vectors.py word2vec TEXT... --output vectors.txt.gz

Each TEXT is a file or a pattern of files, `.txt`, `.gz` or `.xz`: a sentence a line, white space
between its tokens. The settings are those of the published vectors: skip-grams, negative samples,
300 numbers, words that come five times. With `--words`, files of the same kind, fastText's vectors
of their words are written too, made of their letters where the text does not have them.
"""

import argparse
import gzip
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from elmo_components.pretraining.corpus import find_shards, read_lines

KINDS = ("word2vec", "fasttext")


class Sentences:
    """The tokens of each line of some files, as often as they are asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __iter__(self) -> Iterator[list[str]]:
        for path in self._paths:
            for line in read_lines(path):
                yield line.split()


def main() -> None:
    """Trains vectors and writes them."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("text", nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--words", nargs="*", default=[])
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--min-count", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.words and arguments.kind != "fasttext":
        parser.error("--words is for fasttext, which alone knows vectors of words it has not met")
    further = {
        word
        for sentence in Sentences(find_shards(arguments.words) if arguments.words else [])
        for word in sentence
    }
    vectors = train(
        arguments.kind,
        Sentences(find_shards(arguments.text)),
        size=arguments.size,
        epochs=arguments.epochs,
        min_count=arguments.min_count,
        threads=arguments.threads,
    )
    words = list(dict.fromkeys([*vectors.index_to_key, *sorted(further)]))
    write(vectors, words, arguments.output)
    print(f"{len(words):,} words in {arguments.output}")


def train(
    kind: str, sentences: Sentences, *, size: int, epochs: int, min_count: int, threads: int
) -> Any:
    """Returns gensim's `KeyedVectors`."""
    from gensim.models import FastText, Word2Vec

    model_class = {"word2vec": Word2Vec, "fasttext": FastText}[kind]
    model = model_class(
        sentences=sentences,
        vector_size=size,
        epochs=epochs,
        min_count=min_count,
        workers=threads,
        sg=1,
        seed=1,
    )
    return model.wv


def write(vectors: Any, words: Sequence[str], path: Path) -> None:
    """Writes a word and its numbers a line, as AllenNLP's `pretrained_file` takes them."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with gzip.open(temporary, "wt", encoding="utf-8", compresslevel=1) as file:
        for word in words:
            numbers = " ".join(f"{number:.5g}" for number in vectors[word])
            file.write(f"{word} {numbers}\n")
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
