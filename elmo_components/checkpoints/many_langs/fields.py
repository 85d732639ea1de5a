"""
The tensors of ELMoForManyLangs: their names and shapes, and what lies between them and ours.

`embedder_entries` and `encoder_entries` are the one list for both ways, reading and writing.
"""

from collections.abc import Sequence

import numpy

from elmo_components.alphabet import NUM_CHARACTERS, UNKNOWN_WORD
from elmo_components.characters import (
    BEGIN_SENTENCE,
    BEGIN_WORD,
    END_SENTENCE,
    END_WORD,
    PADDING,
    UNKNOWN_ID,
)
from elmo_components.checkpoints.bilm_tf.fields import Entry, Transform
from elmo_components.config import ElmoConfig

__all__ = ["embedder_entries", "encoder_entries"]

# Our ids of what their `char.dic` has beside characters. The original's code takes "<eow>" for
# what begins a word and "<bow>" for what ends it, and its models are trained so.
SPECIAL_IDS = {
    UNKNOWN_WORD: UNKNOWN_ID,
    "<bos>": BEGIN_SENTENCE + 1,
    "<eos>": END_SENTENCE + 1,
    "<eow>": BEGIN_WORD + 1,
    "<bow>": END_WORD + 1,
    "<pad>": PADDING + 1,
}


def embedder_entries(config: ElmoConfig, characters: Sequence[str]) -> list[Entry]:
    """
    Returns the list for `token_embedder.pkl`.

    # Parameters

    characters : `Sequence[str]`
        The keys of `char.dic` in the order of its rows.
    """
    cnn, hidden, filters = config.char_cnn, config.lstm.hidden_size, config.char_cnn.num_filters
    entries = []
    if cnn.words:
        entries.append(_same("word_embedding.weight", (cnn.num_words, cnn.word_size)))
    if characters:
        entries.append(
            Entry(
                ("char_cnn.character_embedding.weight",),
                "char_emb_layer.embedding.weight",
                (len(characters), cnn.embedding_size),
                _rows(config, characters),
            )
        )
    for index, (width, number) in enumerate(cnn.filters):
        entries += [
            _same(f"convolutions.{index}.weight", (number, cnn.embedding_size, width)),
            _same(f"convolutions.{index}.bias", (number,)),
        ]
    for index in range(cnn.num_highway_layers):
        shapes: dict[str, tuple[int, ...]] = {
            "weight": (2 * filters, filters),
            "bias": (2 * filters,),
        }
        for part, shape in shapes.items():
            ours = tuple(
                f"char_cnn.highways.{index}.{gate}.{part}" for gate in ("transform", "carry")
            )
            entries.append(Entry(ours, f"highways._layers.{index}.{part}", shape, _HIGHWAY))
    entries += [
        _same("projection.weight", (hidden, cnn.word_size + filters)),
        _same("projection.bias", (hidden,)),
    ]
    return entries


def encoder_entries(config: ElmoConfig) -> list[Entry]:
    """Returns the list for `encoder.pkl`."""
    hidden, cell = config.lstm.hidden_size, config.lstm.cell_size
    return [
        Entry((f"lstm.{direction}_layers.{layer}.{ours}",), theirs, shape, transform)
        for direction in ("forward", "backward")
        for layer in range(config.lstm.num_layers)
        for ours, part, shape, transform in (
            ("input_weight", "input_linearity.weight", (4 * cell, hidden), _SAME),
            ("recurrent_weight", "state_linearity.weight", (4 * cell, hidden), _SAME),
            ("bias", "state_linearity.bias", (4 * cell,), _FORGET_BIAS),
            ("projection_weight", "state_projection.weight", (hidden, cell), _SAME),
        )
        for theirs in (f"{direction}_layer_{layer}.{part}",)
    ]


def _same(name: str, shape: tuple[int, ...]) -> Entry:
    theirs = name.replace("word_embedding", "word_emb_layer.embedding")
    return Entry((f"char_cnn.{name}",), theirs, shape, _SAME)


def _rows(config: ElmoConfig, characters: Sequence[str]) -> Transform:
    places = {
        character: NUM_CHARACTERS + place
        for place, character in enumerate(config.char_cnn.alphabet)
    }
    # (rows,), of ours
    ids = [SPECIAL_IDS[key] if key in SPECIAL_IDS else places[key] for key in characters]

    def read(array: numpy.ndarray) -> Sequence[numpy.ndarray]:
        # (num_characters, embedding_size); the ids of bytes are not in use
        ours = numpy.zeros((config.char_cnn.num_characters, array.shape[1]), dtype=array.dtype)
        ours[ids] = array
        return [ours]

    return Transform(read, lambda arrays: arrays[0][ids])


def _add_to_forget_gate(array: numpy.ndarray, number: float) -> numpy.ndarray:
    result = array.copy()
    _, forget, _, _ = numpy.split(result, 4)
    forget += number
    return result


def _split_highway(array: numpy.ndarray) -> Sequence[numpy.ndarray]:
    transform, gate = numpy.split(array, 2)
    return [transform, -gate]


_SAME = Transform(lambda array: [array], lambda arrays: arrays[0])
# the gate says what is carried there, and here what is transformed
_HIGHWAY = Transform(
    _split_highway, lambda arrays: numpy.concatenate([arrays[0], -arrays[1]], axis=0)
)
# what is stored is final there; here the forget gate has 1 added as it runs
_FORGET_BIAS = Transform(
    lambda array: [_add_to_forget_gate(array, -1.0)],
    lambda arrays: _add_to_forget_gate(arrays[0], 1.0),
)
