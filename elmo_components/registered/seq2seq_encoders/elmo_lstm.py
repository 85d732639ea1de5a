"""The LSTMs of ELMo as a `Seq2SeqEncoder`."""

from typing import Optional, Union

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.modules.seq2seq_encoders.seq2seq_encoder import Seq2SeqEncoder

from elmo_components.config import LstmConfig
from elmo_components.modules.lstm import ElmoLstm

__all__ = ["ElmoLstmEncoder"]


@Seq2SeqEncoder.register("elmo_lstm")
class ElmoLstmEncoder(Seq2SeqEncoder):
    """
    Stacked LSTMs with projection and clipping, in two independent directions.

    It can be the encoder of any model and the contextualizer of a bidirectional language model,
    since neither direction sees the other. It has no state between calls.

    Registered as a `Seq2SeqEncoder` with name "elmo_lstm".

    # Parameters

    input_size : `int`
        The size of an input vector.
    hidden_size : `int`
        The output size of one direction; the encoder's is twice that.
    cell_size : `Optional[int]`
        The size of the memory cell; `None` for `hidden_size`, without a projection.
    num_layers : `int`
        1 or more.
    cell_clip, projection_clip : `Optional[float]`
        Clips the memory cell and the projected output to [-value, value]; `None` for no clipping.
        Published models have 3.
    skip_connections : `bool`
        Whether each layer but the first adds its input to its output.
    recurrent_dropout : `float`
        See `ElmoLstm`.
    recompute_gates : `bool`
        Whether training saves memory at the cost of time. See `ElmoLstm`.
    return_all_layers : `bool`
        Whether to return a list of all layers' outputs, which allennlp-models'
        `bidirectional_lm_token_embedder` needs, instead of the last layer's output.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        cell_size: Optional[int] = None,
        num_layers: int = 2,
        cell_clip: Optional[float] = None,
        projection_clip: Optional[float] = None,
        skip_connections: bool = True,
        recurrent_dropout: float = 0.0,
        recompute_gates: bool = False,
        return_all_layers: bool = False,
    ) -> None:
        super().__init__()
        try:
            config = LstmConfig(
                hidden_size=hidden_size,
                cell_size=hidden_size if cell_size is None else cell_size,
                num_layers=num_layers,
                cell_clip=cell_clip,
                projection_clip=projection_clip,
                skip_connections=skip_connections,
            )
            self._lstm = ElmoLstm(
                config,
                input_size=input_size,
                recurrent_dropout=recurrent_dropout,
                recompute_gates=recompute_gates,
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        # read by allennlp-models' language models
        self.num_layers = num_layers
        self._return_all_layers = return_all_layers

    def get_input_dim(self) -> int:
        """Returns the size of an input vector."""
        return self._lstm.input_size

    def get_output_dim(self) -> int:
        """Returns the size of an output vector: both directions."""
        return 2 * self._lstm.config.hidden_size

    def is_bidirectional(self) -> bool:
        """Returns true."""
        return True

    def forward(
        self, inputs: torch.Tensor, mask: Optional[torch.BoolTensor] = None
    ) -> Union[torch.Tensor, list[torch.Tensor]]:
        """
        # Parameters

        inputs : `torch.Tensor`
            (batch, time, input_size)
        mask : `Optional[torch.BoolTensor]`
            (batch, time): true for tokens, then false for padding; `None` for no padding.

        # Returns

        `Union[torch.Tensor, List[torch.Tensor]]`
            (batch, time, 2 * hidden_size), 0 where masked; with `return_all_layers` one a layer,
            lowest first.
        """
        everything = inputs.new_ones(inputs.shape[:2], dtype=torch.bool)
        # (num_layers, batch, time, 2 * hidden_size)
        layers, _ = self._lstm(inputs, everything if mask is None else mask)
        return list(layers) if self._return_all_layers else layers[-1]
