"""The bidirectional language model without its softmax."""

from typing import NamedTuple, Optional

import torch
from torch import nn

from elmo_components.alphabet import CODE_POINTS, MAX_CHARACTERS
from elmo_components.characters import UNKNOWN_ID, sentence_marks, word_numbers
from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError, mismatches
from elmo_components.config import CharCnnConfig, ElmoConfig
from elmo_components.modules.char_cnn import CACHE_SIZE, CharCnn
from elmo_components.modules.eager import eager
from elmo_components.modules.lstm import ElmoLstm, sentence_lengths
from elmo_components.modules.lstm_state import LstmState

__all__ = ["BiLm", "BiLmOutput", "check_ids"]

# The ids of single bytes. Above them are those of the marks, the padding and the alphabet.
BYTE_IDS = range(1, 257)
# UTF-8 begins each character beyond ASCII with a byte from here on.
FIRST_LEADING_BYTE_ID = 0xC2 + 1


class BiLmOutput(NamedTuple):
    """
    What a biLM returns, sentence marks included.

    # Parameters

    layers : `torch.Tensor`
        (num_layers + 1, batch, time + 2, 2 * hidden_size), 0 where masked. Both halves of the first
        layer are the character encoder's vectors.
    mask : `torch.Tensor`
        (batch, time + 2), bool.
    state : `LstmState`
        The state after the last step.
    """

    layers: torch.Tensor
    mask: torch.Tensor
    state: LstmState


class BiLm(nn.Module):
    """
    The biLM without its softmax: a character encoder and LSTMs (Peters et al. 2018, section 3.1).

    # Parameters

    config : `ElmoConfig`
        The sizes.
    recurrent_dropout, precision, recompute_gates
        See `ElmoLstm`.
    word_cache_size : `int`
        How many word vectors the frozen character encoder caches. See `CharCnn`.
    """

    def __init__(
        self,
        config: ElmoConfig,
        *,
        recurrent_dropout: float = 0.0,
        precision: str = "float32",
        word_cache_size: int = CACHE_SIZE,
        recompute_gates: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.char_cnn = CharCnn(
            config.char_cnn, hidden_size=config.lstm.hidden_size, cache_size=word_cache_size
        )
        self.lstm = ElmoLstm(
            config.lstm,
            input_size=config.lstm.hidden_size,
            recurrent_dropout=recurrent_dropout,
            precision=precision,
            recompute_gates=recompute_gates,
        )
        # not buffers, which a checkpoint does not have and so could not restore
        self._marks = [ids.tolist() for ids in sentence_marks(config.char_cnn)]

    @eager
    def forward(self, character_ids: torch.Tensor, state: Optional[LstmState] = None) -> BiLmOutput:
        """
        # Parameters

        character_ids : `torch.Tensor`
            int64, (batch, time, 50), or 52 with a word table, without sentence marks. A word of
            zeros is padding.
        state : `Optional[LstmState]`
            Each sentence's initial state; `None` for zeros.

        # Raises

        `ValueError` for ids out of range or for another alphabet or other units, a wrong shape, or
        a word after padding.
        """
        lengths, mask = self.lengths_and_mask(character_ids)
        # (batch, time + 2, hidden_size)
        tokens = self.char_cnn(self._with_boundaries(character_ids, lengths))
        # (num_layers + 1, batch, time + 2, 2 * hidden_size)
        layers, state = self.lstm(tokens, mask, state, include_inputs=True)
        return BiLmOutput(layers, mask, state)

    def lengths_and_mask(self, character_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Returns the number of tokens of each sentence, (batch,), and `BiLmOutput.mask`.

        # Raises

        `ValueError` for ids that `forward` refuses.
        """
        check_ids(character_ids, self.config.char_cnn)
        lengths = sentence_lengths((character_ids > 0).any(dim=-1))
        # (1, time + 2)
        steps = torch.arange(character_ids.size(1) + 2, device=lengths.device).unsqueeze(0)
        return lengths, steps < lengths.unsqueeze(1) + 2

    def mark_ids(self, device: torch.device) -> torch.Tensor:
        """Returns the ids of the marks before and after a sentence: int64, (2, 50), or (2, 52)."""
        return torch.tensor(self._marks, device=device)

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """
        Copies a checkpoint's tensors, except for those of a softmax.

        # Raises

        `CheckpointError` that lists every missing or unknown name and every wrong shape; then
        nothing is copied.
        """
        tensors = checkpoint.without_softmax().tensors
        shapes = {name: tensor.shape for name, tensor in self.state_dict().items()}
        found = {name: tensor.shape for name, tensor in tensors.items()}
        problems = mismatches(found, shapes)
        if problems:
            raise CheckpointError("The checkpoint does not fit: " + "; ".join(problems))
        self.load_state_dict(tensors)

    def _with_boundaries(self, character_ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        batch, time, characters = character_ids.shape
        begin, end = self.mark_ids(character_ids.device)
        # (batch, time + 2, characters)
        ids = character_ids.new_zeros(batch, time + 2, characters)
        ids[:, 0] = begin
        ids[:, 1:-1] = character_ids
        ids[torch.arange(batch, device=ids.device), lengths + 1] = end
        return ids


def check_ids(character_ids: torch.Tensor, config: CharCnnConfig) -> None:
    """
    Checks that a biLM can read character ids, except for a word after padding.

    # Raises

    `ValueError` for ids out of range, another dtype or shape, or ids that `CharacterMapper` makes
    for another alphabet or other units.
    """
    if character_ids.dim() != 3 or character_ids.size(-1) != config.ids_per_word:
        raise ValueError(
            f"Character ids must be of shape (batch, time, {config.ids_per_word}); "
            f"found {tuple(character_ids.shape)}"
        )
    if character_ids.dtype != torch.int64:
        raise ValueError(f"Character ids must be int64; found {character_ids.dtype}")
    if character_ids.numel() > 0:
        characters = character_ids[..., :MAX_CHARACTERS]
        _check_range("Character ids", characters, config.num_characters)
        if config.words:
            # -1 for the mask
            numbers = word_numbers(character_ids) + 1
            _check_range("Words' numbers", numbers, config.num_words + 1)
        _check_spelling(characters, config)


def _check_range(what: str, ids: torch.Tensor, number: int) -> None:
    least, most = int(ids.min()), int(ids.max())
    if least < 0 or most >= number:
        raise ValueError(
            f"{what} must be from 0 to {number - 1}; found {least if least < 0 else most}"
        )


def _check_spelling(ids: torch.Tensor, config: CharCnnConfig) -> None:
    if config.units == CODE_POINTS:
        is_foreign = (ids > UNKNOWN_ID) & (ids < BYTE_IDS.stop)
    elif config.alphabet:
        is_foreign = (ids >= FIRST_LEADING_BYTE_ID) & (ids < BYTE_IDS.stop)
    else:
        return
    # (batch, time)
    has_foreign = is_foreign.any(dim=-1)
    if not bool(has_foreign.any()):
        return
    if config.units == CODE_POINTS:
        raise ValueError(
            "The model reads words by code points; found ids of bytes. Give the indexer the "
            f"model's units, {CODE_POINTS!r}, and its alphabet"
        )
    # an alphabet's own characters are never spelt by their bytes
    own = set(config.alphabet)
    for word in ids[has_foreign].tolist():
        data = bytes(number - 1 for number in word if number in BYTE_IDS)
        spelt = own.intersection(data.decode("utf-8", "ignore"))
        if spelt:
            raise ValueError(
                f"The model's alphabet has {min(spelt)!r}; found it spelt by its bytes. Give the "
                "indexer the model's alphabet"
            )
