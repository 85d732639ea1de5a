"""
The one interface to the recurrence, the only part of the model that has faster twins, and the
choice between them.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import torch

from elmo_components.kernels import cpu, reference
from elmo_components.kernels.call import (
    PRECISIONS,
    BackendUnavailable,
    DirectionWeights,
    LayerState,
    LstmCall,
)
from elmo_components.kernels.packed import PackedWeights

__all__ = [
    "PRECISIONS",
    "BackendUnavailable",
    "DirectionWeights",
    "LayerState",
    "LstmCall",
    "PackedWeights",
    "projected_lstm",
    "use_backend",
]

logger = logging.getLogger(__name__)

AUTO = "auto"
# Fastest first; the reference takes every call.
BACKENDS = {"cpu": cpu, "reference": reference}

START = os.environ.get("ELMO_BACKEND", AUTO)

_chosen: ContextVar[str] = ContextVar("elmo_backend", default=START)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """
    Within it, the recurrence is computed by the backend of this name: "cpu", "reference", or
    "auto" for the fastest that can take a call. Outside it the environment variable
    `ELMO_BACKEND` says which, and without one it is "auto".

    # Raises

    `ValueError` for another name. A backend that is named and cannot take a call raises
    `BackendUnavailable`, with the reason, when it is called.
    """
    _check(name)
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def projected_lstm(call: LstmCall) -> tuple[torch.Tensor, LayerState]:
    """
    Runs one layer of LSTMs with projection: `kernels.reference.projected_lstm` defines it, and the
    chosen backend computes it.

    # Raises

    `BackendUnavailable` when a backend was named that cannot take the call.
    """
    name = _chosen.get()
    _check(name)
    if name != AUTO:
        reason = BACKENDS[name].unsupported(call)
        if reason is not None:
            raise BackendUnavailable(
                f"The backend {name!r} cannot take this call: {reason}. Choose another, or "
                f"{AUTO!r}, with use_backend() or the environment variable ELMO_BACKEND"
            )
        return BACKENDS[name].projected_lstm(call)
    for name, backend in BACKENDS.items():
        reason = backend.unsupported(call)
        if reason is None:
            return backend.projected_lstm(call)
        _log_once(name, reason)
    raise AssertionError("the reference takes every call")


@lru_cache(maxsize=256)
def _log_once(name: str, reason: str) -> None:
    logger.info("The backend %r is passed over: %s", name, reason)


def _check(name: str) -> None:
    if name != AUTO and name not in BACKENDS:
        raise ValueError(
            f"The backend must be one of {', '.join([AUTO, *BACKENDS])}; found {name!r}"
        )
