"""The names and shapes of a biLM's parameters, without building a module."""

import torch

from elmo_components.alphabet import listed
from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError, mismatches
from elmo_components.config import ElmoConfig

__all__ = ["check_tensors", "parameter_shapes"]


def parameter_shapes(config: ElmoConfig) -> dict[str, tuple[int, ...]]:
    """
    Returns the shape of each parameter of a `BiLm` of these sizes, by name.

    A file may declare any sizes. Its tensors are compared to these shapes before a module of such
    sizes is built.
    """
    cnn, lstm = config.char_cnn, config.lstm
    hidden, cell, filters = lstm.hidden_size, lstm.cell_size, cnn.num_filters
    shapes: dict[str, tuple[int, ...]] = {
        "char_cnn.character_embedding.weight": (cnn.num_characters, cnn.embedding_size)
    }
    for index, (width, number) in enumerate(cnn.filters):
        name = f"char_cnn.convolutions.{index}"
        shapes[f"{name}.weight"] = (number, cnn.embedding_size, width)
        shapes[f"{name}.bias"] = (number,)
    for index in range(cnn.num_highway_layers):
        for gate in ("carry", "transform"):
            name = f"char_cnn.highways.{index}.{gate}"
            shapes[f"{name}.weight"] = (filters, filters)
            shapes[f"{name}.bias"] = (filters,)
    if cnn.words:
        shapes["char_cnn.word_embedding.weight"] = (cnn.num_words, cnn.word_size)
    if cnn.has_projection(hidden):
        shapes["char_cnn.projection.weight"] = (hidden, cnn.word_size + filters)
        shapes["char_cnn.projection.bias"] = (hidden,)
    for direction in ("forward", "backward"):
        for layer in range(lstm.num_layers):
            name = f"lstm.{direction}_layers.{layer}"
            shapes[f"{name}.input_weight"] = (4 * cell, hidden)
            shapes[f"{name}.recurrent_weight"] = (4 * cell, hidden)
            shapes[f"{name}.bias"] = (4 * cell,)
            if cell != hidden:
                shapes[f"{name}.projection_weight"] = (hidden, cell)
    return shapes


def check_tensors(checkpoint: Checkpoint) -> None:
    """
    Checks that a checkpoint can be saved.

    # Raises

    `CheckpointError` that lists every tensor that is missing, unknown, of another shape, or has
    values that are not finite.
    """
    shapes = {name: tensor.shape for name, tensor in checkpoint.without_softmax().tensors.items()}
    problems = mismatches(shapes, parameter_shapes(checkpoint.config))
    problems += [
        f"{name} has values that are not finite"
        for name, tensor in checkpoint.tensors.items()
        if not torch.isfinite(tensor).all()
    ]
    if problems:
        raise CheckpointError(f"The biLM cannot be saved: {listed(problems)}")
