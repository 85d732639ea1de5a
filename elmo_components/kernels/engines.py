"""torch's ways to multiply rows with a weight that was laid out for it beforehand."""

import warnings
from collections.abc import Callable, Sequence
from typing import Optional

import torch

__all__ = ["ENGINES", "Engine", "missing"]

# (out, inputs, addend): out = inputs times the weight's transpose + addend, for each direction;
# shapes as in `Product.into`.
Engine = Callable[[torch.Tensor, torch.Tensor, Optional[torch.Tensor]], None]


def blas(weights: Sequence[torch.Tensor]) -> Engine:
    """All directions in one call of the batched product, float32 or float64."""
    return _batched(_transposed(weights))


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

    def product(out: torch.Tensor, inputs: torch.Tensor, addend: Optional[torch.Tensor]) -> None:
        for direction, weight in enumerate(blocked):
            # (rows, output_size)
            result = torch.ops.mkldnn._linear_pointwise(
                inputs[direction], weight, None, "none", [], ""
            )
            _add(out, result, addend, direction)

    return product


def bfloat16(weights: Sequence[torch.Tensor]) -> Engine:
    """Inputs, weights and products in bfloat16, sums in float32."""
    # (directions, input_size, output_size)
    transposed = _transposed(weights).bfloat16()

    def product(out: torch.Tensor, inputs: torch.Tensor, addend: Optional[torch.Tensor]) -> None:
        # (directions, rows, output_size)
        result = torch.bmm(inputs.bfloat16(), transposed)
        if addend is None:
            out.copy_(result)
        else:
            torch.add(addend, result, out=out)

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

    def product(out: torch.Tensor, inputs: torch.Tensor, addend: Optional[torch.Tensor]) -> None:
        for direction, weight in enumerate(packed):
            # (rows, output_size)
            result = torch.ops.quantized.linear_dynamic(inputs[direction], weight, reduce_range)
            _add(out, result, addend, direction)

    return product


def int8_onednn(weights: Sequence[torch.Tensor]) -> Engine:
    """int8 weights with a scale for each output, int8 inputs with a scale for each row."""
    packed = []
    for weight in weights:
        # (output_size, input_size), (output_size,)
        integers, scales = _quantized(weight)
        blocked = torch.ops.onednn.qlinear_prepack(integers, None)
        packed.append((blocked, scales, torch.zeros(len(scales), dtype=torch.int64)))

    def product(out: torch.Tensor, inputs: torch.Tensor, addend: Optional[torch.Tensor]) -> None:
        # (directions, rows, 1)
        row_scales = inputs.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-12).div_(127.0)
        # (directions, rows, input_size)
        integers = (inputs / row_scales).round_().to(torch.int8)
        for direction, (weight, scales, zeros) in enumerate(packed):
            # (rows, output_size)
            result = torch.ops.onednn.qlinear_pointwise(
                *(integers[direction], 1.0, 0, weight, scales, zeros, None),
                *(1.0, 0, torch.float32, "none", [], ""),
            )
            if addend is None:
                torch.mul(result, row_scales[direction], out=out[direction])
            else:
                torch.addcmul(addend[direction], result, row_scales[direction], out=out[direction])

    return product


ENGINES: dict[str, Callable[[Sequence[torch.Tensor]], Engine]] = {
    "blas": blas,
    "blas_unpacked": blas_unpacked,
    "onednn": onednn,
    "bfloat16": bfloat16,
    "fbgemm": fbgemm,
    "int8_onednn": int8_onednn,
}


def missing(name: str) -> Optional[str]:
    """Returns what the installed torch lacks for an engine, `None` when it has everything."""
    if name == "onednn" and not _has(torch.ops.mkldnn, "_linear_pointwise"):
        return "torch.ops.mkldnn._linear_pointwise (torch 2.0 and later, x86)"
    if name == "fbgemm" and "fbgemm" not in torch.backends.quantized.supported_engines:
        return "the quantized engine fbgemm"
    if name == "int8_onednn" and not _has(torch.ops.onednn, "qlinear_pointwise"):
        return "torch.ops.onednn.qlinear_pointwise (torch 2.1 and later, x86)"
    return None


def _has(namespace: object, operator: str) -> bool:
    # by release, looking up an operator that is not there raises AttributeError or RuntimeError
    try:
        return torch.backends.mkldnn.is_available() and hasattr(namespace, operator)
    except RuntimeError:
        return False


def _has_vnni() -> bool:
    supported = getattr(getattr(torch, "cpu", None), "_is_vnni_supported", None)
    return supported is not None and bool(supported())


def _batched(transposed: torch.Tensor) -> Engine:
    def product(out: torch.Tensor, inputs: torch.Tensor, addend: Optional[torch.Tensor]) -> None:
        if addend is None:
            torch.bmm(inputs, transposed, out=out)
        else:
            torch.baddbmm(addend, inputs, transposed, out=out)

    return product


def _transposed(weights: Sequence[torch.Tensor]) -> torch.Tensor:
    # (directions, input_size, output_size)
    return torch.stack([weight.t() for weight in weights]).contiguous()


def _quantized(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    # (output_size,)
    scales = weight.abs().amax(dim=1).clamp(min=1e-12) / 127.0
    # (output_size, input_size)
    return (weight / scales.unsqueeze(1)).round().to(torch.int8), scales


def _add(
    out: torch.Tensor, result: torch.Tensor, addend: Optional[torch.Tensor], direction: int
) -> None:
    if addend is None:
        out[direction].copy_(result)
    else:
        torch.add(addend[direction], result, out=out[direction])
