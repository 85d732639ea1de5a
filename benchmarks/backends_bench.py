"""
Measures the backends `cpu` and `native` in turns: a whole ELMo whose words are known, on the CPU.

    python benchmarks/backends_bench.py [TEXT] [--runs 12] [--threads 2]

TEXT has a sentence per line, tokens parted by spaces; fixtures/data/lm/train.txt by default. One
sentence at a time, and 32 and 256 at once. Medians of runs, each after one that is not timed; the
share is of the best rate of a large float32 product in the run. With one thread, times are the
processor's, which other programs change little.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from side_by_side import SHAPES, large_product, read_sentences

from elmo_components import Elmo, checkpoints
from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint
from elmo_components.inspection.system import processor_name
from elmo_components.kernels import PRECISIONS, use_backend
from elmo_components.modules.bilm import BiLm

BATCHES = (32, 256)
KINDS = (("cpu", "float32"), *(("native", precision) for precision in PRECISIONS))


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("text", type=Path, nargs="?", default="fixtures/data/lm/train.txt")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=("english", "small", "original"))
    arguments = parser.parse_args()
    sentences = read_sentences(arguments.text)
    torch.set_num_threads(arguments.threads)
    kinds = [" ".join(kind) for kind in KINDS]
    title = f"{processor_name()}, threads: {arguments.threads}, medians of {arguments.runs}"
    print(f"{title}, tokens/s (share of peak)\n")
    print(f"| model, sentences | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    with torch.no_grad():
        for name in arguments.models:
            models = {precision: load(name, precision) for precision in PRECISIONS}
            for batches in (
                [[sentence] for sentence in sentences[:4]],
                *([sentences[:size]] for size in BATCHES),
            ):
                cells = measure(models, batches, arguments.runs)
                title = f"{name}, {len(batches[0])}"
                print(f"| {title} | {' | '.join(cells)} |", flush=True)


def load(name: str, precision: str) -> Elmo:
    """Returns the included model, or one of random weights of a published shape."""
    if name == "english":
        return Elmo.from_pretrained(name, dropout=0.0, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints.save(Checkpoint(SHAPES[name], BiLm(SHAPES[name]).state_dict()), folder)
        return Elmo.from_pretrained(folder, dropout=0.0, precision=precision)


def measure(
    models: dict[str, Elmo], batches: Sequence[Sequence[Sequence[str]]], runs: int
) -> list[str]:
    """Returns the tokens per second of each precision and backend, and their share of the peak."""
    ids = [CharacterMapper().batch_ids(batch) for batch in batches]
    tokens = sum(len(sentence) for batch in batches for sentence in batch)
    lstm = models["float32"].config.lstm
    per_step = lstm.num_layers * (8 * lstm.cell_size + lstm.cell_size) * lstm.hidden_size
    # of both directions, a product and a sum each, sentence marks included
    operations = 4 * per_step * sum(len(one) + 2 for batch in batches for one in batch)
    calls: dict[str, Callable[[], object]] = {
        f"{backend} {precision}": partial(run, models[precision], ids, backend)
        for backend, precision in KINDS
    }
    calls["peak"], peak_operations = large_product("float32")
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {kind: [] for kind in calls}
    for _ in range(runs):
        for kind, call in calls.items():
            call()
            begin = clock()
            call()
            seconds[kind].append(clock() - begin)
    peak = peak_operations / min(seconds.pop("peak"))
    medians = {kind: statistics.median(found) for kind, found in seconds.items()}
    return [
        f"{tokens / median:,.0f} ({operations / median / peak:.2f})" for median in medians.values()
    ]


def run(elmo: Elmo, ids: Sequence[torch.Tensor], backend: str) -> None:
    """Computes batches with one backend."""
    with use_backend(backend):
        for batch in ids:
            elmo(batch)


if __name__ == "__main__":
    main()
