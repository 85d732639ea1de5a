"""
Bytes and seconds of a training step in two processes, with the whole gradient of the softmax and
with its rows only, over links of several speeds.

    python benchmarks/exchange_bench.py TEXT [--architecture english] [--words 180000]

TEXT is tokenised, a sentence a line. Each process is in a network namespace of its own; the two are
joined by a pair of virtual interfaces, whose rate `tc` limits. This needs Linux, root and iproute2.
Bytes are those that the interface has sent. Each process has one thread.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Callable, Optional
from unittest import mock

import torch
from torch import distributed
from torch.multiprocessing import start_processes
from torch.nn.parallel import DistributedDataParallel

from elmo_components.characters import BOS_TOKEN, EOS_TOKEN, CharacterMapper
from elmo_components.checkpoints.architectures import ARCHITECTURES
from elmo_components.config import ElmoConfig
from elmo_components.modules.bilm import BiLm
from elmo_components.pretraining.corpus import read_lines
from elmo_components.pretraining.language_model import LanguageModel
from elmo_components.pretraining.shares import balanced_shares
from elmo_components.pretraining.softmax import OwnWeights, SampledSoftmax
from elmo_components.pretraining.vocabulary import WordCounts

NAMESPACES = ("elmo0", "elmo1")
RATES = {"no limit": None, "10 Gbit/s": "10gbit", "1 Gbit/s": "1gbit"}
CLONE_NEWNET = 0x40000000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--architecture", default="english")
    parser.add_argument("--words", type=int, default=180_000)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--tokens", type=int, default=4096, help="in a batch of all processes")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--softmax", nargs="*", default=["whole gradient", "rows"])
    parser.add_argument("--alone", action="store_true", help="one process, without exchange")
    arguments = parser.parse_args()
    sentences = [line.split()[:100] for line in read_lines(arguments.text)]
    settings = {**vars(arguments), "batch": _batch(sentences, arguments)}
    if arguments.alone:
        _measure(0, 1, settings, softmax="rows")
        return
    _connect()
    try:
        for softmax in arguments.softmax:
            work = partial(_work, settings=settings, softmax=softmax)
            start_processes(work, nprocs=2, start_method="fork")
    finally:
        for namespace in NAMESPACES:
            subprocess.run(["ip", "netns", "del", namespace], check=False)


def _work(rank: int, settings: dict[str, Any], softmax: str) -> None:
    with open(f"/var/run/netns/{NAMESPACES[rank]}") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns failed")
    os.environ["GLOO_SOCKET_IFNAME"] = "elmo"
    distributed.init_process_group(
        "gloo", init_method="tcp://10.77.0.1:29511", rank=rank, world_size=2
    )
    _measure(rank, 2, settings, softmax=softmax)


def _measure(rank: int, processes: int, settings: dict[str, Any], *, softmax: str) -> None:
    dense = softmax != "rows"
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config, batch = ARCHITECTURES[settings["architecture"]], settings["batch"]
    output = OwnWeights(settings["words"], config.lstm.hidden_size, sparse=not dense)
    sampled = SampledSoftmax(output, num_samples=settings["samples"])
    model = LanguageModel(BiLm(config), sampled).train()
    rows = [output.weight] if not dense else []
    others = [
        parameter for parameter in model.parameters() if parameter is not output.weight or dense
    ]
    optimizers = [torch.optim.Adam(others)]
    optimizers += [torch.optim.SparseAdam(rows)] if rows else []
    exchanged = [] if dense else sampled.exchanged
    model._ddp_params_and_buffers_to_ignore = [f"softmax.{name}" for name in exchanged]
    wrapped = model if processes == 1 else DistributedDataParallel(model)
    sentences = [batch[row] for row in balanced_shares([*map(len, batch)], processes)[rank]]
    inputs = _tensors(sentences, settings["words"], config)

    def step() -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        narrow = settings["precision"] == "bfloat16"
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
            loss = wrapped(*inputs).loss
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()

    with mock.patch.object(SampledSoftmax, "exchanged", exchanged):
        # in the first steps DistributedDataParallel arranges its messages
        step()
        step()
        for name, rate in RATES.items() if processes > 1 else [("none", None)]:
            if processes > 1:
                if rank == 0:
                    _limit(rate)
                distributed.barrier()
            found = _median_of_steps(step, settings["steps"], processes)
            if processes > 1:
                found["exchange_seconds"] = round(_exchange_seconds(found["megabytes"]), 3)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            found.update(
                tokens=sum(map(len, batch)),
                parameters_megabytes=4e-6 * sum(map(torch.numel, model.parameters())),
                peak_memory_gigabytes=round(peak, 2),
            )
            if rank == 0:
                print(json.dumps({"softmax": softmax, "link": name, **found}), flush=True)


def _median_of_steps(step: Callable[[], None], number: int, processes: int) -> dict[str, Any]:
    rows = []
    for _ in range(number):
        sent, start, cpu_start = _bytes_sent(), time.perf_counter(), time.process_time()
        step()
        if processes > 1:
            distributed.barrier()
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        rows.append((round((_bytes_sent() - sent) / 1e6, 1), seconds, cpu_seconds))
    names = ("megabytes", "seconds", "processor_seconds")
    return {name: round(median(column), 2) for name, column in zip(names, zip(*rows))}


def _exchange_seconds(megabytes: float) -> float:
    """Returns the median time of an exchange of so much, without any computation."""
    # the first process's number, as the others' differ by some bytes
    shared = torch.tensor(1e6 * megabytes)
    distributed.broadcast(shared, 0)
    # torch's messages have 25 MB; two processes each send what they sum
    sizes = [25_000_000] * int(shared / 25e6) + [max(4, int(shared % 25e6))]
    messages = [torch.zeros(size // 4) for size in sizes]
    seconds = []
    for _ in range(3):
        distributed.barrier()
        start = time.perf_counter()
        for message in messages:
            distributed.all_reduce(message)
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _batch(sentences: Sequence[list[str]], arguments: argparse.Namespace) -> list[list[int]]:
    """Returns sentences of about equal length as the numbers of their words, and their letters."""
    words = WordCounts(sentences).vocabulary(size=arguments.words)
    numbers = {word: number for number, word in enumerate(words)}
    drawn = sorted(sentences[:4096], key=len)[len(sentences[:4096]) // 2 :]
    found: list[list[Any]] = []
    total = 0
    for sentence in drawn:
        total += len(sentence) + 1
        if total > arguments.tokens:
            break
        found.append([(word, numbers.get(word, 2)) for word in sentence])
    return found


def _tensors(
    sentences: Sequence[Sequence[Any]], num_words: int, config: ElmoConfig
) -> tuple[torch.Tensor, ...]:
    forward, backward = [], []
    lengths = torch.tensor([len(sentence) + 1 for sentence in sentences])
    # (2, batch, time)
    targets = torch.zeros(2, len(sentences), int(lengths.max()), dtype=torch.int64)
    for row, sentence in enumerate(sentences):
        words, numbers = [word for word, _ in sentence], [number for _, number in sentence]
        forward.append([BOS_TOKEN, *words])
        backward.append([EOS_TOKEN, *words[::-1]])
        targets[0, row, : len(numbers) + 1] = torch.tensor([*numbers, 0])
        targets[1, row, : len(numbers) + 1] = torch.tensor([*numbers[::-1], 1])
    mapper = CharacterMapper.of(config.char_cnn)
    # (2, batch, time, characters)
    ids = torch.stack([mapper.batch_ids(forward), mapper.batch_ids(backward)])
    return ids, targets, lengths


def _connect() -> None:
    for namespace in NAMESPACES:
        subprocess.run(["ip", "netns", "add", namespace], check=True)
    pair = "ip link add elmo netns elmo0 type veth peer name elmo netns elmo1"
    subprocess.run(pair.split(" "), check=True)
    for number, namespace in enumerate(NAMESPACES, 1):
        for command in (
            f"addr add 10.77.0.{number}/24 dev elmo",
            "link set elmo up",
            "link set lo up",
        ):
            subprocess.run(["ip", "-n", namespace, *command.split()], check=True)


def _limit(rate: Optional[str]) -> None:
    for namespace in NAMESPACES:
        place = ["tc", "-n", namespace, "qdisc"]
        subprocess.run([*place, "del", "dev", "elmo", "root"], check=False, capture_output=True)
        if rate is not None:
            limit = f"tbf rate {rate} burst 1mb latency 50ms".split()
            subprocess.run([*place, "add", "dev", "elmo", "root", *limit], check=True)


def _bytes_sent() -> int:
    # the namespace's own interfaces; the ninth number is bytes sent
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "elmo":
            return int(numbers.split()[8])
    return 0


if __name__ == "__main__":
    main()
