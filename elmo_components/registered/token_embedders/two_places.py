"""ELMo at two places of a model, the input and the output of its encoder, with two mixes."""

from typing import Optional

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.modules.seq2seq_encoders.seq2seq_encoder import Seq2SeqEncoder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder, TextFieldEmbedder
from allennlp.modules.token_embedders.token_embedder import TokenEmbedder

from elmo_components.registered.token_embedders.elmo import ElmoEmbedder

__all__ = [
    "AroundEncoder",
    "BasicWithoutTwoPlaces",
    "ElmoForTwoPlaces",
    "TwoPlacesTextFieldEmbedder",
]

NAME = "elmo_for_two_places"


@TokenEmbedder.register(NAME)
class ElmoForTwoPlaces(ElmoEmbedder):
    """
    Embeds tokens with two weighted means of one biLM's layers, concatenated.

    The encoder "around_encoder" reads the first and concatenates the second to its output (Peters
    et al. 2018, section 3.3). With other token embedders, the text field embedder must have the
    type "elmo_for_two_places" too: it concatenates vectors in the order that the encoder needs.

    Registered as a `TokenEmbedder` with name "elmo_for_two_places".

    # Parameters

    See `ElmoEmbedder`.
    """

    num_mixes = 2


@TextFieldEmbedder.register(NAME)
class TwoPlacesTextFieldEmbedder(BasicTextFieldEmbedder):
    """
    A "basic" text field embedder that puts `ElmoForTwoPlaces` last, whatever its key.

    So the other embedders' vectors and ELMo's first mean are the encoder's input, and ELMo's second
    mean is not.

    Registered as a `TextFieldEmbedder` with name "elmo_for_two_places".

    # Parameters

    token_embedders : `Dict[str, TokenEmbedder]`
        Embedders by the keys of their indexers; one must be "elmo_for_two_places".
    """

    def __init__(self, token_embedders: dict[str, TokenEmbedder]) -> None:
        super().__init__(token_embedders)
        keys = _keys_of_two_places(token_embedders)
        if len(keys) != 1:
            raise ConfigurationError(
                f"One token embedder must be of the type {NAME!r}; found {len(keys)}"
            )
        self._ordered_embedder_keys.remove(keys[0])
        self._ordered_embedder_keys.append(keys[0])


@TextFieldEmbedder.register("basic", exist_ok=True)
class BasicWithoutTwoPlaces(BasicTextFieldEmbedder):
    """
    AllenNLP's "basic" text field embedder, which raises if `ElmoForTwoPlaces` is not last by key.

    Otherwise the encoder would read a part of the second mean instead of other embedders' vectors.

    Registered as a `TextFieldEmbedder` with name "basic", in place of AllenNLP's.

    # Parameters

    See `BasicTextFieldEmbedder`.
    """

    def __init__(self, token_embedders: dict[str, TokenEmbedder]) -> None:
        super().__init__(token_embedders)
        keys = _keys_of_two_places(token_embedders)
        if keys and keys != self._ordered_embedder_keys[-1:]:
            raise ConfigurationError(
                f"The token embedder {keys[0]!r} must be the last, but the order is "
                f"{', '.join(self._ordered_embedder_keys)}. Set the type of the text field "
                f"embedder to {NAME!r}"
            )


def _keys_of_two_places(token_embedders: dict[str, TokenEmbedder]) -> list[str]:
    return [
        key for key, embedder in token_embedders.items() if isinstance(embedder, ElmoForTwoPlaces)
    ]


@Seq2SeqEncoder.register("around_encoder")
class AroundEncoder(Seq2SeqEncoder):
    """
    Encodes the first part of each vector and copies the last part: [x; y] to [encoder(x); y].

    Registered as a `Seq2SeqEncoder` with name "around_encoder".

    # Parameters

    encoder : `Seq2SeqEncoder`
        Reads the first part.
    input_size : `int`
        The size of the whole vector.

    # Raises

    `ConfigurationError` if `input_size` leaves no last part.
    """

    def __init__(self, encoder: Seq2SeqEncoder, input_size: int) -> None:
        super().__init__()
        if input_size <= encoder.get_input_dim():
            raise ConfigurationError(
                f"input_size must be greater than {encoder.get_input_dim()}, the input size of the "
                f"encoder; found {input_size}"
            )
        self.encoder = encoder
        self._input_size = input_size

    def get_input_dim(self) -> int:
        """Returns the size of an input vector."""
        return self._input_size

    def get_output_dim(self) -> int:
        """Returns the size of an output vector: the encoder's and the last part's."""
        last_part = self._input_size - self.encoder.get_input_dim()
        return self.encoder.get_output_dim() + last_part

    def is_bidirectional(self) -> bool:
        """Returns whether the encoder is bidirectional."""
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
