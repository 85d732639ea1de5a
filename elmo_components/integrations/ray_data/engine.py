"""Runs partitions on Ray Data, which schedules them, restarts workers and repeats what they did."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Callable, Optional

import torch

from elmo_components.corpora.corpus_job import Engine
from elmo_components.corpora.partition_job import PartitionJob, Result
from elmo_components.corpora.partitions import Partition
from elmo_components.corpora.work import Work
from elmo_components.integrations.ray_data.session import session

__all__ = ["PartitionWorker", "fitting", "ray_engine"]


class PartitionWorker:
    """
    An actor's class for `map_batches`: partitions in, what became of them out.

    # Parameters

    job : `PartitionJob`
        What is the same for all partitions.
    payload : `ray.ObjectRef`
        The weights or the archive in the object store, which all workers of a machine share.
    load : `Callable[[Any], Work]`
        Makes the work of the payload.
    threads : `int`
        How many threads compute.
    """

    def __init__(
        self, *, job: PartitionJob, payload: Any, load: Callable[[Any], Work], threads: int
    ) -> None:
        import ray

        torch.set_num_threads(threads)
        self._job = job
        self._work = load(ray.get(payload))

    def __call__(self, table: Any) -> Any:
        """Takes and returns a `pyarrow.Table` of one row."""
        import pyarrow

        partition = pickle.loads(table.column("partition")[0].as_py())
        result = self._job.run(partition, self._work)
        return pyarrow.table({"result": pyarrow.array([pickle.dumps(result)], pyarrow.binary())})


def ray_engine(
    payload: Any,
    load: Callable[[Any], Work],
    *,
    payload_bytes: int,
    address: Optional[str] = None,
    workers: Optional[int] = None,
    threads: int = 1,
    gpus: int = 0,
) -> Engine:
    """
    Returns an engine that runs partitions on Ray Data, in a pool of actors.

    # Parameters

    payload, load
        See `PartitionWorker`.
    payload_bytes : `int`
        The payload's size.
    address : `Optional[str]`
        See `session`.
    workers : `Optional[int]`
        The number of actors; `None` for as many as the cluster's CPUs, or its GPUs, suffice for.
    threads : `int`
        The number of CPUs of an actor, and of threads that compute.
    gpus : `int`
        The number of GPUs of an actor.

    # Raises

    `ValueError` for numbers below 1, and without Ray.
    """
    for name, number in (("workers", workers), ("threads", threads)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be 1 or more; found {number}")

    def run(job: PartitionJob, partitions: Sequence[Partition]) -> Iterator[Result]:
        with session(address, payload_bytes=payload_bytes) as ray:
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            fit = sum(fitting(machine, threads, gpus) for machine in machines)
            if fit < 1:
                raise ValueError(
                    f"A worker needs {threads} CPUs and {gpus} GPUs of one machine; the cluster's "
                    f"machines have {machines}"
                )
            number = min(workers or fit, len(partitions))
            rows = [{"partition": pickle.dumps(partition)} for partition in partitions]
            missing = {partition.output for partition in partitions}
            with _settings_of_data(ray):
                # a partition for each task, so that a task that is repeated repeats one partition
                dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                    PartitionWorker,
                    fn_constructor_kwargs={
                        "job": job,
                        "payload": ray.put(payload),
                        "load": load,
                        "threads": threads,
                    },
                    batch_size=1,
                    batch_format="pyarrow",
                    # no actor waits while another has partitions in its queue
                    compute=ray.data.ActorPoolStrategy(
                        size=number, max_tasks_in_flight_per_actor=1
                    ),
                    num_cpus=threads,
                    num_gpus=gpus,
                )
                for row in dataset.iter_rows():
                    result = pickle.loads(row["result"])
                    missing.discard(result.output)
                    yield result
            for output in sorted(missing):
                yield Result(output, error="its worker failed with an error that Ray printed above")

    return run


@contextmanager
def _settings_of_data(ray: Any) -> Iterator[None]:
    """Sets what this engine needs of Ray Data, and restores it for other data sets."""
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.max_errored_blocks
    # A partition whose worker raises is reported as missing, and the others are done.
    context.enable_progress_bars, context.max_errored_blocks = False, -1
    try:
        yield
    finally:
        context.enable_progress_bars, context.max_errored_blocks = before


def fitting(machine: Mapping[str, float], threads: int, gpus: int) -> int:
    """Returns how many workers a machine has room for."""
    fit = machine.get("CPU", 0) // threads
    return int(min(fit, machine.get("GPU", 0) // gpus) if gpus else fit)
