"""The bidirectional language model's body: character ids to all layers of vectors."""

from typing import NamedTuple, Optional

import torch
from torch import nn

from elmo_components.alphabet import MAX_CHARACTERS
from elmo_components.characters import sentence_marks, word_numbers
from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError, mismatches
from elmo_components.config import CharCnnConfig, ElmoConfig
from elmo_components.modules.char_cnn import CACHE_SIZE, CharCnn
from elmo_components.modules.lstm import ElmoLstm, LstmState, sentence_lengths

__all__ = ["BiLm", "BiLmOutput", "check_ids"]


class BiLmOutput(NamedTuple):
    """
    What a biLM returns, sentence marks included.

    # Parameters

    layers : `torch.Tensor`
        (num_layers + 1, batch, time + 2, 2 * hidden_size), 0 where masked; the first is the
        character encoder's, twice.
    mask : `torch.Tensor`
        (batch, time + 2), bool.
    state : `LstmState`
        The LSTMs' after the last step.
    """

    layers: torch.Tensor
    mask: torch.Tensor
    state: LstmState


class BiLm(nn.Module):
    """
    The biLM (Peters et al. 2018, section 3.1) without its softmax: character encoder and LSTMs.

    # Parameters

    config : `ElmoConfig`
        The sizes.
    recurrent_dropout : `float`
        See `ElmoLstm`.
    precision : `str`
        "float32", "bfloat16" or "int8": the least that will do in the LSTMs while nothing is
        trained there. See `ElmoLstm`.
    word_cache_size : `int`
        How many words' vectors the character encoder keeps while it is frozen. See `CharCnn`.
    recompute_gates : `bool`
        See `ElmoLstm`.
    """

    bos_ids: torch.Tensor
    eos_ids: torch.Tensor

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
        for name, ids in zip(("bos_ids", "eos_ids"), sentence_marks(config.char_cnn)):
            self.register_buffer(name, torch.tensor(ids), persistent=False)

    def forward(self, character_ids: torch.Tensor, state: Optional[LstmState] = None) -> BiLmOutput:
        """
        # Parameters

        character_ids : `torch.Tensor`
            int64, (batch, time, 50), with a word table 52, without sentence marks; a word of zeros
            is padding.
        state : `Optional[LstmState]`
            Where each sentence goes on from; `None` for zeros.

        # Raises

        `ValueError` for ids out of range, a wrong shape, or a word after padding.
        """
        check_ids(character_ids, self.config.char_cnn)
        ids, mask = self._with_boundaries(character_ids)
        # (batch, time + 2, hidden_size)
        tokens = self.char_cnn(ids)
        layers, state = self.lstm(tokens, mask, state)
        # (1, batch, time + 2, 2 * hidden_size)
        token_layer = torch.cat([tokens, tokens], dim=-1).unsqueeze(0) * mask.unsqueeze(-1)
        return BiLmOutput(torch.cat([token_layer, layers]), mask, state)

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """
        Copies a checkpoint's tensors, but for a softmax.

        # Raises

        `CheckpointError` that lists every name missing or left over and every other shape; then
        nothing is copied.
        """
        tensors = checkpoint.without_softmax().tensors
        shapes = {name: tensor.shape for name, tensor in self.state_dict().items()}
        found = {name: tensor.shape for name, tensor in tensors.items()}
        problems = mismatches(found, shapes)
        if problems:
            raise CheckpointError("The checkpoint does not fit: " + "; ".join(problems))
        self.load_state_dict(tensors)

    def _with_boundaries(self, character_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch, time, characters = character_ids.shape
        lengths = sentence_lengths((character_ids > 0).any(dim=-1))
        # (batch, time + 2, characters)
        ids = character_ids.new_zeros(batch, time + 2, characters)
        ids[:, 0] = self.bos_ids
        ids[:, 1:-1] = character_ids
        ids[torch.arange(batch, device=ids.device), lengths + 1] = self.eos_ids
        # (batch, time + 2)
        steps = torch.arange(time + 2, device=ids.device).unsqueeze(0)
        return ids, steps < lengths.unsqueeze(1) + 2


def check_ids(character_ids: torch.Tensor, config: CharCnnConfig) -> None:
    """
    Holds ids to what `BiLm.forward` takes, but for padding before a word.

    # Raises

    `ValueError` for ids out of range, another dtype, or a wrong shape.
    """
    if character_ids.dim() != 3 or character_ids.size(-1) != config.ids_per_word:
        raise ValueError(
            f"Character ids must be of shape (batch, time, {config.ids_per_word}); "
            f"found {tuple(character_ids.shape)}"
        )
    if character_ids.dtype != torch.int64:
        raise ValueError(f"Character ids must be int64; found {character_ids.dtype}")
    if character_ids.numel() > 0:
        _check_range("Character ids", character_ids[..., :MAX_CHARACTERS], config.num_characters)
        if config.words:
            # the mask has none
            numbers = word_numbers(character_ids) + 1
            _check_range("Words' numbers", numbers, config.num_words + 1)


def _check_range(what: str, ids: torch.Tensor, number: int) -> None:
    least, most = int(ids.min()), int(ids.max())
    if least < 0 or most >= number:
        raise ValueError(
            f"{what} must be from 0 to {number - 1}; found {least if least < 0 else most}"
        )
