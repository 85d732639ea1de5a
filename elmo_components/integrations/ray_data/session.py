"""Connects to a Ray cluster, or starts Ray on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

__all__ = ["import_ray", "session"]

# What a session on this machine takes for shared objects, on top of the weights: Ray's default is
# 30 % of the memory, and little more than the weights is in there.
STORE_BYTES = 200 << 20


def import_ray() -> Any:
    """
    Returns the module `ray`, with `ray.data`.

    # Raises

    `ValueError` if it is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError(f"This needs Ray: pip install 'elmo_components[ray]' ({error})") from error
    return ray


@contextmanager
def session(
    address: Optional[str], *, payload_bytes: int, cpus: Optional[int] = None
) -> Iterator[Any]:
    """
    Yields the module `ray`, connected.

    A session that runs already is used, and left running.

    # Parameters

    address : `Optional[str]`
        Of a cluster, as `ray.init` takes it; `None` for the environment's `RAY_ADDRESS`, or without
        it a session of this process on this machine.
    payload_bytes : `int`
        The size of what workers share.
    cpus : `Optional[int]`
        The number of CPUs of a session on this machine; `None` for all.

    # Raises

    `ConnectionError` if there is no cluster at the address, or Ray does not start in time.
    """
    # Ray reports statistics of use otherwise
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, log_to_driver=True)
    else:
        # Ray's name for it. Its workers would have the lowest priority, unlike this process.
        os.environ.setdefault("RAY_worker_niceness", "0")
        try:
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=STORE_BYTES + 2 * payload_bytes,
            )
        # Ray raises this class itself, after 30 seconds on a machine with too much other work
        except Exception as error:
            raise ConnectionError(
                f"Ray did not start on this machine: {error}. The same command tries again"
            ) from error
    # one line a partition is enough
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        ray.shutdown()
