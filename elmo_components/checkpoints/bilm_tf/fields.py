"""
The fields of the published format: their names and shapes, and what lies between them and ours.

`bilm_entries` and `softmax_entries` are the one list for both ways, reading and writing.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy

from elmo_components.checkpoints.checkpoint import SOFTMAX_NAMES
from elmo_components.config import ElmoConfig

__all__ = ["Entry", "Transform", "bilm_entries", "softmax_entries"]


class Transform(NamedTuple):
    """How one of their arrays becomes one or more of our tensors, and back."""

    read: Callable[[numpy.ndarray], Sequence[numpy.ndarray]]
    write: Callable[[Sequence[numpy.ndarray]], numpy.ndarray]


class Entry(NamedTuple):
    """One of their arrays, and our tensors that it holds."""

    ours: tuple[str, ...]
    theirs: str
    # of theirs; -1 stands for the number of words
    shape: tuple[int, ...]
    transform: Transform


def bilm_entries(config: ElmoConfig) -> list[Entry]:
    """Returns the list for the biLM."""
    cnn, lstm = config.char_cnn, config.lstm
    hidden, cell, filters = lstm.hidden_size, lstm.cell_size, cnn.num_filters
    entries = [
        Entry(
            ("char_cnn.character_embedding.weight",),
            "char_embed",
            (cnn.num_characters - 1, cnn.embedding_size),
            _MASK_ROW,
        )
    ]
    for index, (width, number) in enumerate(cnn.filters):
        ours = f"char_cnn.convolutions.{index}"
        shape = (1, width, cnn.embedding_size, number)
        entries += [
            Entry((f"{ours}.weight",), f"CNN/W_cnn_{index}", shape, _CONVOLUTION),
            Entry((f"{ours}.bias",), f"CNN/b_cnn_{index}", (number,), _SAME),
        ]
    for index in range(cnn.num_highway_layers):
        for gate in ("carry", "transform"):
            ours, theirs = f"char_cnn.highways.{index}.{gate}", f"CNN_high_{index}"
            entries += [
                Entry((f"{ours}.weight",), f"{theirs}/W_{gate}", (filters, filters), _TRANSPOSE),
                Entry((f"{ours}.bias",), f"{theirs}/b_{gate}", (filters,), _SAME),
            ]
    if filters != hidden:
        entries += [
            Entry(
                ("char_cnn.projection.weight",), "CNN_proj/W_proj", (filters, hidden), _TRANSPOSE
            ),
            Entry(("char_cnn.projection.bias",), "CNN_proj/b_proj", (hidden,), _SAME),
        ]
    for direction, name in enumerate(("forward", "backward")):
        for layer in range(lstm.num_layers):
            ours = f"lstm.{name}_layers.{layer}"
            theirs = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            entries += [
                Entry(
                    (f"{ours}.input_weight", f"{ours}.recurrent_weight"),
                    f"{theirs}/W_0",
                    # the input of every layer is as large as the projected output
                    (2 * hidden, 4 * cell),
                    _INPUT_AND_RECURRENT,
                ),
                Entry((f"{ours}.bias",), f"{theirs}/B", (4 * cell,), _GATES),
            ]
            if cell != hidden:
                entries.append(
                    Entry(
                        (f"{ours}.projection_weight",),
                        f"{theirs}/W_P_0",
                        (cell, hidden),
                        _TRANSPOSE,
                    )
                )
    return entries


def softmax_entries(config: ElmoConfig) -> list[Entry]:
    """Returns the list for the softmax, which is there in pre-training."""
    weight, bias = SOFTMAX_NAMES
    return [
        Entry((weight,), "softmax/W", (-1, config.lstm.hidden_size), _SAME),
        Entry((bias,), "softmax/b", (-1,), _SAME),
    ]


def _swap_gates(array: numpy.ndarray) -> numpy.ndarray:
    # TensorFlow has i, g, f, o along the last axis and torch i, f, g, o: its own inverse
    i, second, third, o = numpy.split(array, 4, axis=-1)
    return numpy.concatenate([i, third, second, o], axis=-1)


def _split_input_and_recurrent(array: numpy.ndarray) -> Sequence[numpy.ndarray]:
    # the rows are the input's, then the recurrent ones
    return numpy.split(_swap_gates(array).T, 2, axis=1)


def _join_input_and_recurrent(arrays: Sequence[numpy.ndarray]) -> numpy.ndarray:
    return _swap_gates(numpy.concatenate(arrays, axis=1).T)


_SAME = Transform(lambda array: [array], lambda arrays: arrays[0])
# TensorFlow multiplies x W and torch W x
_TRANSPOSE = Transform(lambda array: [array.T], lambda arrays: arrays[0].T)
# TensorFlow convolves images of height 1: (1, width, in, out) against torch's (out, in, width)
_CONVOLUTION = Transform(
    lambda array: [array[0].transpose(2, 1, 0)],
    lambda arrays: arrays[0].transpose(2, 1, 0)[numpy.newaxis],
)
# the file does not hold the row of the mask, which is never looked at
_MASK_ROW = Transform(
    lambda array: [numpy.concatenate([numpy.zeros_like(array[:1]), array])],
    lambda arrays: arrays[0][1:],
)
_GATES = Transform(lambda array: [_swap_gates(array)], lambda arrays: _swap_gates(arrays[0]))
_INPUT_AND_RECURRENT = Transform(_split_input_and_recurrent, _join_input_and_recurrent)
