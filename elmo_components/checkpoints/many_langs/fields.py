"""The tensors of ELMoForManyLangs: their names, shapes and transforms."""

from collections.abc import Sequence

import torch

from elmo_components.alphabet import NUM_CHARACTERS, UNKNOWN_WORD
from elmo_components.characters import (
    BEGIN_SENTENCE,
    BEGIN_WORD,
    END_SENTENCE,
    END_WORD,
    PADDING,
    UNKNOWN_ID,
)
from elmo_components.checkpoints.name_map import Entry, Transform, cnn_entries
from elmo_components.config import ElmoConfig

__all__ = ["CHARACTER_EMBEDDING", "embedder_entries"]

CHARACTER_EMBEDDING = "char_cnn.character_embedding.weight"

# Our ids of the keys of `char.dic` that are not characters. The original's code begins words with
# "<eow>" and ends them with "<bow>", and its models are trained so.
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
    Returns the list for `token_embedder.pkl`; that for `encoder.pkl` is `lstm_entries`.

    # Parameters

    characters : `Sequence[str]`
        The keys of `char.dic` in the order of its rows.
    """
    cnn = config.char_cnn
    entries = []
    if cnn.words:
        ours, shape = "char_cnn.word_embedding.weight", (cnn.num_words, cnn.word_size)
        entries.append(Entry((ours,), "word_emb_layer.embedding.weight", shape))
    if characters:
        theirs, shape = "char_emb_layer.embedding.weight", (len(characters), cnn.embedding_size)
        entries.append(Entry((CHARACTER_EMBEDDING,), theirs, shape, _rows(config, characters)))
    return entries + cnn_entries(config, "", "convolutions.", "projection")


def _rows(config: ElmoConfig, characters: Sequence[str]) -> Transform:
    ids_of = {
        character: NUM_CHARACTERS + place
        for place, character in enumerate(config.char_cnn.alphabet)
    }
    # our id for each of their rows
    ids = [SPECIAL_IDS[key] if key in SPECIAL_IDS else ids_of[key] for key in characters]

    def read(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
        # (num_characters, embedding_size); the ids of bytes are not used
        ours = tensor.new_zeros(config.char_cnn.num_characters, tensor.size(1))
        ours[ids] = tensor
        return [ours]

    return Transform(read, lambda tensors: tensors[0][ids])
