"""The parameters of a biLM in an AllenNLP model: their names, shapes and transforms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from elmo_components.checkpoints.architectures import ARCHITECTURES
from elmo_components.checkpoints.checkpoint import CheckpointError
from elmo_components.checkpoints.name_map import Entry, Transform, cnn_entries, lstm_entries
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.config import ElmoConfig

__all__ = [
    "ALLENNLP_NAMES",
    "OWN_NAMES",
    "PUBLISHED",
    "Names",
    "allennlp_entries",
    "config_from_shapes",
    "own_entries",
]


class Names(NamedTuple):
    """The names of the parameters whose shapes give a biLM's sizes."""

    embedding: str
    convolution: str
    highway: str
    cell: str


ALLENNLP_NAMES = Names(
    "_token_embedder._char_embedding_weights",
    "_token_embedder.char_conv_{}.weight",
    "_token_embedder._highways._layers.{}.weight",
    "_elmo_lstm.forward_layer_{}.state_linearity.weight",
)
OWN_NAMES = Names(
    "char_cnn.character_embedding.weight",
    "char_cnn.convolutions.{}.weight",
    "char_cnn.highways.{}.carry.weight",
    "lstm.forward_layers.{}.recurrent_weight",
)

# Every published ELMo agrees on what shapes do not tell.
PUBLISHED = ARCHITECTURES["original"]


def allennlp_entries(config: ElmoConfig) -> list[Entry]:
    """Returns the entries of AllenNLP's `_ElmoBiLm`."""
    cnn = config.char_cnn
    shape = (cnn.num_characters, cnn.embedding_size)
    return [
        Entry((OWN_NAMES.embedding,), ALLENNLP_NAMES.embedding, shape, _MASK_ROW),
        *cnn_entries(config, "_token_embedder.", "char_conv_", "_projection"),
        *lstm_entries(config, "_elmo_lstm."),
    ]


def own_entries(config: ElmoConfig) -> list[Entry]:
    """Returns the entries of this package's `BiLm`."""
    return [Entry((name,), name, shape) for name, shape in parameter_shapes(config).items()]


def config_from_shapes(
    shapes: Mapping[str, Sequence[int]], like: ElmoConfig, names: Names = ALLENNLP_NAMES
) -> ElmoConfig:
    """
    Returns the sizes of the biLM whose parameters have these shapes.

    The clips, the activation, the skip connections and the alphabet, which shapes do not give, are
    those of `like`.

    # Raises

    `CheckpointError` for shapes that are not a biLM's.
    """

    def numbered(name: str) -> list[Sequence[int]]:
        found: list[Sequence[int]] = []
        while name.format(len(found)) in shapes:
            found.append(shapes[name.format(len(found))])
        return found

    cells = numbered(names.cell)
    try:
        return ElmoConfig(
            char_cnn=replace(
                like.char_cnn,
                embedding_size=shapes[names.embedding][1],
                filters=tuple((width, number) for number, _, width in numbered(names.convolution)),
                num_highway_layers=len(numbered(names.highway)),
            ),
            lstm=replace(
                like.lstm,
                hidden_size=cells[0][1],
                cell_size=cells[0][0] // 4,
                num_layers=len(cells),
            ),
        )
    except (LookupError, ValueError) as error:
        raise CheckpointError(f"its shapes are not a biLM's: {error}") from error


# this row is not used, and a trained table may have any values in it
_MASK_ROW = Transform(
    lambda tensor: [torch.cat([torch.zeros_like(tensor[:1]), tensor[1:]])],
    lambda tensors: tensors[0],
)
