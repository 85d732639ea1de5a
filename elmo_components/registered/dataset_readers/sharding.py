"""How data-loader workers and the processes of distributed training share the data."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import torch.distributed
from allennlp.common.util import is_distributed
from allennlp.data import DatasetReader

__all__ = ["shard"]

Item = TypeVar("Item")


def shard(reader: DatasetReader, items: Iterable[Item]) -> Iterator[Item]:
    """
    Yields the items that this process must read: every one of them, or every n-th where there are
    n processes.

    `DatasetReader.shard_iterable` asks torch for the rank, which a spawned data-loader worker does
    not know. The reader itself knows it: it was made in the process that started the worker.
    """
    start, step = 0, 1
    distributed, worker = reader.get_distributed_info(), reader.get_worker_info()
    if distributed is not None:
        start, step = distributed.global_rank, distributed.world_size
    elif is_distributed():
        # the reader was made before the process group
        start, step = torch.distributed.get_rank(), torch.distributed.get_world_size()
    if worker is not None:
        start += step * worker.id
        step *= worker.num_workers
    return islice(items, start, None, step)
