"""The two stacks of LSTMs, one over the sentence forward and one backward, with explicit state."""

import math
from typing import NamedTuple, Optional, cast

import torch
from torch import nn

from elmo_components.config import LstmConfig
from elmo_components.kernels import (
    PRECISIONS,
    DirectionWeights,
    LayerState,
    LstmCall,
    PackedWeights,
    projected_lstm,
)

__all__ = ["ElmoLstm", "LstmState", "carried", "sentence_lengths"]

# TensorFlow's LSTMCell adds it to the forget gate as it runs, so no published file holds it; kept
# apart from the bias here too, what is read and written again is the same to the last bit.
FORGET_BIAS = 1.0


class LstmState(NamedTuple):
    """
    What the LSTMs remember between calls, direction 0 being the forward one.

    # Parameters

    hidden : `torch.Tensor`
        (num_layers, 2, batch, hidden_size)
    cell : `torch.Tensor`
        (num_layers, 2, batch, cell_size)
    """

    hidden: torch.Tensor
    cell: torch.Tensor

    def for_batch(self, batch: int) -> "LstmState":
        """Returns the state of the first `batch` sentences, with zeros for those it has not."""
        missing = max(0, batch - self.hidden.size(2))
        return LstmState(
            *(nn.functional.pad(part[:, :, :batch], (0, 0, 0, missing)) for part in self)
        )


def carried(previous: Optional[LstmState], new: LstmState) -> LstmState:
    """
    Returns the state to keep after a batch, as AllenNLP's stateful encoders keep it: detached, the
    sentences of a larger earlier batch that this one did not reach staying as they were.
    """
    kept = LstmState(*(part.detach() for part in new))
    batch = new.hidden.size(2)
    if previous is None or previous.hidden.size(2) <= batch:
        return kept
    return LstmState(
        *(torch.cat([part, old[:, :, batch:]], dim=2) for part, old in zip(kept, previous))
    )


