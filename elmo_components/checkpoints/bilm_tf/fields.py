"""The arrays of the published format: their names, shapes and transforms."""

import torch

from elmo_components.checkpoints.checkpoint import SOFTMAX_NAMES
from elmo_components.checkpoints.name_map import SAME, Entry, Transform
from elmo_components.config import ElmoConfig

__all__ = ["bilm_entries", "softmax_entries"]


def bilm_entries(config: ElmoConfig) -> list[Entry]:
    """Returns the entries of the biLM."""
    cnn, lstm = config.char_cnn, config.lstm
    hidden, cell, filters = lstm.hidden_size, lstm.cell_size, cnn.num_filters
    shape: tuple[int, ...] = (cnn.num_characters - 1, cnn.embedding_size)
    entries = [Entry(("char_cnn.character_embedding.weight",), "char_embed", shape, _MASK_ROW)]
    for index, (width, number) in enumerate(cnn.filters):
        ours = f"char_cnn.convolutions.{index}"
        shape = (1, width, cnn.embedding_size, number)
        entries += [
            Entry((f"{ours}.weight",), f"CNN/W_cnn_{index}", shape, _CONVOLUTION),
            Entry((f"{ours}.bias",), f"CNN/b_cnn_{index}", (number,)),
        ]
    for index in range(cnn.num_highway_layers):
        for gate in ("carry", "transform"):
            ours, theirs = f"char_cnn.highways.{index}.{gate}", f"CNN_high_{index}"
            entries += [
                Entry((f"{ours}.weight",), f"{theirs}/W_{gate}", (filters, filters), _TRANSPOSE),
                Entry((f"{ours}.bias",), f"{theirs}/b_{gate}", (filters,)),
            ]
    if cnn.has_projection(hidden):
        ours, shape = "char_cnn.projection", (filters, hidden)
        entries += [
            Entry((f"{ours}.weight",), "CNN_proj/W_proj", shape, _TRANSPOSE),
            Entry((f"{ours}.bias",), "CNN_proj/b_proj", (hidden,)),
        ]
    for direction, name in enumerate(("forward", "backward")):
        for layer in range(lstm.num_layers):
            ours = f"lstm.{name}_layers.{layer}"
            theirs = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            inputs = (f"{ours}.input_weight", f"{ours}.recurrent_weight")
            entries += [
                # the input of every layer is as large as the projected output
                Entry(inputs, f"{theirs}/W_0", (2 * hidden, 4 * cell), _INPUT_AND_RECURRENT),
                Entry((f"{ours}.bias",), f"{theirs}/B", (4 * cell,), _GATES),
            ]
            if cell != hidden:
                weight = (f"{ours}.projection_weight",)
                entries.append(Entry(weight, f"{theirs}/W_P_0", (cell, hidden), _TRANSPOSE))
    return entries


def softmax_entries(config: ElmoConfig) -> list[Entry]:
    """Returns the entries of the softmax."""
    weight, bias = SOFTMAX_NAMES
    return [
        Entry((weight,), "softmax/W", (-1, config.lstm.hidden_size), SAME),
        Entry((bias,), "softmax/b", (-1,), SAME),
    ]


def _swap_gates(tensor: torch.Tensor) -> torch.Tensor:
    # TensorFlow has i, g, f, o along the last axis and torch i, f, g, o: its own inverse
    i, second, third, o = tensor.chunk(4, dim=-1)
    return torch.cat([i, third, second, o], dim=-1)


# TensorFlow multiplies x W and torch W x
_TRANSPOSE = Transform(lambda tensor: [tensor.t()], lambda tensors: tensors[0].t())
# TensorFlow convolves images of height 1: (1, width, in, out) against torch's (out, in, width)
_CONVOLUTION = Transform(
    lambda tensor: [tensor[0].permute(2, 1, 0)], lambda tensors: tensors[0].permute(2, 1, 0)[None]
)
# the file has no row for the mask
_MASK_ROW = Transform(
    lambda tensor: [torch.cat([torch.zeros_like(tensor[:1]), tensor])],
    lambda tensors: tensors[0][1:],
)
_GATES = Transform(lambda tensor: [_swap_gates(tensor)], lambda tensors: _swap_gates(tensors[0]))
# the input's rows come first
_INPUT_AND_RECURRENT = Transform(
    lambda tensor: _swap_gates(tensor).t().chunk(2, dim=1),
    lambda tensors: _swap_gates(torch.cat([*tensors], dim=1).t()),
)
