"""torch's ways to multiply rows with a weight that was laid out for it beforehand."""

import logging
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Optional

import torch

__all__ = [
    "ENGINES",
    "LIGHT_STEP",
    "Engine",
    "Parts",
    "join",
    "light_count",
    "light_rows",
    "missing",
]

logger = logging.getLogger(__name__)

# By how much the number of rows is rounded up at most for a product in bfloat16.
LIGHT_STEP = 128

# Products of all directions: one tensor (directions, rows, output_size), or one (1, rows,
# output_size) for each direction.
Parts = list[torch.Tensor]

# (inputs, addend) to the products of inputs, (directions, rows, input_size), with the transposed
# weights, plus `addend`: None, or parts that are then free to be overwritten and returned, or one
# bias (directions, 1, output_size), which is not.
Engine = Callable[[torch.Tensor, Optional[Parts]], Parts]


def blas(weights: Sequence[torch.Tensor]) -> Engine:
    """All directions in one call of the batched product, float32 or float64."""
    # (directions, input_size, output_size)
    return _batched(torch.stack([weight.t() for weight in weights]).contiguous())


def blas_unpacked(weights: Sequence[torch.Tensor]) -> Engine:
    """As `blas`, for weights that soon change again: only small ones are transposed."""
    # (directions, input_size, output_size)
    transposed = torch.stack(list(weights)).transpose(1, 2)
    if transposed.size(1) > transposed.size(2):
        transposed = transposed.contiguous()
    return _batched(transposed)


def onednn(weights: Sequence[torch.Tensor]) -> Engine:
    """oneDNN's float32 product with a weight in blocks: on AMD three times as fast as MKL's."""
    blocked = [torch.ops.mkldnn._reorder_linear_weight(weight.clone(), None) for weight in weights]
    linear = torch.ops.mkldnn._linear_pointwise

    def product(inputs: torch.Tensor, addend: Optional[Parts]) -> Parts:
        parts = []
        for direction, weight in enumerate(blocked):
            rows = inputs[direction]
            if addend is None or addend[0].size(1) == 1:
                bias = None if addend is None else _direction(addend, direction)[0]
                part = linear(rows, weight, bias, "none", [], "")
            else:
                part = linear.binary(rows, _direction(addend, direction), weight, None, "add")
            parts.append(part.unsqueeze(0))
        return parts

    return product


def bfloat16(weights: Sequence[torch.Tensor]) -> Engine:
    """Inputs, weights and products in bfloat16, sums in float32."""
    # (directions, input_size, output_size)
    transposed = torch.stack([weight.t() for weight in weights]).bfloat16().contiguous()

    def product(inputs: torch.Tensor, addend: Optional[Parts]) -> Parts:
        # (directions, rows, output_size)
        result = torch.bmm(inputs.bfloat16(), transposed).float()
        return [result if addend is None else result.add_(join(addend))]

    return product


def bfloat16_unpacked(weights: Sequence[torch.Tensor]) -> Engine:
    """As `bfloat16`, for weights that soon change again, and with less to allocate."""
    # (directions, input_size, output_size)
    transposed = torch.stack([weight.bfloat16() for weight in weights]).transpose(1, 2)

    def product(inputs: torch.Tensor, addend: Optional[Parts]) -> Parts:
        # (directions, rows, output_size)
        result = torch.bmm(light_rows(inputs), transposed)[:, : inputs.size(1)]
        if addend is None or addend[0].size(1) == 1:
            return [result.float() if addend is None else join(addend) + result]
        return [join(addend).add_(result)]

    return product


def fbgemm(weights: Sequence[torch.Tensor]) -> Engine:
    """int8 weights with a scale for each output, int8 inputs with one scale for each call."""
    packed = []
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    try:
        with warnings.catch_warnings():
            # the type, not the product, is deprecated
            warnings.filterwarnings("ignore", message=".*quantize_per_channel.*")
            for weight in weights:
                _, scales = _quantized(weight)
                quantized = torch.quantize_per_channel(
                    weight, scales.double(), torch.zeros(len(scales)).long(), 0, torch.qint8
                )
                packed.append(torch.ops.quantized.linear_prepack(quantized, None))
    finally:
        torch.backends.quantized.engine = before
    # without these instructions pairs of products are summed in 16 bits, which 7 bits cannot exceed
    reduce_range = not _has_vnni()

    def product(inputs: torch.Tensor, addend: Optional[Parts]) -> Parts:
        parts = []
        for direction, weight in enumerate(packed):
            # (rows, output_size)
            part = torch.ops.quantized.linear_dynamic(inputs[direction], weight, reduce_range)
            if addend is not None:
                part.add_(_direction(addend, direction))
            parts.append(part.unsqueeze(0))
        return parts

    return product


