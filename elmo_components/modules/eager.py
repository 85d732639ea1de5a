"""Excludes methods from the graphs of `torch.compile`."""

import functools
from typing import Any, Callable, TypeVar, cast

import torch

__all__ = ["eager"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def eager(function: _Function) -> _Function:
    """
    Runs a function eagerly within `torch.compile`, with a graph break before and after it.

    Unlike `torch.compiler.disable` it does not import the compiler at once, which takes seconds.
    """

    @functools.wraps(function)
    def run(*arguments: Any, **settings: Any) -> Any:
        if _is_compiling():
            return torch.compiler.disable(function)(*arguments, **settings)
        return function(*arguments, **settings)

    return cast(_Function, run)


def _is_compiling() -> bool:
    # since torch 2.1
    is_compiling = getattr(getattr(torch, "compiler", None), "is_compiling", None)
    return is_compiling is not None and is_compiling()
