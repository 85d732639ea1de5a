"""How data-loader workers and the processes of distributed training share the data."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import torch.distributed
from allennlp.common.util import is_distributed
from allennlp.data import DatasetReader

__all__ = ["processes", "shard"]

Item = TypeVar("Item")


def shard(reader: DatasetReader, items: Iterable[Item]) -> Iterator[Item]:
    """
    Yields the items that this process must read: every one of them, or every n-th where there are
    n processes.
    """
    start, step = processes(reader)
    worker = reader.get_worker_info()
    if worker is not None:
        start += step * worker.id
        step *= worker.num_workers
    return islice(items, start, None, step)


def processes(reader: DatasetReader) -> tuple[int, int]:
    """
    Returns this process's rank and the number of processes that share a reader's data.

    `DatasetReader.shard_iterable` asks torch for the rank, which a spawned data-loader worker does
    not know. The reader itself knows it: it was made in the process that started the worker.
    """
    distributed = reader.get_distributed_info()
    if distributed is not None:
        return distributed.global_rank, distributed.world_size
    if is_distributed():
        # the reader was made before the process group
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
