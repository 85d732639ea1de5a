"""Keeps PyTorch from hanging in the processes that `nlp.pipe(n_process=2)` forks."""

import os

import torch

__all__ = ["use_one_thread_in_a_fork"]

# the process that imported this module
_imported_in = os.getpid()


def use_one_thread_in_a_fork() -> None:
    """
    Limits PyTorch to one thread in a process that was forked from the one that imported it.

    OpenMP's threads do not exist there, and waiting for them would never end.
    """
    if os.getpid() != _imported_in:
        torch.set_num_threads(1)
