"""The softmaxes that a configuration of a language model may name."""

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
    TiedWeights,
)

__all__ = ["Adaptive", "Full", "NextWordSoftmax", "Sampled"]


class NextWordSoftmax(Registrable):
    """
    The softmaxes by name. A configuration gives some parameters, and the language model adds:

    char_cnn : `CharCnn`
        The biLM's character encoder, for tied weights.
    hidden_size : `int`
        The size of the vectors that predict a word.
    word_ids : `torch.Tensor`
        int64, (num_words, characters): the character ids of the vocabulary, in its order.
    """

    default_implementation = "full"


@NextWordSoftmax.register("full", constructor="build")
class Full(NextWordSoftmax):
    """
    Builds a `FullSoftmax`.

    Registered as a `NextWordSoftmax` with name "full".
    """

    @classmethod
    def build(
        cls, char_cnn: CharCnn, hidden_size: int, word_ids: torch.Tensor, tied: bool = False
    ) -> FullSoftmax:
        """
        # Parameters

        tied : `bool`
            Whether the character encoder computes the words' vectors (`TiedWeights`), instead of
            a trained vector for each word (`OwnWeights`).
        """
        return FullSoftmax(_output(char_cnn, hidden_size, word_ids, tied=tied))


@NextWordSoftmax.register("sampled", constructor="build")
class Sampled(NextWordSoftmax):
    """
    Builds a `SampledSoftmax`.

    Registered as a `NextWordSoftmax` with name "sampled".
    """

    @classmethod
    def build(
        cls,
        char_cnn: CharCnn,
        hidden_size: int,
        word_ids: torch.Tensor,
        num_samples: int = 8192,
        tied: bool = False,
        sparse: bool = False,
    ) -> SampledSoftmax:
        """
        # Parameters

        num_samples : `int`
            The expected number of sampled words, below the size of the vocabulary.
        tied : `bool`
            See `Full.build`.
        sparse : `bool`
            Whether the words' vectors have sparse gradients, which make a step with a large
            vocabulary cheaper. The optimizer must accept them ("dense_sparse_adam", "adagrad").
        """
        if tied and sparse:
            raise ConfigurationError(
                "A softmax with tied weights has no sparse gradients. Set tied or sparse to false"
            )
        output = _output(char_cnn, hidden_size, word_ids, tied=tied, sparse=sparse)
        return SampledSoftmax(output, num_samples=num_samples)


@NextWordSoftmax.register("adaptive", constructor="build")
class Adaptive(NextWordSoftmax):
    """
    Builds an `AdaptiveSoftmax`.

    Registered as a `NextWordSoftmax` with name "adaptive".
    """

    @classmethod
    def build(
        cls,
        hidden_size: int,
        word_ids: torch.Tensor,
        cutoffs: list[int],
        div_value: float = 4.0,
    ) -> AdaptiveSoftmax:
        """
        # Parameters

        cutoffs : `List[int]`
            The first word of each cluster after the first one, in rising order.
        div_value : `float`
            The vectors of each cluster are smaller than the previous cluster's by this factor.
        """
        try:
            return AdaptiveSoftmax(len(word_ids), hidden_size, cutoffs=cutoffs, div_value=div_value)
        except ValueError as error:
            raise ConfigurationError(f"The adaptive softmax cannot be built: {error}") from error


def _output(
    char_cnn: CharCnn,
    hidden_size: int,
    word_ids: torch.Tensor,
    *,
    tied: bool,
    sparse: bool = False,
) -> Union[OwnWeights, TiedWeights]:
    if tied:
        return TiedWeights(char_cnn, word_ids)
    return OwnWeights(len(word_ids), hidden_size, sparse=sparse)
