"""The backend for CPUs. It uses torch's operators and needs no compiler."""

from collections.abc import Iterable
from typing import Optional

import torch
from torch.autograd import forward_ad

from elmo_components.kernels import cpu_training
from elmo_components.kernels.call import LayerState, LstmCall
from elmo_components.kernels.cpu_forward import run

__all__ = ["autocast_to_bfloat16", "projected_lstm", "requires_grad", "transformed", "unsupported"]


def unsupported(call: LstmCall) -> Optional[str]:
    """Returns why this backend cannot compute a call, or `None`."""
    tensors = [call.inputs, *call.state, *(part for weight in call.weights for part in weight)]
    for tensor in tensors:
        if tensor is not None and tensor.device.type != "cpu":
            return f"a tensor is on the device {tensor.device}, not on the CPU"
        if tensor is not None and tensor.dtype != call.inputs.dtype:
            return f"the inputs are {call.inputs.dtype}, and another tensor is {tensor.dtype}"
    if call.inputs.dtype not in (torch.float32, torch.float64):
        return f"the inputs are {call.inputs.dtype}, not float32 or float64"
    if call.dropout is not None and call.dropout.requires_grad:
        return "it has no gradient with respect to the dropout mask"
    if torch.jit.is_tracing():
        return "its in-place operations cannot be traced"
    return transformed([*tensors, call.lengths, call.dropout])


def transformed(tensors: Iterable[Optional[torch.Tensor]]) -> Optional[str]:
    """Returns why only the reference can compute within a transformation of torch, or `None`."""
    if forward_ad._current_level >= 0:
        return "it has no derivatives in forward mode"
    try:
        for tensor in tensors:
            if tensor is not None:
                tensor.data_ptr()
    except RuntimeError:
        return "a tensor has no memory of its own, as within torch.func.vmap"
    return None


def projected_lstm(call: LstmCall) -> tuple[torch.Tensor, LayerState]:
    """
    See `kernels.reference.projected_lstm`.

    Products have the dtype of the inputs, whatever the call's precision. Within
    `torch.autocast("cpu", dtype=torch.bfloat16)` products are bfloat16, in the backward pass too;
    sums, states and activations stay float32.

    # Raises

    `RuntimeError` for second derivatives.
    """
    bfloat16 = autocast_to_bfloat16() and call.inputs.dtype == torch.float32
    with torch.autocast("cpu", enabled=False):
        if torch.is_grad_enabled() and requires_grad(call):
            return cpu_training.projected_lstm(call, bfloat16=bfloat16)
        with torch.no_grad():
            return run(call, bfloat16=bfloat16)[:2]


def autocast_to_bfloat16() -> bool:
    """Returns whether autocast asks for products in bfloat16."""
    # torch 2.4 has other names
    if hasattr(torch, "get_autocast_dtype"):
        enabled, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
    else:
        enabled, dtype = torch.is_autocast_cpu_enabled(), torch.get_autocast_cpu_dtype()
    return enabled and dtype == torch.bfloat16


def requires_grad(call: LstmCall) -> bool:
    """Returns whether a tensor of a call needs a gradient."""
    weights = (part for weight in call.weights for part in weight if part is not None)
    return any(tensor.requires_grad for tensor in (call.inputs, *call.state, *weights))
