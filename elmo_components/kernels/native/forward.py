"""The compiled forward pass: one layer, or all layers of both directions by one call."""

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional, Protocol

import torch

from elmo_components.kernels.call import DirectionWeights, LayerState, LstmCall, StackCall
from elmo_components.kernels.native import library
from elmo_components.kernels.native.openmp import openmp
from elmo_components.kernels.native.structures import Batch, Direction, Layer, Sizes
from elmo_components.kernels.packed import PackedWeights

__all__ = [
    "Saved",
    "address",
    "batch_of",
    "check_status",
    "cpu_lengths",
    "packed_by",
    "run_layer",
    "run_stack",
    "sizes_of",
]

# bytes
FLOAT = 4


class Clips(Protocol):
    """The limits of a call."""

    @property
    def cell_clip(self) -> Optional[float]:
        """The largest absolute value of a cell."""

    @property
    def projection_clip(self) -> Optional[float]:
        """The largest absolute value of an output."""


class Saved(NamedTuple):
    """The tensors that the backward pass needs, rows in the order of source/layer.h."""

    # (directions, rows, 4 * cell_size), after the activation functions; None to recompute them
    gates: Optional[torch.Tensor]
    # (directions, rows, cell_size)
    cells: torch.Tensor
    # (directions, rows, input_size + hidden_size): inputs and previous outputs
    inputs: torch.Tensor
    # (directions, rows, hidden_size), before dropout; None without clipping
    projected: Optional[torch.Tensor]


def run_layer(call: LstmCall, saved: Optional[Saved] = None) -> tuple[torch.Tensor, LayerState]:
    """
    Returns the outputs and the state, as `kernels.reference.projected_lstm` defines them, and
    writes into `saved`.

    # Raises

    `MemoryError`.
    """
    directions, batch, time, _ = call.inputs.shape
    sizes, instructions = sizes_of(call.weights[0]), library.instructions_for(call.precision)
    weights = _packed(call.weights, sizes, instructions, call.packed)
    biases = [weight.bias.contiguous() for weight in call.weights]
    inputs = _rows(call.inputs)
    hidden, cell = call.state.hidden.contiguous(), call.state.cell.contiguous()
    dropout = None if call.dropout is None else call.dropout.to(torch.float32).contiguous()
    lengths = cpu_lengths(call.lengths)
    # (directions, batch, time, hidden_size)
    outputs = inputs.new_empty(directions, batch, time, sizes.hidden_size)
    last = LayerState(torch.empty_like(hidden), torch.empty_like(cell))
    arrays = (Direction * directions)()
    for direction, array in enumerate(arrays):
        array.weights = address(weights, direction)
        array.biases = biases[direction].data_ptr()
        array.inputs = address(inputs, direction)
        array.hidden, array.cell = address(hidden, direction), address(cell, direction)
        array.dropout = address(dropout, direction)
        array.outputs = address(outputs, direction)
        array.last_hidden = address(last.hidden, direction)
        array.last_cell = address(last.cell, direction)
        if saved is not None:
            array.saved_gates = address(saved.gates, direction)
            array.saved_cells = address(saved.cells, direction)
            array.saved_inputs = address(saved.inputs, direction)
            array.saved_projected = address(saved.projected, direction)
    layer = Layer(sizes, 0, *inputs.stride()[1:3], *outputs.stride()[1:3], arrays)
    arguments = batch_of(call, lengths, time, directions, instructions)
    check_status(library.functions().elmo_layers(ctypes.byref(arguments), 1, ctypes.byref(layer)))
    return outputs, last


