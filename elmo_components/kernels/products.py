"""
Products of some rows with large weights, by whichever of torch's engines is fastest here.

Which one that is differs with processor, release, shape and number of rows, by factors of up to
thirteen: it is measured, once a process for each shape.
"""

import logging
import math
import time
from collections.abc import Sequence
from typing import Optional

import torch

from elmo_components.kernels.engines import ENGINES, Engine, Parts, missing

__all__ = [
    "TRAINING",
    "TRAINING_BFLOAT16",
    "Product",
    "adopt_choices",
    "choices",
    "fastest_seconds",
]

logger = logging.getLogger(__name__)

# The engines that are precise enough; the first is taken unless another is clearly faster.
# In training it is always the same one: a run with the same seed must give the same numbers.
TRAINING = "training"
TRAINING_BFLOAT16 = "training bfloat16"
CANDIDATES = {
    TRAINING: ("blas_unpacked",),
    TRAINING_BFLOAT16: ("bfloat16_unpacked",),
    "float32": ("blas", "onednn"),
    "bfloat16": ("bfloat16", "blas", "onednn"),
    "int8": ("fbgemm", "int8_onednn", "bfloat16", "blas"),
}
CLEARLY = 1.1
# Of a smaller weight the product is too short for the choice to matter.
LEAST_MEASURED = 1 << 16

_fastest: dict[tuple, str] = {}


def choices() -> list[tuple[list, str]]:
    """Returns what was measured in this process, as JSON can hold it, for `adopt_choices`."""
    return [(list(key), name) for key, name in _fastest.items()]


def adopt_choices(chosen: Sequence[Sequence]) -> None:
    """
    Takes the engines that another process had chosen, so that the last bits of a calculation in
    several processes do not depend on where one ended. What other candidates, weights or threads
    need is measured here as ever.
    """
    _fastest.update({tuple(key): name for key, name in chosen})


class Product:
    """
    The product of inputs with the transpose of a weight, for one weight a direction.

    # Parameters

    weights : `Sequence[torch.Tensor]`
        One a direction, (output_size, input_size), float32 or float64. An engine's own layout of
        them is made when it is first used: a change of theirs does not show.
    precision : `str`
        The least that will do, one of `call.PRECISIONS`; or `TRAINING`.
    """

    def __init__(self, weights: Sequence[torch.Tensor], precision: str) -> None:
        self._weights = [weight.detach() for weight in weights]
        names = CANDIDATES[precision]
        if weights[0].dtype != torch.float32:
            # the others have no float64
            names = CANDIDATES[TRAINING]
        self._names = [name for name in names if missing(name) is None]
        self._engines: dict[str, Engine] = {}
        self._by_rows: dict[int, Engine] = {}

    def __call__(self, inputs: torch.Tensor, addend: Optional[Parts] = None) -> Parts:
        """
        Returns the product plus `addend`: one tensor (directions, rows, output_size), or one
        (1, rows, output_size) for each direction.

        # Parameters

        inputs : `torch.Tensor`
            (directions, rows, input_size)
        addend : `Optional[Parts]`
            The same form, which may be overwritten and returned; or one bias, which is not,
            (directions, 1, output_size), for more rows than one.
        """
        rows = inputs.size(1)
        if rows not in self._by_rows:
            name = self._choose(inputs)
            if name not in self._engines:
                self._engines[name] = ENGINES[name](self._weights)
            self._by_rows[rows] = self._engines[name]
        return self._by_rows[rows](inputs, addend)

    def _choose(self, inputs: torch.Tensor) -> str:
        weight = self._weights[0]
        if len(self._names) == 1 or weight.numel() < LEAST_MEASURED:
            return self._names[0]
        # 1, 2, 3 to 4, 5 to 8, ...: speeds change slowly with the rows
        rows = min(1 << (inputs.size(1) - 1).bit_length(), 256)
        shape = (len(self._weights), *weight.shape, rows, torch.get_num_threads())
        key = (*self._names, *shape)
        if key not in _fastest:
            seconds = self._measure(inputs)
            best = min(seconds, key=seconds.__getitem__)
            first = self._names[0]
            _fastest[key] = first if seconds[first] < CLEARLY * seconds[best] else best
            logger.debug("%s is the fastest for %s of %s", _fastest[key], shape, seconds)
        return _fastest[key]

    def _measure(self, inputs: torch.Tensor) -> dict[str, float]:
        # (directions, rows, output_size)
        addend = inputs.new_zeros(*inputs.shape[:2], self._weights[0].size(0))
        seconds: dict[str, float] = {}
        for name in self._names:
            engine = self._engines.get(name) or ENGINES[name](self._weights)
            limit = 3.0 * min(seconds.values(), default=math.inf)
            seconds[name] = fastest_seconds(engine, inputs, addend, limit=limit)
        return seconds


def fastest_seconds(
    engine: Engine, inputs: torch.Tensor, addend: torch.Tensor, *, limit: float = math.inf
) -> float:
    """
    Returns the seconds of the fastest of five calls, or any above `limit` as soon as it is clear
    that there are so many.

    Few rows come first: a type for which a processor has no instructions may take thousands of
    times as long as the others, as int8 in oneDNN does on AMD.
    """

    def seconds(rows: int) -> float:
        start = time.perf_counter()
        engine(inputs[:, :rows], [addend[:, :rows]])
        return time.perf_counter() - start

    rows = 1
    while rows < inputs.size(1) and limit < math.inf:
        # the first call of a shape may compile for it
        if min(seconds(rows), seconds(rows)) > limit:
            return math.inf
        rows *= 16
    times = [seconds(inputs.size(1)) for _ in range(2)]
    while len(times) < 5 and min(times) < limit:
        times.append(seconds(inputs.size(1)))
    return min(times)
