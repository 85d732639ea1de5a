"""The biLM with a softmax: each direction predicts the next word."""

import logging
from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch
from torch import nn

from elmo_components.checkpoints.checkpoint import SOFTMAX_NAMES, Checkpoint
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.lstm_state import LstmState
from elmo_components.pretraining.softmax import AdaptiveSoftmax, OwnWeights, Softmax

logger = logging.getLogger(__name__)

__all__ = ["LanguageModel", "Prediction"]


class Prediction(NamedTuple):
    """
    The losses and the state after a batch; direction 0 is the forward one.

    # Parameters

    loss : `torch.Tensor`
        The sum of -log p over both directions' targets, in nats.
    token_losses : `torch.Tensor`
        (2, batch, time), each target's loss, without gradient; 0 in the padding.
    state : `LstmState`
        The LSTMs' state after each row's last input.
    layers : `list[torch.Tensor]`
        (2, batch, time, hidden_size), each: the character encoder's output, then each LSTM
        layer's, in the order in which each direction reads.
    """

    loss: torch.Tensor
    token_losses: torch.Tensor
    state: LstmState
    layers: list[torch.Tensor]


class LanguageModel(nn.Module):
    """
    A forward and a backward language model with a common character encoder and softmax (Peters et
    al. 2018, section 3.1). Each reads its own inputs and predicts the next word; the backward one
    reads from last to first.

    # Parameters

    bilm : `BiLm`
        The character encoder and the LSTMs.
    softmax : `Softmax`
        The objective over the last layer.
    dropout : `float`
        In training, the probability that an element of a layer's or the softmax's input is 0, as
        in bilm-tf.
    """

    def __init__(self, bilm: BiLm, softmax: Softmax, *, dropout: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be at least 0 and below 1; found {dropout}")
        self.bilm = bilm
        self.softmax = softmax
        self.dropout = dropout

    def forward(
        self,
        character_ids: torch.Tensor,
        targets: torch.Tensor,
        lengths: torch.Tensor,
        state: Optional[LstmState] = None,
        sample_seed: Optional[torch.Tensor] = None,
    ) -> Prediction:
        """
        # Parameters

        character_ids : `torch.Tensor`
            int64, (2, batch, time, characters): each direction's inputs in its reading order,
            including sentence marks.
        targets : `torch.Tensor`
            int64, (2, batch, time): the number in the vocabulary of each next word.
        lengths : `torch.Tensor`
            int64, (batch,): the number of inputs of each row.
        state : `Optional[LstmState]`
            The initial state; `None` for zeros.
        sample_seed : `Optional[torch.Tensor]`
            See `SampledSoftmax.forward`.
        """
        # (batch, time)
        mask = torch.arange(targets.size(2), device=lengths.device) < lengths.unsqueeze(1)
        # (2, batch, time, hidden_size)
        vectors = self.bilm.char_cnn(character_ids)
        layers, state = self.bilm.lstm.directions(
            vectors, lengths, state, input_dropout=self.dropout
        )
        # (2, tokens, hidden_size), (2, tokens)
        hidden, words = layers[-1][:, mask], targets[:, mask]
        hidden = nn.functional.dropout(hidden, self.dropout, self.training)
        loss, losses = self.softmax(hidden.flatten(0, 1), words.flatten(), sample_seed)
        # (2, batch, time)
        token_losses = torch.zeros_like(targets, dtype=losses.dtype)
        token_losses[:, mask] = losses.view_as(words)
        return Prediction(loss, token_losses, state, [vectors.to(layers[0].dtype), *layers])

    def load_checkpoint(self, checkpoint: Checkpoint, vocabulary: Sequence[str]) -> None:
        """
        Copies a checkpoint's biLM, and its softmax if this one has `OwnWeights`. Rows of the
        softmax are matched by word. If the checkpoint has no words, they are matched by number if
        their number is the same. Other rows do not change. Logs what is copied.

        # Parameters

        checkpoint : `Checkpoint`
            The weights to copy.
        vocabulary : `Sequence[str]`
            This model's words, in the order of its softmax.

        # Raises

        `CheckpointError` for missing or unexpected names, or wrong shapes; then nothing is copied.
        """
        self.bilm.load_checkpoint(checkpoint)
        words, output = checkpoint.vocabulary, self._own_weights()
        if not checkpoint.num_words:
            logger.info("The checkpoint has no softmax; only its biLM is copied")
        elif output is None:
            logger.warning(
                "A tied or adaptive softmax cannot use the checkpoint's; only its biLM is copied"
            )
        elif words is None and checkpoint.num_words != len(vocabulary):
            logger.warning(
                "The checkpoint's softmax has %d words without names, and this one has %d; "
                "only its biLM is copied",
                checkpoint.num_words,
                len(vocabulary),
            )
        else:
            # words without names are assumed to be this model's
            rows = {word: row for row, word in enumerate(vocabulary if words is None else words)}
            known = [row for row, word in enumerate(vocabulary) if word in rows]
            theirs = [rows[vocabulary[row]] for row in known]
            with torch.no_grad():
                for name, parameter in zip(SOFTMAX_NAMES, (output.weight, output.bias)):
                    parameter[known] = checkpoint.tensors[name][theirs].to(parameter)
            logger.info(
                "%d of %d rows of the softmax are copied from the checkpoint, by %s",
                len(known),
                len(vocabulary),
                "number" if words is None else "name",
            )

    def to_checkpoint(self, vocabulary: Sequence[str]) -> Checkpoint:
        """
        Returns the biLM as a checkpoint, with softmax and vocabulary if the softmax has
        `OwnWeights`; file formats support no other. The tensors are not copies.

        # Parameters

        vocabulary : `Sequence[str]`
            The words in the order of the softmax.
        """
        tensors, output = self.bilm.state_dict(), self._own_weights()
        if output is None:
            return Checkpoint(self.bilm.config, tensors)
        tensors.update(zip(SOFTMAX_NAMES, (output.weight.detach(), output.bias.detach())))
        return Checkpoint(self.bilm.config, tensors, tuple(vocabulary))

    def _own_weights(self) -> Optional[OwnWeights]:
        output = None if isinstance(self.softmax, AdaptiveSoftmax) else self.softmax.output
        return output if isinstance(output, OwnWeights) else None
