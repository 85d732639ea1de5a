"""
Measures and draws the speed by the number of sentences at once: a whole ELMo of the shape of
`english`, whose words are known, beside AllenNLP's with the same weights.

    python benchmarks/batch_sizes.py [TEXT] [--picture FILE] [--threads 2] [--repeats 5]

TEXT is as for run.py. Speeds are of medians of runs in turns. The limits follow from the machine's
peaks, measured in the same run: of its products, and of reading the weights once a step.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from inference_bench import embed, limit_of, models_of
from run import DATA
from side_by_side import SHIPPED, peaks, read_sentences, take_turns
from torch import nn

from elmo_components.characters import CharacterMapper
from elmo_components.inspection.system import processor_name
from elmo_components.kernels import use_backend

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# the name and the look of each line
LINES = {
    "AllenNLP": {"color": "tab:gray", "marker": "o"},
    "cpu, float32": {"color": "tab:blue", "marker": "o"},
    "native, float32": {"color": "tab:orange", "marker": "o"},
    "native, bfloat16": {"color": "tab:green", "marker": "o"},
    "native, int8": {"color": "tab:red", "marker": "o"},
    "limit in float32": {"color": "tab:orange", "linestyle": "--"},
    "limit in int8": {"color": "tab:red", "linestyle": "--"},
}


class Speeds(NamedTuple):
    """Tokens per second of each of `LINES`, for so many sentences at once."""

    sentences: int
    tokens_per_second: dict[str, float]


def main() -> None:
    """Measures, prints a table, and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", nargs="?", type=Path, default=DATA)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    machine = f"{processor_name()}, {arguments.threads} threads, torch {torch.__version__}"
    print(f"Tokens/s, {machine}\n\n| sentences | {' | '.join(LINES)} |")
    print(f"|---|{'---|' * len(LINES)}")
    found = []
    for speeds in measure(read_sentences(arguments.text), arguments.sizes, arguments.repeats):
        found.append(speeds)
        numbers = [f"{speeds.tokens_per_second[name]:,.0f}" for name in LINES]
        print(f"| {speeds.sentences} | {' | '.join(numbers)} |", flush=True)
    if arguments.picture is not None:
        draw(found, machine, arguments.picture)


def measure(sentences: Sequence[list[str]], sizes: Sequence[int], repeats: int) -> Iterator[Speeds]:
    """Yields the speeds for each number of sentences."""
    highest = peaks()
    theirs, ours = models_of(SHIPPED)
    for size in sizes:
        # of one sentence, several in turn
        batches = [sentences[first : first + size] for first in range(0, max(size, 8), size)]
        ids = [CharacterMapper().batch_ids(batch) for batch in batches]
        calls: dict[str, Callable[[], object]] = {"AllenNLP": partial(embed, theirs, ids)}
        for name in LINES:
            backend, _, precision = name.partition(", ")
            if precision:
                calls[name] = partial(_embed_by, backend, ours[f"{precision} known"], ids)
        with torch.no_grad():
            seconds = take_turns(calls, repeats)
        tokens = sum(len(sentence) for batch in batches for sentence in batch)
        speeds = {name: tokens / seconds[name] for name in calls}
        for precision in ("float32", "int8"):
            limit = limit_of(SHIPPED, precision, "known", batches, highest)
            speeds[f"limit in {precision}"] = limit
        yield Speeds(size, speeds)


def _embed_by(backend: str, model: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    with use_backend(backend):
        embed(model, batches)


def draw(found: Sequence[Speeds], machine: str, path: Path) -> None:
    """Draws the speeds, both axes logarithmic."""
    from matplotlib import pyplot

    sizes = [speeds.sentences for speeds in found]
    figure, axis = pyplot.subplots(figsize=(8.5, 4.5), layout="constrained")
    for name, look in LINES.items():
        axis.plot(sizes, [speeds.tokens_per_second[name] for speeds in found], label=name, **look)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.set_xlabel("sentences at once")
    axis.set_ylabel("tokens per second")
    axis.set_title(machine, fontsize=9)
    axis.grid(which="both", alpha=0.25)
    # from the fastest down, as the lines are
    handles, labels = axis.get_legend_handles_labels()
    last = found[-1].tokens_per_second
    order = sorted(range(len(labels)), key=lambda place: -last[labels[place]])
    axis.legend(
        [handles[place] for place in order],
        [labels[place] for place in order],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
