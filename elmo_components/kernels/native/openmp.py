"""torch's own threads, on which the library computes where it can."""

import ctypes
import os
from functools import lru_cache
from pathlib import Path

import torch

from elmo_components.kernels.native.structures import OpenMp

__all__ = ["openmp"]

FUNCTIONS = ("GOMP_parallel", "omp_get_num_threads", "omp_get_thread_num")

_forked = False


def openmp() -> OpenMp:
    """
    Returns the functions that compute with torch's threads; all null for new threads.

    torch's threads wait for work in a loop, so that new ones would have to share their cores. In a
    forked process GNU's OpenMP would wait for threads that were not copied.
    """
    return OpenMp() if _forked else _of_torch()


@lru_cache(maxsize=1)
def _of_torch() -> OpenMp:
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        # the search includes the libraries that this one needs
        loaded = ctypes.CDLL(str(library))
        addresses = [ctypes.cast(getattr(loaded, name), ctypes.c_void_p) for name in FUNCTIONS]
    except (OSError, AttributeError):
        # another OpenMP, or none
        return OpenMp()
    return OpenMp(*addresses)


def _set_forked() -> None:
    global _forked
    _forked = True


# at import: later, a process cannot tell
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_set_forked)
