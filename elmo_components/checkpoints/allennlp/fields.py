"""The parameters of AllenNLP's own ELMo: their names, shapes and transforms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from elmo_components.checkpoints.checkpoint import CheckpointError
from elmo_components.checkpoints.name_map import Entry, Transform, cnn_entries, lstm_entries
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig

__all__ = ["EMBEDDING", "PUBLISHED", "allennlp_entries", "config_from_shapes"]

ENCODER = "_token_embedder"
EMBEDDING = f"{ENCODER}._char_embedding_weights"
LSTM = "_elmo_lstm"

# What shapes do not tell, as in every published ELMo. The sizes are of no model.
PUBLISHED = ElmoConfig(
    char_cnn=CharCnnConfig(
        embedding_size=1, filters=((1, 1),), num_highway_layers=0, activation="relu"
    ),
    lstm=LstmConfig(
        hidden_size=1,
        cell_size=1,
        num_layers=1,
        cell_clip=3.0,
        projection_clip=3.0,
        skip_connections=True,
    ),
)


def allennlp_entries(config: ElmoConfig) -> list[Entry]:
    """Returns the list for AllenNLP's `_ElmoBiLm`."""
    cnn = config.char_cnn
    ours, shape = "char_cnn.character_embedding.weight", (cnn.num_characters, cnn.embedding_size)
    return [
        Entry((ours,), EMBEDDING, shape, _MASK_ROW),
        *cnn_entries(config, f"{ENCODER}.", "char_conv_", "_projection"),
        *lstm_entries(config, f"{LSTM}."),
    ]


def config_from_shapes(shapes: Mapping[str, Sequence[int]], like: ElmoConfig) -> ElmoConfig:
    """
    Returns the sizes of the `_ElmoBiLm` whose parameters have these shapes. What shapes do not
    tell, which is the clips, the activation, the skip connections and the alphabet, is `like`'s.

    # Raises

    `CheckpointError` for shapes that are not such a module's.
    """

    def numbered(name: str) -> list[Sequence[int]]:
        found: list[Sequence[int]] = []
        while name.format(len(found)) in shapes:
            found.append(shapes[name.format(len(found))])
        return found

    cells = numbered(f"{LSTM}.forward_layer_{{}}.state_linearity.weight")
    try:
        return ElmoConfig(
            char_cnn=replace(
                like.char_cnn,
                embedding_size=shapes[EMBEDDING][1],
                filters=tuple(
                    (width, number)
                    for number, _, width in numbered(f"{ENCODER}.char_conv_{{}}.weight")
                ),
                num_highway_layers=len(numbered(f"{ENCODER}._highways._layers.{{}}.weight")),
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


def _zero_mask_row(tensor: torch.Tensor) -> torch.Tensor:
    # a trained table may hold anything in this row, which is not in use
    tensor = tensor.clone()
    tensor[:1] = 0.0
    return tensor


_MASK_ROW = Transform(lambda tensor: [_zero_mask_row(tensor)], lambda tensors: tensors[0])
