"""
The memory that embedding a corpus of any size takes, beyond the model's own.

    python benchmarks/embed_memory_bench.py [FILE] [--model PATH] [--sentences 1000000]

FILE has a sentence a line, split at white space; without one, sentences are cut from the words of
fixtures/data/sentiment/train.txt, of 0 to 60 tokens each, with numbers among them so that new words
keep coming. The vectors of all layers are thrown away. "extra_mb" is the highest resident memory
of the whole run minus that held after the model is loaded and one batch is done (Linux only). The
bar is 500. OMP_NUM_THREADS=1 makes the memory of threads the same on all machines.
"""

import argparse
import json
import random
import resource
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Optional

from elmo_components import Elmo

FIXTURES = Path(__file__).parent.parent / "fixtures"
TEXT = FIXTURES / "data" / "sentiment" / "train.txt"


def resident_mb() -> float:
    """Returns the resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak_mb() -> float:
    """Returns the highest resident memory of this process until now."""
    # Linux counts it in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def made_sentences() -> Iterator[list[str]]:
    """Yields sentences without end, the same ones in each run."""
    words = TEXT.read_text(encoding="utf-8").split()
    draw = random.Random(0)
    while True:
        start = draw.randrange(len(words) - 60)
        sentence = words[start : start + draw.randint(0, 60)]
        if draw.random() < 0.5:
            sentence.append(str(draw.randrange(10**9)))
        yield sentence


def read_sentences(path: Path) -> Iterator[list[str]]:
    """Yields the sentences of a file."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield line.split()


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--model", type=Path, default=FIXTURES / "models" / "tiny")
    parser.add_argument("--sentences", type=int, default=1_000_000)
    arguments = parser.parse_args()
    file: Optional[Path] = arguments.file
    elmo = Elmo.from_pretrained(arguments.model)
    elmo.embed(list(islice(made_sentences(), 32)))
    before = resident_mb()
    start = time.perf_counter()
    sentences = made_sentences() if file is None else read_sentences(file)
    embedded = tokens = 0
    for vectors in elmo.embed_stream(islice(sentences, arguments.sentences)):
        embedded += 1
        tokens += vectors.shape[1]
    seconds = time.perf_counter() - start
    result = {
        "sentences": embedded,
        "tokens": tokens,
        "model_mb": round(before),
        "extra_mb": round(peak_mb() - before),
        "sentences_per_second": round(embedded / seconds, 1),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
