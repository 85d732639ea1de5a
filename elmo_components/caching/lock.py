"""A lock for caches, which a forked process may inherit."""

import os
import threading
from typing import Any

__all__ = ["ForkSafeLock"]


class ForkSafeLock:
    """
    A lock that is free in a forked child, even if another thread of the parent has acquired it.

    The data that it guards must be consistent between any two Python instructions.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self._lock, self._process = threading.Lock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *error: Any) -> None:
        self._lock.release()
