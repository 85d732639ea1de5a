"""
The sentences of a comparison's tasks, a line each, for fastText to spell all their words.

    python benchmarks/task_words.py DATA --output words.txt

DATA is as for compare.py; static_vectors.py takes the file as `--words`. Labels are left out.
"""

import argparse
import tempfile
from pathlib import Path

from compare import TASKS, Run, config_of
from tune import write_text

# of vectors that need no file
KIND = "learned"
PARTS = ("train_data_path", "validation_data_path", "test_data_path")


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["ner", "sst5", "trec6"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, open(arguments.output, "wb") as output:
        part = Path(name) / "part.txt"
        for task in arguments.tasks:
            config = config_of(Run(task, KIND, 1.0, 0), Path(name), arguments.data)
            for key in PARTS:
                write_text(config, key, part)
                output.write(part.read_bytes())


if __name__ == "__main__":
    main()
