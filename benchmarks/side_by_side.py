"""What the benchmarks share: text, the published shapes, taking turns, and what the machine can."""

import lzma
import statistics
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import torch

from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig
from elmo_components.kernels import PRECISIONS

FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))
MOST_TOKENS = 25


def shape(cell_size: int, hidden_size: int, highways: int) -> ElmoConfig:
    """Returns a published configuration of two layers."""
    return ElmoConfig(
        CharCnnConfig(16, FILTERS, highways, "relu"),
        LstmConfig(hidden_size, cell_size, 2, 3.0, 3.0, True),
    )


SHAPES = {"original": shape(4096, 512, 2), "small": shape(1024, 128, 1)}
# of the models that come with the package
SHIPPED = ElmoConfig(
    CharCnnConfig(16, ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 256)), 1, "relu"),
    LstmConfig(256, 512, 2, 3.0, 3.0, True),
)


def read_sentences(path: Path) -> list[list[str]]:
    """
    Reads sentences of 3 tokens or more, cut to 25, from a file with a sentence a line and spaces
    between tokens, or from the first column of a tab-separated one; .xz is decompressed.
    """
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        sentences = [line.split("\t")[0].split()[:MOST_TOKENS] for line in lines]
    return [sentence for sentence in sentences if len(sentence) > 2]


def take_turns(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """
    Returns the median seconds of each call. They take turns; a turn is a call that does not count,
    since the one before has emptied the processor's caches, and one that does.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            call()
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peaks() -> dict[str, float]:
    """
    Returns the fastest that this machine was seen to compute products, in GFLOP/s for each
    precision, and to read memory, in GB/s.
    """
    found: dict[str, float] = {}
    for precision in PRECISIONS:
        product, operations = large_product(precision)
        found[precision] = round(operations / _fastest(product) / 1e9)
    # more than most caches
    found["memory"] = round(read_rate(512_000_000))
    return found


@lru_cache
def read_rate(size: int) -> float:
    """
    Returns the fastest that this machine was seen to read so many bytes again and again, in GB/s:
    from memory, or from the caches that they fit.
    """
    numbers = torch.zeros(size // 4)
    return size / _fastest(numbers.sum) / 1e9


def large_product(precision: str) -> tuple[Callable[[], object], int]:
    """
    Returns torch's fastest product of 1024 rows with a weight of 2048 x 2048, and its number of
    operations.
    """
    size, rows = 2048, 1024
    inputs, weight = torch.randn(rows, size), torch.randn(size, size)
    operations = 2 * rows * size * size
    if precision == "int8":
        integers = [(40.0 * part).clamp(-127.0, 127.0).to(torch.int8) for part in (inputs, weight)]
        return lambda: torch._int_mm(*integers), operations
    dtype = getattr(torch, precision)
    inputs = inputs.to(dtype)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), None)
    linear = torch.ops.mkldnn._linear_pointwise
    return lambda: linear(inputs, packed, None, "none", [], ""), operations


def _fastest(call: Callable[[], object]) -> float:
    times = []
    for _ in range(12):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