class ElmoLstm(nn.Module):
    """
    Stacked LSTMs with projection in two directions that do not see each other (Peters et al. 2018,
    section 3.1): each layer of a direction reads the layer below of the same direction. Beyond
    `torch.nn.LSTM(proj_size=...)` it clips cells and projections, which published weights need.

    # Parameters

    config : `LstmConfig`
        The sizes.
    input_size : `int`
        The size of an input vector.
    recurrent_dropout : `float`
        In training, the probability that an element of a layer's output is 0 at every step of a
        sentence (Gal and Ghahramani 2016); the others are scaled up.
    precision : `str`
        "float32", or "bfloat16" or "int8" to compute with less where that is faster and no
        gradient is wanted; weights stay as they are.
    recompute_gates : `bool`
        Whether a backward pass computes the gates anew, which spares three quarters of what the
        forward pass keeps and takes a tenth to a third more time.
    """

    def __init__(
        self,
        config: LstmConfig,
        *,
        input_size: int,
        recurrent_dropout: float = 0.0,
        precision: str = "float32",
        recompute_gates: bool = False,
    ) -> None:
        super().__init__()
        if not 0.0 <= recurrent_dropout < 1.0:
            raise ValueError(
                f"recurrent_dropout must be at least 0 and below 1; found {recurrent_dropout}"
            )
        self.config = config
        self.input_size = input_size
        self.recurrent_dropout = recurrent_dropout
        if precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}; found {precision!r}"
            )
        self.precision = precision
        self.recompute_gates = recompute_gates
        self._packed = [PackedWeights() for _ in range(config.num_layers)]
        input_sizes = [input_size] + [config.hidden_size] * (config.num_layers - 1)
        self.forward_layers = nn.ModuleList(_Direction(config, size) for size in input_sizes)
        self.backward_layers = nn.ModuleList(_Direction(config, size) for size in input_sizes)

    def forward(
        self, inputs: torch.Tensor, mask: torch.Tensor, state: Optional[LstmState] = None
    ) -> tuple[torch.Tensor, LstmState]:
        """
        # Parameters

        inputs : `torch.Tensor`
            (batch, time, input_size)
        mask : `torch.Tensor`
            (batch, time), bool: true for each sentence's tokens, then false.
        state : `Optional[LstmState]`
            Where each sentence goes on from; `None` for zeros.

        # Returns

        `tuple[torch.Tensor, LstmState]`
            All layers' outputs, (num_layers, batch, time, 2 * hidden_size), forward half first and
            0 where masked; and the state after each sentence's last step, which for the backward
            direction is its first token.
        """
        self._check(inputs, mask, state)
        lengths = sentence_lengths(mask)
        order = _reversing(lengths, inputs.size(1))
        directed, new_state = self.directions(
            torch.stack([inputs, _reorder(inputs, order)]), lengths, state
        )
        # (batch, time, 2 * hidden_size), each
        outputs = [torch.cat([layer[0], _reorder(layer[1], order)], dim=-1) for layer in directed]
        return torch.stack(outputs), new_state

    def directions(
        self,
        inputs: torch.Tensor,
        lengths: torch.Tensor,
        state: Optional[LstmState] = None,
        *,
        input_dropout: float = 0.0,
    ) -> tuple[list[torch.Tensor], LstmState]:
        """
        Runs each direction over inputs of its own, which are in the order in which it reads them.

        # Parameters

        inputs : `torch.Tensor`
            (2, batch, time, input_size), the forward direction's first.
        lengths : `torch.Tensor`
            (batch,), int64: how many inputs of each row count.
        state : `Optional[LstmState]`
            Where each row goes on from; `None` for zeros.
        input_dropout : `float`
            In training, the probability that an element of a layer's input is 0, drawn anew at
            each step, as bilm-tf has it; the skip connection takes the same input.

        # Returns

        `tuple[list[torch.Tensor], LstmState]`
            Each layer's outputs, (2, batch, time, hidden_size), in the order of the inputs and 0
            past a row's length; and the state after each row's last input.
        """
        # within autocast the module below may give a narrower type
        dtype = cast(torch.Tensor, self.forward_layers[0].bias).dtype
        if torch.promote_types(inputs.dtype, dtype) == dtype:
            inputs = inputs.to(dtype)
        layer_inputs = inputs
        outputs, states = [], []
        for layer, directions in enumerate(zip(self.forward_layers, self.backward_layers)):
            layer_inputs = nn.functional.dropout(layer_inputs, input_dropout, self.training)
            # (2, batch, time, hidden_size)
            layer_outputs, layer_state = projected_lstm(
                LstmCall(
                    inputs=layer_inputs,
                    lengths=lengths,
                    weights=[cast(_Direction, direction).weights() for direction in directions],
                    state=self._layer_state(inputs[0], state, layer),
                    cell_clip=self.config.cell_clip,
                    projection_clip=self.config.projection_clip,
                    dropout=self._dropout(inputs[0]),
                    precision=self.precision,
                    recompute_gates=self.recompute_gates,
                    packed=self._packed[layer],
                )
            )
            if self.config.skip_connections and layer > 0:
                layer_outputs = layer_outputs + layer_inputs
            outputs.append(layer_outputs)
            states.append(layer_state)
            layer_inputs = layer_outputs
        hidden, cell = zip(*states)
        return outputs, LstmState(torch.stack(hidden), torch.stack(cell))

    def _check(self, inputs: torch.Tensor, mask: torch.Tensor, state: Optional[LstmState]) -> None:
        if inputs.dim() != 3 or inputs.size(-1) != self.input_size:
            raise ValueError(
                f"The inputs must be of shape (batch, time, {self.input_size}); "
                f"found {tuple(inputs.shape)}"
            )
        if mask.shape != inputs.shape[:2]:
            raise ValueError(
                f"The mask must be of shape (batch, time), here {tuple(inputs.shape[:2])}; "
                f"found {tuple(mask.shape)}"
            )
        if state is not None:
            leading = (self.config.num_layers, 2, inputs.size(0))
            for name, size in (
                ("hidden", self.config.hidden_size),
                ("cell", self.config.cell_size),
            ):
                if getattr(state, name).shape != (*leading, size):
                    raise ValueError(
                        f"The {name} state must be of shape (num_layers, 2, batch, {name}_size), "
                        f"here {(*leading, size)}; found {tuple(getattr(state, name).shape)}"
                    )

    def _layer_state(
        self, inputs: torch.Tensor, state: Optional[LstmState], layer: int
    ) -> LayerState:
        if state is not None:
            return LayerState(state.hidden[layer], state.cell[layer])
        return LayerState(
            inputs.new_zeros(2, inputs.size(0), self.config.hidden_size),
            inputs.new_zeros(2, inputs.size(0), self.config.cell_size),
        )

    def _dropout(self, inputs: torch.Tensor) -> Optional[torch.Tensor]:
        if not self.training or self.recurrent_dropout == 0.0:
            return None
        kept = 1.0 - self.recurrent_dropout
        # (2, batch, hidden_size)
        shape = (2, inputs.size(0), self.config.hidden_size)
        return torch.empty(shape, dtype=inputs.dtype, device=inputs.device).bernoulli_(kept) / kept


