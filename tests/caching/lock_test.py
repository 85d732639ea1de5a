"""Tests of lock.py."""

import os
import signal
import threading

import pytest

from elmo_components.caching.lock import ForkSafeLock


def test_only_one_thread_at_a_time_is_inside() -> None:
    lock, inside, most = ForkSafeLock(), [], []

    def enter() -> None:
        for _ in range(1000):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_child_can_enter_what_another_thread_holds() -> None:
    lock = ForkSafeLock()
    with lock:
        child = os.fork()
        if child == 0:
            # ends the child where it waits for ever
            signal.alarm(20)
            with lock:
                os._exit(0)
        _, status = os.waitpid(child, 0)
    assert status == 0
