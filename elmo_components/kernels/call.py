"""The arguments of a kernel: one layer of LSTMs, its weights, and a batch."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch

from elmo_components.kernels.packed import PackedWeights

__all__ = [
    "PRECISIONS",
    "BackendUnavailable",
    "DirectionWeights",
    "LayerState",
    "LstmCall",
    "StackCall",
]

PRECISIONS = ("float32", "bfloat16", "int8")


class BackendUnavailable(RuntimeError):
    """A backend that was chosen by name cannot compute a call; the message says why."""


class DirectionWeights(NamedTuple):
    """
    The weights of one direction of one layer, with the gates in the order i, f, g, o.

    # Parameters

    input : `torch.Tensor`
        (4 * cell_size, input_size)
    recurrent : `torch.Tensor`
        (4 * cell_size, hidden_size)
    bias : `torch.Tensor`
        (4 * cell_size,), including the forget gate's offset.
    projection : `Optional[torch.Tensor]`
        (hidden_size, cell_size); `None` where the output is not projected.
    """

    input: torch.Tensor
    recurrent: torch.Tensor
    bias: torch.Tensor
    projection: Optional[torch.Tensor]


class LayerState(NamedTuple):
    """One layer's state: (directions, batch, hidden_size) and (directions, batch, cell_size)."""

    hidden: torch.Tensor
    cell: torch.Tensor


class LstmCall(NamedTuple):
    """
    The arguments of `projected_lstm`.

    # Parameters

    inputs : `torch.Tensor`
        (directions, batch, time, input_size)
    lengths : `torch.Tensor`
        (batch,), int64: the number of steps of each sentence, from 0 to time.
    weights : `Sequence[DirectionWeights]`
        One for each direction.
    state : `LayerState`
        The initial state.
    cell_clip, projection_clip : `Optional[float]`
        `None` for no clipping; without a projection `projection_clip` has no effect.
    dropout : `Optional[torch.Tensor]`
        (directions, batch, hidden_size), a factor for each output; `None` for no dropout.
    precision : `str`
        The lowest of `PRECISIONS` that is acceptable where no gradient is needed. A backend may
        compute with a higher one.
    recompute_gates : `bool`
        Whether the backward pass recomputes the gates, so that the forward pass need not save them.
    packed : `Optional[PackedWeights]`
        The cache of packed weights from call to call, which training does not use; `None` for no
        cache.
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


class StackCall(NamedTuple):
    """
    The arguments of `bidirectional_layers`: all layers of both directions, without gradients.

    # Parameters

    inputs : `torch.Tensor`
        (batch, time, input_size), in the order of the sentence.
    lengths : `torch.Tensor`
        (batch,), int64: the number of steps of each sentence, from 0 to time.
    weights : `Sequence[Sequence[DirectionWeights]]`
        Of each layer: the forward and the backward direction's.
    outputs : `torch.Tensor`
        Output: (num_layers, batch, time, 2 * hidden_size), contiguous, the forward half first, in
        the order of the sentence, and 0 past its end.
    state : `Optional[LayerState]`
        The initial state, (num_layers, 2, batch, hidden_size) and (num_layers, 2, batch,
        cell_size); `None` for zeros.
    skip_connections : `bool`
        Whether each layer but the first adds its inputs to its outputs.
    packed : `Sequence[PackedWeights]`
        One for each layer.
    cell_clip, projection_clip, precision
        See `LstmCall`.
    """

    inputs: torch.Tensor
    lengths: torch.Tensor
    weights: Sequence[Sequence[DirectionWeights]]
    outputs: torch.Tensor
    state: Optional[LayerState]
    skip_connections: bool
    packed: Sequence[PackedWeights]
    cell_clip: Optional[float]
    projection_clip: Optional[float]
    precision: str