class _Direction(nn.Module):
    """
    The parameters of one direction of one layer, gates in the order i, f, g, o:
    `input_weight` (4 * cell_size, input_size), `recurrent_weight` (4 * cell_size, hidden_size),
    `bias` (4 * cell_size,), and `projection_weight` (hidden_size, cell_size), absent where both
    sizes are equal.
    """

    forget_offset: torch.Tensor

    def __init__(self, config: LstmConfig, input_size: int) -> None:
        super().__init__()
        gates = 4 * config.cell_size
        self.input_weight = nn.Parameter(torch.empty(gates, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(gates, config.hidden_size))
        self.bias = nn.Parameter(torch.empty(gates))
        projected = config.hidden_size != config.cell_size
        self.projection_weight = (
            nn.Parameter(torch.empty(config.hidden_size, config.cell_size)) if projected else None
        )
        # (4 * cell_size,)
        offset = torch.zeros(gates)
        offset[config.cell_size : 2 * config.cell_size] = FORGET_BIAS
        self.register_buffer("forget_offset", offset, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters as TensorFlow does for bilm-tf: Glorot's uniform, biases of 0."""
        gates, input_size = self.input_weight.shape
        bound = math.sqrt(6.0 / (input_size + self.recurrent_weight.size(1) + gates))
        nn.init.uniform_(self.input_weight, -bound, bound)
        nn.init.uniform_(self.recurrent_weight, -bound, bound)
        nn.init.zeros_(self.bias)
        if self.projection_weight is not None:
            nn.init.xavier_uniform_(self.projection_weight)

    def weights(self) -> DirectionWeights:
        """Returns the weights as a kernel takes them."""
        return DirectionWeights(
            self.input_weight,
            self.recurrent_weight,
            self.bias + self.forget_offset,
            self.projection_weight,
        )


def sentence_lengths(mask: torch.Tensor) -> torch.Tensor:
    """
    Returns the number of tokens of each sentence, (batch,), of a mask of shape (batch, time).

    # Raises

    `ValueError` when a token follows a masked position.
    """
    if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        raise ValueError(
            "The mask must be true for each sentence's tokens and false from there on; "
            "found a token after a masked position"
        )
    return mask.sum(dim=1)


def _reversing(lengths: torch.Tensor, time: int) -> torch.Tensor:
    # (1, time)
    steps = torch.arange(time, device=lengths.device).unsqueeze(0)
    # (batch, 1)
    ends = lengths.unsqueeze(1)
    # (batch, time): each sentence's steps from its last to its first, then its padding
    return torch.where(steps < ends, ends - 1 - steps, steps)


def _reorder(inputs: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    # (batch, time, size)
    return inputs.gather(1, order.unsqueeze(-1).expand_as(inputs))
