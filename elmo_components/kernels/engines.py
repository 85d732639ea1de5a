"""Products of rows with packed weights: one engine for each of torch's libraries."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Optional

import torch

__all__ = [
    "ROW_STEP",
    "Engine",
    "Outputs",
    "bfloat16_training",
    "blas",
    "blas_training",
    "fbgemm",
    "has_fbgemm",
    "has_onednn",
    "join",
    "onednn",
    "padded_bfloat16",
]

# The number of rows of a bfloat16 product in training is rounded up to a multiple of at most this.
ROW_STEP = 128
# linear_dynamic takes its scale from the largest and the smallest input. Each row is scaled to
# [-1, 1] and gets these columns, so that the scale is the same for all rows. fbgemm is slow where
# the number of columns is no multiple of 4.
RANGE_COLUMNS = (1.0, -1.0, 0.0, 0.0)

# One tensor (directions, rows, output_size), or one (1, rows, output_size) for each direction.
Outputs = list[torch.Tensor]

# Multiplies inputs, (directions, rows, input_size), with the transposed weights and adds `addend`:
# None; or outputs, which it may overwrite and return; or one bias (directions, 1, output_size).
Engine = Callable[[torch.Tensor, Optional[Outputs]], Outputs]

_quantized_engine_lock = threading.Lock()


def has_onednn(dtype: torch.dtype) -> bool:
    """Returns whether torch and the processor can run `onednn`."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not torch.backends.mkldnn.enabled:
        return False
    return dtype != torch.bfloat16 or _has_bfloat16()


def has_fbgemm() -> bool:
    """Returns whether torch can run `fbgemm`."""
    return "fbgemm" in torch.backends.quantized.supported_engines


def blas(weights: Sequence[torch.Tensor]) -> Engine:
    """float32 or float64: one batched product for all directions, for inference."""
    # (directions, input_size, output_size)
    return _batched(torch.stack([weight.t() for weight in weights]).contiguous())


def blas_training(weights: Sequence[torch.Tensor]) -> Engine:
    """As `blas`, for weights that change at each step: makes only small transposes contiguous."""
    # (directions, input_size, output_size)
    transposed = torch.stack(list(weights)).transpose(1, 2)
    if transposed.size(1) > transposed.size(2):
        transposed = transposed.contiguous()
    return _batched(transposed)


def onednn(weights: Sequence[torch.Tensor]) -> Engine:
    """
    float32 or bfloat16, as the weights are, with sums in float32.

    It is private in torch. On AMD it is three times as fast as MKL in float32. In bfloat16 it is up
    to twice as fast as an unpacked product.
    """
    dtype = weights[0].dtype
    packed = [torch.ops.mkldnn._reorder_linear_weight(weight.clone(), None) for weight in weights]
    linear = torch.ops.mkldnn._linear_pointwise

    def product(inputs: torch.Tensor, addend: Optional[Outputs]) -> Outputs:
        outputs = []
        for direction, weight in enumerate(packed):
            # (rows, input_size)
            rows = inputs[direction].to(dtype)
            added = None if addend is None else _direction(addend, direction)
            # (rows, output_size)
            if added is None:
                output = linear(rows, weight, None, "none", [], "").float()
            elif dtype != torch.float32:
                output = _add(added, linear(rows, weight, None, "none", [], ""))
            elif added.size(0) == 1:
                output = linear(rows, weight, added[0], "none", [], "")
            else:
                output = linear.binary(rows, added, weight, None, "add")
            outputs.append(output.unsqueeze(0))
        return outputs

    return product


def bfloat16_training(weights: Sequence[torch.Tensor]) -> Engine:
    """bfloat16 with sums in float32, for float32 weights that change at each step."""
    # (directions, input_size, output_size)
    transposed = torch.stack([weight.bfloat16() for weight in weights]).transpose(1, 2)

    def product(inputs: torch.Tensor, addend: Optional[Outputs]) -> Outputs:
        # (directions, rows, output_size)
        output = torch.bmm(padded_bfloat16(inputs), transposed)[:, : inputs.size(1)]
        return [output.float() if addend is None else _add(join(addend), output)]

    return product