def run_stack(call: StackCall) -> LayerState:
    """
    Writes `call.outputs`, and returns the state as `call.state` has it.

    # Raises

    `MemoryError`.
    """
    num_layers, batch, time, _ = call.outputs.shape
    instructions = library.instructions_for(call.precision)
    sizes = [sizes_of(pair[0]) for pair in call.weights]
    hidden_size, cell_size = sizes[0].hidden_size, sizes[0].cell_size
    packed = [
        _packed(pair, size, instructions, cache)
        for pair, size, cache in zip(call.weights, sizes, call.packed)
    ]
    biases = [weight.bias.contiguous() for pair in call.weights for weight in pair]
    inputs, lengths = _rows(call.inputs), cpu_lengths(call.lengths)
    hidden = None if call.state is None else call.state.hidden.contiguous()
    cell = None if call.state is None else call.state.cell.contiguous()
    last = LayerState(
        inputs.new_empty(num_layers, 2, batch, hidden_size),
        inputs.new_empty(num_layers, 2, batch, cell_size),
    )
    layers = (Layer * num_layers)()
    arrays = (Direction * (2 * num_layers))()
    for place, array in enumerate(arrays):
        number, direction = divmod(place, 2)
        array.weights = address(packed[number], direction)
        array.biases = biases[place].data_ptr()
        below = call.outputs.data_ptr() + FLOAT * (
            (number - 1) * call.outputs.stride(0) + direction * hidden_size
        )
        array.inputs = inputs.data_ptr() if number == 0 else below
        array.outputs = below + FLOAT * call.outputs.stride(0)
        array.reversed = direction
        array.hidden = _element(hidden, place * batch * hidden_size)
        array.cell = _element(cell, place * batch * cell_size)
        array.last_hidden = _element(last.hidden, place * batch * hidden_size)
        array.last_cell = _element(last.cell, place * batch * cell_size)
    strides = call.outputs.stride()[1:3]
    pointers = ctypes.cast(arrays, ctypes.POINTER(Direction))
    for number, layer in enumerate(layers):
        layer.sizes = sizes[number]
        layer.skip = call.skip_connections and number > 0
        layer.input_sentence, layer.input_step = strides if number else inputs.stride()[:2]
        layer.output_sentence, layer.output_step = strides
        layer.directions = ctypes.pointer(pointers[2 * number])
    arguments = batch_of(call, lengths, time, 2, instructions)
    check_status(library.functions().elmo_layers(ctypes.byref(arguments), num_layers, layers))
    return last


def sizes_of(weight: DirectionWeights) -> Sizes:
    """Returns the sizes of a layer's weights."""
    hidden_size = weight.recurrent.size(1)
    return Sizes(
        weight.input.size(1),
        hidden_size,
        weight.recurrent.size(0) // 4,
        weight.projection is not None,
    )


def batch_of(
    clips: Clips, lengths: torch.Tensor, time: int, directions: int, instructions: int
) -> Batch:
    """Returns a batch of sentences. `lengths` must outlive it."""
    return Batch(
        instructions=instructions,
        threads=torch.get_num_threads(),
        openmp=openmp(),
        directions=directions,
        batch=len(lengths),
        time=time,
        lengths=lengths.data_ptr(),
        cell_clip=math.inf if clips.cell_clip is None else clips.cell_clip,
        projection_clip=math.inf if clips.projection_clip is None else clips.projection_clip,
    )


def address(tensor: Optional[torch.Tensor], direction: int) -> Optional[int]:
    """Returns the address of a direction's part of a tensor."""
    if tensor is None:
        return None
    return tensor.data_ptr() + tensor.element_size() * direction * tensor.stride(0)


def check_status(status: int) -> None:
    """Raises a `MemoryError` where the library returned one."""
    if status != 0:
        raise MemoryError("There is not enough memory for a layer. Use smaller batches")


def cpu_lengths(lengths: torch.Tensor) -> torch.Tensor:
    """Returns lengths as the library reads them."""
    return lengths.to("cpu", torch.int64).contiguous()


def _element(tensor: Optional[torch.Tensor], place: int) -> Optional[int]:
    return None if tensor is None else tensor.data_ptr() + FLOAT * place


def _rows(inputs: torch.Tensor) -> torch.Tensor:
    return inputs if inputs.stride(-1) == 1 else inputs.contiguous()


def _packed(
    weights: Sequence[DirectionWeights],
    sizes: Sizes,
    instructions: int,
    cache: Optional[PackedWeights],
) -> torch.Tensor:
    """Returns the packed weights, (directions, floats)."""
    parts = [
        part
        for weight in weights
        for part in (weight.input, weight.recurrent, weight.projection)
        if part is not None
    ]
    functions = library.functions()

    def pack() -> torch.Tensor:
        size = functions.elmo_packed_size(instructions, ctypes.byref(sizes))
        return packed_by(functions.elmo_pack, weights, sizes, size, instructions)

    return pack() if cache is None else cache.get(f"native {instructions}", parts, pack)


def packed_by(
    function: Callable[..., None],
    weights: Sequence[DirectionWeights],
    sizes: Sizes,
    size: int,
    instructions: int,
) -> torch.Tensor:
    """Returns each direction's weights as a function of the library packs them."""
    # (directions, size)
    packed = torch.empty(len(weights), size, dtype=torch.float32, device="cpu")
    for direction, weight in enumerate(weights):
        parts = [
            None if part is None else part.detach().contiguous()
            for part in (weight.input, weight.recurrent, weight.projection)
        ]
        pointers = [None if part is None else part.data_ptr() for part in parts]
        function(instructions, ctypes.byref(sizes), *pointers, address(packed, direction))
    return packed
