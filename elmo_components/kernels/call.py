"""What is asked of a kernel: one layer of LSTMs over a batch, and with what weights."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch

from elmo_components.kernels.packed import PackedWeights

__all__ = ["PRECISIONS", "BackendUnavailable", "DirectionWeights", "LayerState", "LstmCall"]

PRECISIONS = ("float32", "bfloat16", "int8")


class BackendUnavailable(RuntimeError):
    """Raised when a backend that was asked for by name cannot take a call; it says why."""


class DirectionWeights(NamedTuple):
    """
    The weights of one direction of one layer; the gates come in the order i, f, g, o.

    # Parameters

    input : `torch.Tensor`
        (4 * cell_size, input_size)
    recurrent : `torch.Tensor`
        (4 * cell_size, hidden_size)
    bias : `torch.Tensor`
        (4 * cell_size,), the forget gate's offset included.
    projection : `Optional[torch.Tensor]`
        (hidden_size, cell_size); `None` where the output is not projected.
    """

    input: torch.Tensor
    recurrent: torch.Tensor
    bias: torch.Tensor
    projection: Optional[torch.Tensor]


class LayerState(NamedTuple):
    """What one layer remembers: (directions, batch, hidden_size) and (..., cell_size)."""

    hidden: torch.Tensor
    cell: torch.Tensor


class LstmCall(NamedTuple):
    """
    The arguments of `projected_lstm`.

    # Parameters

    inputs : `torch.Tensor`
        (directions, batch, time, input_size)
    lengths : `torch.Tensor`
        (batch,), int64: how many steps of each sentence count; from 0 to time.
    weights : `Sequence[DirectionWeights]`
        One element a direction.
    state : `LayerState`
        What the layer remembers at the start.
    cell_clip, projection_clip : `Optional[float]`
        `None` for no clipping; without a projection `projection_clip` has no effect.
    dropout : `Optional[torch.Tensor]`
        (directions, batch, hidden_size), a factor for each output; `None` for none.
    precision : `str`
        The least of `PRECISIONS` that will do where no gradient is wanted. A backend may compute
        with more.
    recompute_gates : `bool`
        Whether a backward pass computes the gates anew and the forward pass does not keep them.
    packed : `Optional[PackedWeights]`
        Where a backend keeps what it makes of these weights from one call to the next; `None` for
        nowhere.
    """

    inputs: torch.Tensor
    lengths: torch.Tensor
    weights: Sequence[DirectionWeights]
    state: LayerState
    cell_clip: Optional[float] = None
    projection_clip: Optional[float] = None
    dropout: Optional[torch.Tensor] = None
    precision: str = "float32"
    recompute_gates: bool = False
    packed: Optional[PackedWeights] = None
