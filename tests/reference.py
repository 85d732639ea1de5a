"""
The model's equations in float64 and plain loops, written from the papers and not from the package.

Numpy alone, one number or one small vector at a time: slow, and too simple to be wrong in the same
way as the code it checks. Tensors are given under the package's public parameter names.
"""

from collections.abc import Mapping, Sequence
from typing import Optional

import numpy

Arrays = Mapping[str, numpy.ndarray]


def word_vector(
    ids: Sequence[int], tensors: Arrays, *, activation: str, num_filters: int, num_highways: int
) -> numpy.ndarray:
    """Kim et al. 2016: the vector of one word from its 50 character ids."""
    characters = [tensors["character_embedding.weight"][character] for character in ids]
    features = []
    for index in range(num_filters):
        # (number, embedding_size, width)
        weight = tensors[f"convolutions.{index}.weight"]
        bias = tensors[f"convolutions.{index}.bias"]
        number, _, width = weight.shape
        for feature in range(number):
            best = -numpy.inf
            for start in range(len(ids) - width + 1):
                total = bias[feature]
                for offset in range(width):
                    total += weight[feature, :, offset] @ characters[start + offset]
                best = max(best, total)
            features.append(max(best, 0.0) if activation == "relu" else numpy.tanh(best))
    word = numpy.array(features)
    for index in range(num_highways):
        carry, transform = (
            tensors[f"highways.{index}.{gate}.weight"] @ word
            + tensors[f"highways.{index}.{gate}.bias"]
            for gate in ("carry", "transform")
        )
        gate = sigmoid(carry)
        word = gate * numpy.maximum(transform, 0.0) + (1.0 - gate) * word
    if "projection.weight" in tensors:
        word = tensors["projection.weight"] @ word + tensors["projection.bias"]
    return word


def lstm_steps(
    inputs: Sequence[numpy.ndarray],
    *,
    input_weight: numpy.ndarray,
    recurrent_weight: numpy.ndarray,
    bias: numpy.ndarray,
    projection_weight: Optional[numpy.ndarray],
    cell_clip: Optional[float],
    projection_clip: Optional[float],
    hidden: numpy.ndarray,
    cell: numpy.ndarray,
) -> tuple[list[numpy.ndarray], numpy.ndarray, numpy.ndarray]:
    """Sak et al. 2014 with clipping: the outputs, last output and last cell of one direction."""
    outputs = []
    for vector in inputs:
        gates = input_weight @ vector + recurrent_weight @ hidden + bias
        i, f, g, o = numpy.split(gates, 4)
        cell = sigmoid(i) * numpy.tanh(g) + sigmoid(f) * cell
        if cell_clip is not None:
            cell = numpy.clip(cell, -cell_clip, cell_clip)
        hidden = sigmoid(o) * numpy.tanh(cell)
        if projection_weight is not None:
            hidden = projection_weight @ hidden
            if projection_clip is not None:
                hidden = numpy.clip(hidden, -projection_clip, projection_clip)
        outputs.append(hidden)
    return outputs, hidden, cell


def bilm_layers(
    words: Sequence[numpy.ndarray],
    tensors: Arrays,
    *,
    num_layers: int,
    cell_clip: Optional[float],
    projection_clip: Optional[float],
    skip_connections: bool,
) -> numpy.ndarray:
    """Peters et al. 2018, section 3.1: all layers, (num_layers + 1, time, 2 * hidden_size)."""
    halves = []
    for name in ("forward", "backward"):
        inputs = list(words) if name == "forward" else list(reversed(words))
        layers = [inputs]
        for layer in range(num_layers):
            prefix = f"{name}_layers.{layer}"
            bias = tensors[f"{prefix}.bias"].copy()
            cell_size = len(bias) // 4
            # TensorFlow's LSTMCell adds 1 to the forget gate
            bias[cell_size : 2 * cell_size] += 1.0
            recurrent = tensors[f"{prefix}.recurrent_weight"]
            outputs, _, _ = lstm_steps(
                inputs,
                input_weight=tensors[f"{prefix}.input_weight"],
                recurrent_weight=recurrent,
                bias=bias,
                projection_weight=tensors.get(f"{prefix}.projection_weight"),
                cell_clip=cell_clip,
                projection_clip=projection_clip,
                hidden=numpy.zeros(recurrent.shape[1]),
                cell=numpy.zeros(cell_size),
            )
            if skip_connections and layer > 0:
                outputs = [output + below for output, below in zip(outputs, inputs)]
            layers.append(outputs)
            inputs = outputs
        if name == "backward":
            layers = [list(reversed(layer)) for layer in layers]
        halves.append(numpy.array(layers))
    return numpy.concatenate(halves, axis=-1)


def float64(state_dict: Mapping) -> dict[str, numpy.ndarray]:
    """Returns a module's parameters in float64."""
    return {name: tensor.detach().double().numpy() for name, tensor in state_dict.items()}


def sigmoid(values: numpy.ndarray) -> numpy.ndarray:
    return 1.0 / (1.0 + numpy.exp(-values))