def int8_onednn(weights: Sequence[torch.Tensor]) -> Engine:
    """int8 weights with a scale for each output, int8 inputs with one scale for each direction."""
    packed = []
    for weight in weights:
        # (output_size, input_size), (output_size,)
        integers, scales = _quantized(weight)
        blocked = torch.ops.onednn.qlinear_prepack(integers, None)
        packed.append((blocked, scales, torch.zeros(len(scales), dtype=torch.int64)))
    linear = torch.ops.onednn.qlinear_pointwise
    plain: tuple[str, list, str] = ("none", [], "")

    def product(inputs: torch.Tensor, addend: Optional[Parts]) -> Parts:
        # (directions, 1, 1)
        scales = inputs.abs().amax(dim=(1, 2), keepdim=True).clamp_(min=1e-12).div_(127.0)
        # (directions, rows, input_size)
        integers = (inputs / scales).round_().to(torch.int8)
        parts = []
        for direction, (weight, *weight_scale) in enumerate(packed):
            quantized = integers[direction], float(scales[direction]), 0, weight, *weight_scale
            if addend is None or addend[0].size(1) == 1:
                bias = None if addend is None else _direction(addend, direction)[0]
                part = linear(*quantized, bias, 1.0, 0, torch.float32, *plain)
            else:
                # "sum" adds in place
                other = _direction(addend, direction), None, 1.0, 0, torch.float32
                part = linear.binary(*quantized, *other, 1.0, 0, "sum", 1.0, *plain)
            parts.append(part.unsqueeze(0))
        return parts

    return product


ENGINES: dict[str, Callable[[Sequence[torch.Tensor]], Engine]] = {
    "blas": blas,
    "blas_unpacked": blas_unpacked,
    "onednn": onednn,
    "bfloat16": bfloat16,
    "bfloat16_unpacked": bfloat16_unpacked,
    "fbgemm": fbgemm,
    "int8_onednn": int8_onednn,
}


@lru_cache
def missing(name: str) -> Optional[str]:
    """Returns, and logs once, why torch cannot run an engine here; `None` when it can."""
    inputs, weight = torch.zeros(1, 2, 4), torch.zeros(8, 4)
    try:
        # the operators and their arguments differ from release to release
        ENGINES[name]([weight])(inputs, [torch.zeros(1, 2, 8)])
    except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        logger.info("torch %s cannot run the engine %r: %s", torch.__version__, name, reason)
        return reason
    return None


def light_rows(rows: torch.Tensor) -> torch.Tensor:
    """
    Returns (directions, rows, size) in bfloat16, with zeros for more rows up to `light_count`.
    """
    directions, number, size = rows.shape
    # (directions, light_count(number), size)
    light = rows.new_empty(directions, light_count(number), size, dtype=torch.bfloat16)
    light[:, :number] = rows
    light[:, number:] = 0.0
    return light


def join(parts: Parts) -> torch.Tensor:
    """Returns parts as one tensor, (directions, rows, output_size)."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def light_count(number: int) -> int:
    """
    Returns the number of rows, `number` or more, for a product in bfloat16. oneDNN compiles for
    every new shape, which takes longer than most of the products: few shapes are better.
    """
    step = LIGHT_STEP // 4 if number <= 512 else LIGHT_STEP
    return -(-number // step) * step


def _direction(parts: Parts, direction: int) -> torch.Tensor:
    # (rows, output_size)
    return parts[0][direction] if len(parts) == 1 else parts[direction][0]


def _has_vnni() -> bool:
    supported = getattr(getattr(torch, "cpu", None), "_is_vnni_supported", None)
    return supported is not None and bool(supported())


def _batched(transposed: torch.Tensor) -> Engine:
    def product(inputs: torch.Tensor, addend: Optional[Parts]) -> Parts:
        # (directions, rows, output_size)
        if addend is None:
            return [torch.bmm(inputs, transposed)]
        return [torch.baddbmm(join(addend), inputs, transposed)]

    return product


def _quantized(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    # (output_size,)
    scales = weight.abs().amax(dim=1).clamp(min=1e-12) / 127.0
    # (output_size, input_size)
    return (weight / scales.unsqueeze(1)).round().to(torch.int8), scales
