"""ELMo at two places of a model, the input and the output of its encoder, with two mixes."""

from typing import Optional

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.modules.seq2seq_encoders.seq2seq_encoder import Seq2SeqEncoder
from allennlp.modules.token_embedders.token_embedder import TokenEmbedder

from elmo_components.registered.token_embedders.elmo import ElmoEmbedder

__all__ = ["AroundEncoder", "ElmoForTwoPlaces"]


@TokenEmbedder.register("elmo_for_two_places")
class ElmoForTwoPlaces(ElmoEmbedder):
    """
    Two means of one biLM's layers, weighted differently, one after the other: for an encoder
    "around_encoder", which reads the first and adds the second to its output (Peters et al. 2018,
    section 3.3).

    Registered as a `TokenEmbedder` with name "elmo_for_two_places".

    # Parameters

    See `ElmoEmbedder`.
    """

    num_mixes = 2


@Seq2SeqEncoder.register("around_encoder")
class AroundEncoder(Seq2SeqEncoder):
    """
    An encoder that the last part of each vector goes around: [x; y] to [encoder(x); y].

    Registered as a `Seq2SeqEncoder` with name "around_encoder".

    # Parameters

    encoder : `Seq2SeqEncoder`
        What reads the first part.
    input_size : `int`
        The size of the whole vector.

    # Raises

    `ConfigurationError` where nothing goes around.
    """

    def __init__(self, encoder: Seq2SeqEncoder, input_size: int) -> None:
        super().__init__()
        if input_size <= encoder.get_input_dim():
            raise ConfigurationError(
                f"input_size must be greater than {encoder.get_input_dim()}, the input of the "
                f"encoder, so that something goes around it; found {input_size}"
            )
        self.encoder = encoder
        self._input_size = input_size

    def get_input_dim(self) -> int:
        """Returns the size of an input vector."""
        return self._input_size

    def get_output_dim(self) -> int:
        """Returns the size of an output vector: the encoder's, and what goes around."""
        around = self._input_size - self.encoder.get_input_dim()
        return self.encoder.get_output_dim() + around

    def is_bidirectional(self) -> bool:
        """Returns whether the encoder is."""
        return self.encoder.is_bidirectional()

    def forward(self, inputs: torch.Tensor, mask: Optional[torch.BoolTensor]) -> torch.Tensor:
        """
        # Parameters

        inputs : `torch.Tensor`
            (batch, time, input_size)
        mask : `Optional[torch.BoolTensor]`
            (batch, time)

        # Returns

        `torch.Tensor`
            (batch, time, get_output_dim())
        """
        size = self.encoder.get_input_dim()
        encoded = self.encoder(inputs[..., :size], mask)
        # (batch, time, get_output_dim())
        return torch.cat([encoded, inputs[..., size:]], dim=-1)
