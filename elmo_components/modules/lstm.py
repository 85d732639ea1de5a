"""Two stacks of LSTMs, forward and backward, with explicit state."""

from typing import Optional, cast

import torch
from torch import nn

from elmo_components.config import LstmConfig
from elmo_components.kernels import (
    PRECISIONS,
    LayerState,
    LstmCall,
    PackedWeights,
    StackCall,
    bidirectional_layers,
    projected_lstm,
)
from elmo_components.modules.direction import Direction
from elmo_components.modules.eager import eager
from elmo_components.modules.lstm_state import LstmState

__all__ = ["ElmoLstm", "sentence_lengths"]


class ElmoLstm(nn.Module):
    """
    Two stacks of LSTMs with projection, one over the sentence forward and one backward.

    Each layer reads the layer below of its own direction alone (Peters et al. 2018, section 3.1).
    Unlike `torch.nn.LSTM(proj_size=...)` it clips cells and projections, as published weights need.

    # Parameters

    config : `LstmConfig`
        The sizes.
    input_size : `int`
        The size of an input vector.
    recurrent_dropout : `float`
        In training, the probability that an element of a layer's output is 0 at every step of a
        sentence (Gal and Ghahramani 2016); the others are scaled up.
    precision : `str`
        "float32"; or "bfloat16" or "int8", used where it is faster and no gradient is needed.
        Weights stay float32.
    recompute_gates : `bool`
        Whether the backward pass recomputes the gates. This saves three quarters of the memory
        between the passes and takes 10 to 33 % more time.
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
        self.forward_layers = nn.ModuleList(Direction(config, size) for size in input_sizes)
        self.backward_layers = nn.ModuleList(Direction(config, size) for size in input_sizes)

    def forward(
        self,
        inputs: torch.Tensor,
        mask: torch.Tensor,
        state: Optional[LstmState] = None,
        *,
        include_inputs: bool = False,
    ) -> tuple[torch.Tensor, LstmState]:
        """
        # Parameters

        inputs : `torch.Tensor`
            (batch, time, input_size)
        mask : `torch.Tensor`
            (batch, time), bool: true for each sentence's tokens, then false.
        state : `Optional[LstmState]`
            Each sentence's initial state; `None` for zeros.
        include_inputs : `bool`
            Whether the outputs have one more layer, the first: the inputs, twice, 0 where masked.

        # Returns

        `tuple[torch.Tensor, LstmState]`
            All layers' outputs, (num_layers, batch, time, 2 * hidden_size), forward half first and
            0 where masked; and the state after each sentence's last step, which for the backward
            direction is its first token.
        """
        self._check(inputs, mask, state)
        lengths = sentence_lengths(mask)
        first = 1 if include_inputs else 0
        found = self._all_layers(inputs, lengths, state, first)
        if found is not None:
            if include_inputs:
                # (batch, time, 2, input_size)
                halves = found[0][0].unflatten(-1, (2, self.input_size))
                twice = inputs.unsqueeze(2).expand_as(halves)
                torch.mul(twice, mask[..., None, None], out=halves)
            return found
        order = _reversing(lengths, inputs.size(1))
        directed, new_state = self.directions(
            torch.stack([inputs, _reorder(inputs, order)]), lengths, state
        )
        # (batch, time, 2 * hidden_size), each
        outputs = [torch.cat([layer[0], _reorder(layer[1], order)], dim=-1) for layer in directed]
        if include_inputs:
            outputs.insert(0, torch.cat([inputs, inputs], dim=-1) * mask.unsqueeze(-1))
        return torch.stack(outputs), new_state

    @eager
    def _all_layers(
        self, inputs: torch.Tensor, lengths: torch.Tensor, state: Optional[LstmState], first: int
    ) -> Optional[tuple[torch.Tensor, LstmState]]:
        """
        Computes all layers by one call of a backend, with room for `first` layers before them.
        Returns `None` where that is not possible.
        """
        if torch.is_grad_enabled() or self._applies_dropout():
            return None
        weights = [
            [direction() for direction in pair]
            for pair in zip(self.forward_layers, self.backward_layers)
        ]
        # (first + num_layers, batch, time, 2 * hidden_size)
        outputs = inputs.new_empty(
            first + len(weights), *inputs.shape[:2], 2 * self.config.hidden_size
        )
        last = bidirectional_layers(
            StackCall(
                inputs=inputs,
                lengths=lengths,
                weights=weights,
                outputs=outputs[first:],
                state=None if state is None else LayerState(*state),
                skip_connections=self.config.skip_connections,
                packed=self._packed,
                cell_clip=self.config.cell_clip,
                projection_clip=self.config.projection_clip,
                precision=self.precision,
            )
        )
        return None if last is None else (outputs, LstmState(*last))

    @eager
    def directions(
        self,
        inputs: torch.Tensor,
        lengths: torch.Tensor,
        state: Optional[LstmState] = None,
        *,
        input_dropout: float = 0.0,
    ) -> tuple[list[torch.Tensor], LstmState]:
        """
        Runs each direction over its own inputs, in the order in which it reads them.

        # Parameters

        inputs : `torch.Tensor`
            (2, batch, time, input_size), the forward direction's first.
        lengths : `torch.Tensor`
            (batch,), int64: the number of unmasked inputs of each row.
        state : `Optional[LstmState]`
            Each row's initial state; `None` for zeros.
        input_dropout : `float`
            In training, the probability that an element of a layer's input is 0, independent at
            each step as in bilm-tf; the skip connection takes the same input.

        # Returns

        `tuple[list[torch.Tensor], LstmState]`
            Each layer's outputs, (2, batch, time, hidden_size), in the order of the inputs and 0
            after a row's length; and the state after each row's last input.
        """
        # within autocast the inputs may have a narrower dtype
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
                    weights=[direction() for direction in directions],
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
        sizes = self.config.hidden_size, self.config.cell_size
        for name, part, size in zip(LstmState._fields, state or (), sizes):
            expected = self.config.num_layers, 2, inputs.size(0), size
            if part.shape != expected:
                raise ValueError(
                    f"The {name} state must be of shape (num_layers, 2, batch, {name}_size), "
                    f"here {expected}; found {tuple(part.shape)}"
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

    def _applies_dropout(self) -> bool:
        return self.training and self.recurrent_dropout > 0.0

    def _dropout(self, inputs: torch.Tensor) -> Optional[torch.Tensor]:
        if not self._applies_dropout():
            return None
        keep = 1.0 - self.recurrent_dropout
        # (2, batch, hidden_size)
        shape = (2, inputs.size(0), self.config.hidden_size)
        return torch.empty(shape, dtype=inputs.dtype, device=inputs.device).bernoulli_(keep) / keep


def sentence_lengths(mask: torch.Tensor) -> torch.Tensor:
    """
    Returns the number of tokens of each sentence, (batch,), from a mask, (batch, time), bool.

    # Raises

    `ValueError` for a token after a masked position.
    """
    if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        raise ValueError(
            "The mask must be true for each sentence's tokens, then false; found a token after a "
            "masked position"
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