def fbgemm(weights: Sequence[torch.Tensor]) -> Engine:
    """
    int8, with a scale for each output of a weight and for each row of inputs.

    A row's products do not depend on the other rows.
    """
    packed = [_quantize(weight) for weight in weights]
    # without VNNI, pairs of products are summed in 16 bits, which only 7-bit inputs cannot overflow
    reduce_range = not _cpu_has("_is_vnni_supported")
    columns = torch.tensor(RANGE_COLUMNS, device="cpu")

    def product(inputs: torch.Tensor, addend: Optional[Outputs]) -> Outputs:
        directions, rows, _ = inputs.shape
        # (directions, rows, 1); the infinity norm is not vectorized, and takes ten times as long
        scales = inputs.abs().amax(dim=2, keepdim=True)
        scales.clamp_(min=torch.finfo(inputs.dtype).tiny)
        # (directions, rows, input_size + 4)
        scaled = torch.cat([inputs / scales, columns.expand(directions, rows, -1)], dim=2)
        outputs = []
        for direction, weight in enumerate(packed):
            # (rows, output_size)
            output = torch.ops.quantized.linear_dynamic(scaled[direction], weight, reduce_range)
            # faster than addcmul, which does not vectorize a scale for each row
            output.mul_(scales[direction])
            if addend is not None:
                output.add_(_direction(addend, direction))
            outputs.append(output.unsqueeze(0))
        return outputs

    return product


def padded_bfloat16(rows: torch.Tensor) -> torch.Tensor:
    """
    Returns (directions, rows, size) in bfloat16, with zeros for up to `ROW_STEP` more rows.

    oneDNN compiles for every new shape, which takes longer than most products. So the number of
    rows takes few values.
    """
    directions, count, size = rows.shape
    step = ROW_STEP // 4 if count <= 512 else ROW_STEP
    # (directions, count rounded up, size)
    padded = rows.new_empty(directions, -(-count // step) * step, size, dtype=torch.bfloat16)
    padded[:, :count] = rows
    padded[:, count:] = 0.0
    return padded


def join(outputs: Outputs) -> torch.Tensor:
    """Returns outputs as one tensor, (directions, rows, output_size)."""
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _batched(transposed: torch.Tensor) -> Engine:
    def product(inputs: torch.Tensor, addend: Optional[Outputs]) -> Outputs:
        # (directions, rows, output_size)
        if addend is None:
            return [torch.bmm(inputs, transposed)]
        return [torch.baddbmm(join(addend), inputs, transposed)]

    return product


def _add(added: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    # one row may be the caller's bias, which must not change
    return added + output if added.size(-2) == 1 else added.add_(output)


def _direction(outputs: Outputs, direction: int) -> torch.Tensor:
    # (rows, output_size)
    return outputs[0][direction] if len(outputs) == 1 else outputs[direction][0]


def _quantize(weight: torch.Tensor) -> torch.ScriptObject:
    # (output_size, input_size + 4)
    weight = torch.nn.functional.pad(weight, (0, len(RANGE_COLUMNS)))
    # (output_size,)
    scales = weight.abs().amax(dim=1).clamp(min=1e-12).double() / 127.0
    with _fbgemm_chosen():
        quantized = torch.quantize_per_channel(
            weight, scales, torch.zeros_like(scales, dtype=torch.int64), 0, torch.qint8
        )
        return torch.ops.quantized.linear_prepack(quantized, None)


@contextmanager
def _fbgemm_chosen() -> Iterator[None]:
    """Sets the process's engine to fbgemm while weights are packed, and hides torch's warning."""
    with _quantized_engine_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*quantize_per_channel.*")
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = "fbgemm"
        try:
            yield
        finally:
            torch.backends.quantized.engine = before


def _has_bfloat16() -> bool:
    if hasattr(torch.cpu, "_is_avx512_bf16_supported"):
        return _cpu_has("_is_avx512_bf16_supported")
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _cpu_has(name: str) -> bool:
    # torch 1.12 has no torch.cpu with such functions
    supported = getattr(getattr(torch, "cpu", None), name, None)
    return supported is not None and bool(supported())
