"""
All benchmarks, side by side with the peers in one process, as one small JSON file.

    python benchmarks/run.py [FILE] [--output benchmarks/results/cpu.json] [--threads 2]
        [--repeats 5] [--only lstm ...]

FILE has a sentence a line and spaces between tokens, and may be compressed (.xz); without one it
is the English side of fixtures/data/parallel/train.tsv. Weights are random, of the published
shapes: speed does not depend on them. Speeds are of medians; "limit" is what the machine allows by
its measured peaks (see side_by_side.py). `--only` takes what a file's name begins with, and then
other rows of the output file stay as they were.
"""

import argparse
import json
import os
import platform
from datetime import date
from pathlib import Path

import char_cnn_bench
import indexer_bench
import inference_bench
import lstm_training_bench
import pretraining_bench
import torch
from allennlp import __version__ as allennlp_version
from side_by_side import peaks, read_sentences

from elmo_components.inspection.system import processor_name

ROOT = Path(__file__).parent.parent
DATA = ROOT / "fixtures" / "data" / "parallel" / "train.tsv"
NAMES = ("inference", "lstm", "char", "indexer", "pretraining")


def main() -> None:
    """Runs what is asked for, and writes the file after each part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, default=DATA)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "cpu.json")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    sentences = read_sentences(arguments.file)
    highest = peaks()
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    results.update(
        machine=processor_name(),
        threads=arguments.threads,
        date=date.today().isoformat(),
        python=platform.python_version(),
        torch=torch.__version__,
        allennlp=allennlp_version,
        text=arguments.file.name,
        peaks=highest,
    )
    parts = {
        "inference": lambda: inference_bench.measure(sentences, arguments.repeats, highest),
        "lstm": lambda: lstm_training_bench.measure(arguments.repeats, highest),
        "char": lambda: char_cnn_bench.measure(sentences, arguments.repeats),
        "indexer": lambda: indexer_bench.measure(sentences[:2000], arguments.repeats),
        "pretraining": lambda: pretraining_bench.measure(sentences, arguments.repeats, highest),
    }
    for name in arguments.only:
        rows = parts[name]()
        for row in rows:
            row["times_allennlp"] = row["ours"] / row["allennlp"]
            print(f"{row['case']}: {row['ours']:.0f} {row['unit']}", end="")
            print(f", {row['times_allennlp']:.1f} times AllenNLP", flush=True)
        results.setdefault("rows", {})[name] = [
            {key: _short(value) for key, value in row.items()} for row in rows
        ]
        arguments.output.parent.mkdir(exist_ok=True)
        temporary = arguments.output.with_suffix(".tmp")
        temporary.write_text(json.dumps(results, indent=1) + "\n")
        os.replace(temporary, arguments.output)


def _short(value: object) -> object:
    if not isinstance(value, float):
        return value
    return round(value) if value > 1000 else float(f"{value:.4g}")


if __name__ == "__main__":
    main()
