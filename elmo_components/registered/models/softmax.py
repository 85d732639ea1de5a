"""The kinds of softmax that a configuration of a language model may ask for."""

from typing import Union

import torch
from allennlp.common import Registrable
from allennlp.common.checks import ConfigurationError

from elmo_components.modules.char_cnn import CharCnn
from elmo_components.pretraining.softmax import (
    AdaptiveSoftmax,
    FullSoftmax,
    OwnWeights,
    SampledSoftmax,
    Softmax,
    TiedWeights,
)

__all__ = ["Adaptive", "Full", "NextWordSoftmax", "Sampled"]


class NextWordSoftmax(Registrable):
    """What a configuration says of a softmax, before the vocabulary is known."""

    default_implementation = "full"

    def __init__(self, tied: bool = False) -> None:
        self.tied = tied

    def build(self, char_cnn: CharCnn, hidden_size: int, word_ids: torch.Tensor) -> Softmax:
        """
        Returns the softmax.

        # Parameters

        char_cnn : `CharCnn`
            The biLM's, for tied weights.
        hidden_size : `int`
            The size of the vectors that predict.
        word_ids : `torch.Tensor`
            int64, (num_words, characters), of the vocabulary's words in their order.
        """
        raise NotImplementedError

    def _output(
        self, char_cnn: CharCnn, hidden_size: int, word_ids: torch.Tensor, sparse: bool = False
    ) -> Union[OwnWeights, TiedWeights]:
        if self.tied:
            return TiedWeights(char_cnn, word_ids)
        return OwnWeights(len(word_ids), hidden_size, sparse=sparse)


@NextWordSoftmax.register("full")
class Full(NextWordSoftmax):
    """
    `FullSoftmax`; with `tied`, over `TiedWeights`.

    Registered as a `NextWordSoftmax` with name "full".
    """

    def build(self, char_cnn: CharCnn, hidden_size: int, word_ids: torch.Tensor) -> Softmax:
        """See `NextWordSoftmax.build`."""
        return FullSoftmax(self._output(char_cnn, hidden_size, word_ids))


@NextWordSoftmax.register("sampled")
class Sampled(NextWordSoftmax):
    """
    `SampledSoftmax` of `num_samples` words on average; with `tied`, over `TiedWeights`. With
    `sparse` the words' vectors have sparse gradients, which makes steps with a large vocabulary
    cheaper; the optimizer must take them ("dense_sparse_adam", "adagrad").

    Registered as a `NextWordSoftmax` with name "sampled".
    """

    def __init__(self, num_samples: int = 8192, tied: bool = False, sparse: bool = False) -> None:
        super().__init__(tied)
        if tied and sparse:
            raise ConfigurationError("A softmax with tied weights has no sparse gradients")
        self.num_samples = num_samples
        self.sparse = sparse

    def build(self, char_cnn: CharCnn, hidden_size: int, word_ids: torch.Tensor) -> Softmax:
        """See `NextWordSoftmax.build`."""
        output = self._output(char_cnn, hidden_size, word_ids, self.sparse)
        try:
            return SampledSoftmax(output, num_samples=self.num_samples)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error


@NextWordSoftmax.register("adaptive")
class Adaptive(NextWordSoftmax):
    """
    `AdaptiveSoftmax`.

    Registered as a `NextWordSoftmax` with name "adaptive".
    """

    def __init__(self, cutoffs: list[int], div_value: float = 4.0) -> None:
        super().__init__()
        self.cutoffs = cutoffs
        self.div_value = div_value

    def build(self, char_cnn: CharCnn, hidden_size: int, word_ids: torch.Tensor) -> Softmax:
        """See `NextWordSoftmax.build`."""
        try:
            return AdaptiveSoftmax(
                len(word_ids), hidden_size, cutoffs=self.cutoffs, div_value=self.div_value
            )
        except ValueError as error:
            raise ConfigurationError(f"The adaptive softmax cannot be made: {error}") from error
