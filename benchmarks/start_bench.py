"""
Measures how long the package and the command `elmo` take to start, beside torch alone.

    python benchmarks/start_bench.py

Each command is a new process. After one warm-up of each, the commands run in turn, seven times, and
the medians are printed: the seconds until the first output, until the end, and of the processor,
which other work on the machine changes least. `--allennlp` adds AllenNLP's sub-command, which takes
half a minute.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from elmo_components.inspection.system import processor_name

RUNS = 7
COMMANDS = {
    "import torch": ["-c", "import torch; print(torch.__version__)"],
    "import elmo_components": ["-c", "import elmo_components; print('imported')"],
    "from elmo_components import Elmo": ["-c", "from elmo_components import Elmo; print(Elmo)"],
    "elmo configs": ["-m", "elmo_components", "configs"],
    "elmo inspect english": ["-m", "elmo_components", "inspect", "english"],
}
ALLENNLP = {
    "allennlp elmo-inspect english": ["-m", "allennlp", "elmo-inspect", "english"],
}


def seconds(arguments: list[str]) -> tuple[float, float, float]:
    """
    Returns the seconds until a Python process prints its first byte, until it ends, and those that
    it used of the processor.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    if not process.stdout.read(1):
        sys.exit(f"{arguments} printed nothing")
    first = time.perf_counter() - begin
    process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        sys.exit(f"{arguments} ended with the status {status}")
    return first, time.perf_counter() - begin, used.ru_utime + used.ru_stime


def main() -> None:
    """Prints a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--allennlp", action="store_true")
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    commands = {**COMMANDS, **(ALLENNLP if arguments.allennlp else {})}
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for run in range(arguments.runs + 1):
        for name, command in commands.items():
            measured = seconds(command)
            if run:
                times[name].append(measured)
    print(f"{processor_name()}, medians of {arguments.runs}, in seconds\n")
    print("| command | first output | end | processor | first output / import torch |")
    print("|---|---|---|---|---|")
    unit = statistics.median(first for first, _, _ in times["import torch"])
    for name, found in times.items():
        first, end, used = (statistics.median(column) for column in zip(*found))
        print(f"| `{name}` | {first:.2f} | {end:.2f} | {used:.2f} | {first / unit:.2f} |")


if __name__ == "__main__":
    main()
