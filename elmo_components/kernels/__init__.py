"""The recurrence: one interface to all backends, and the choice between them."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Optional

import torch

from elmo_components.kernels import cpu, native, reference
from elmo_components.kernels.call import (
    PRECISIONS,
    BackendUnavailable,
    DirectionWeights,
    LayerState,
    LstmCall,
    StackCall,
)
from elmo_components.kernels.native.encoder import EncoderWeights, Linear, PackedEncoder
from elmo_components.kernels.packed import PackedWeights

__all__ = [
    "PRECISIONS",
    "BackendUnavailable",
    "DirectionWeights",
    "EncoderWeights",
    "LayerState",
    "Linear",
    "LstmCall",
    "PackedEncoder",
    "PackedWeights",
    "StackCall",
    "bidirectional_layers",
    "describe_backend",
    "has_encoder",
    "projected_lstm",
    "use_backend",
]

logger = logging.getLogger(__name__)

AUTO = "auto"
# Fastest first; the reference computes every call.
BACKENDS = {"native": native, "cpu": cpu, "reference": reference}

START = os.environ.get("ELMO_BACKEND", AUTO)

_chosen: ContextVar[str] = ContextVar("elmo_backend", default=START)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """
    Chooses the backend of the recurrence for a block of code.

    # Parameters

    name : `str`
        "native", "cpu", "reference", or "auto" for the fastest that can compute a call. The default
        is the environment variable `ELMO_BACKEND`, or "auto" without one.

    # Raises

    `ValueError` for another name. A named backend that cannot compute a call raises
    `BackendUnavailable` at that call.
    """
    _check(name)
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def projected_lstm(call: LstmCall) -> tuple[torch.Tensor, LayerState]:
    """
    Runs one layer of LSTMs with projection by the chosen backend, as
    `kernels.reference.projected_lstm` defines it.

    # Raises

    `BackendUnavailable` if a backend was named and cannot compute the call.
    """
    name = _chosen.get()
    _check(name)
    if name != AUTO:
        reason = BACKENDS[name].unsupported(call)
        if reason is not None:
            raise BackendUnavailable(
                f"The backend {name!r} cannot compute this call: {reason}. Choose another, or "
                f"{AUTO!r}, with use_backend() or the environment variable ELMO_BACKEND"
            )
        return BACKENDS[name].projected_lstm(call)
    for name, backend in BACKENDS.items():
        reason = backend.unsupported(call)
        if reason is None:
            return backend.projected_lstm(call)
        _log_once(name, reason)
    raise AssertionError("the reference computes every call")


def bidirectional_layers(call: StackCall) -> Optional[LayerState]:
    """
    Writes the outputs of all layers into `call.outputs` and returns the state after each sentence's
    last step; or `None` where the chosen backend computes one layer at a time.
    """
    name = _chosen.get()
    _check(name)
    if name not in (AUTO, "native") or native.stack_unsupported(call) is not None:
        return None
    return native.bidirectional_layers(call)


def has_encoder() -> bool:
    """Returns whether the chosen backend computes character encoders by a `PackedEncoder`."""
    name = _chosen.get()
    _check(name)
    return name in (AUTO, "native") and native.unavailable() is None


def describe_backend() -> str:
    """
    Returns which backend computes models without gradients on the CPU, and why, in one line.

    >>> with use_backend("reference"):
    ...     describe_backend()
    'reference: chosen by name'
    """
    name = _chosen.get()
    _check(name)
    missing = native.unavailable()
    if name == "native" and missing is not None:
        return f"native: chosen by name, but {missing}"
    if name == "native":
        return f"native: chosen by name; {native.describe()}"
    if name != AUTO:
        return f"{name}: chosen by name"
    if missing is not None:
        return f"cpu: native is faster, but {missing}"
    return f"native: {native.describe()}"


@lru_cache(maxsize=256)
def _log_once(name: str, reason: str) -> None:
    logger.info("The backend %r cannot compute a call: %s", name, reason)


def _check(name: str) -> None:
    if name != AUTO and name not in BACKENDS:
        raise ValueError(
            f"The backend must be one of {', '.join([AUTO, *BACKENDS])}; found {name!r}"
        )
