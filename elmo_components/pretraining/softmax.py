"""Next-word objectives over a vocabulary: full, sampled and adaptive softmax."""

import math
from functools import lru_cache
from typing import Optional, Union

import torch
from torch import nn

from elmo_components.pretraining.exchange import (
    all_words,
    average_gradients,
    num_processes,
    shared_generator,
)
from elmo_components.pretraining.log_sum import softmax_loss
from elmo_components.pretraining.output_weights import OwnWeights, TiedWeights

__all__ = [
    "AdaptiveSoftmax",
    "FullSoftmax",
    "OwnWeights",
    "SampledSoftmax",
    "Softmax",
    "TiedWeights",
]

# The number of sampled words is padded to a multiple: products of few different shapes are faster.
SAMPLE_MULTIPLE = 256


class FullSoftmax(nn.Module):
    """
    log p(w) = s(w) - log sum over words v of exp s(v), where s(v) = vector(v) * h + bias(v).

    # Parameters

    output : `Union[OwnWeights, TiedWeights]`
        The words' vectors and biases.
    """

    def __init__(self, output: Union[OwnWeights, TiedWeights]) -> None:
        super().__init__()
        self.output = output

    def forward(
        self, hidden: torch.Tensor, targets: torch.Tensor, seed: Optional[torch.Tensor] = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        # Parameters

        hidden : `torch.Tensor`
            (tokens, hidden_size), the vectors that predict the tokens.
        targets : `torch.Tensor`
            int64, (tokens,), the tokens' numbers in the vocabulary.
        seed : `Optional[torch.Tensor]`
            Of a sample, which this softmax does not draw. See `SampledSoftmax.forward`.

        # Returns

        `tuple[torch.Tensor, torch.Tensor]`
            The sum of all tokens' losses, -log p in nats; and each token's loss, (tokens,), without
            gradient.
        """
        weight, bias = self.output(None)
        # a frequent word's gradient is a sum of many terms; autocast's type would lose small ones
        target_weight = weight.to(bias.dtype)[targets]
        return softmax_loss(hidden, weight, bias, target_weight, bias[targets], targets)

    def log_probabilities(self, hidden: torch.Tensor) -> torch.Tensor:
        """Returns log p of every word, (tokens, num_words), for `hidden`, (tokens, hidden_size)."""
        weight, bias = self.output(None)
        return (hidden @ weight.t() + bias).log_softmax(dim=-1)


class SampledSoftmax(FullSoftmax):
    """
    A softmax that in training estimates the sum over all words from a sample (Bengio and Senecal
    2003; Jean et al. 2015). In evaluation it is `FullSoftmax`, exact.

    Word v is drawn with probability p(v), independently of the others, and counts 1 / p(v) times,
    so that the estimate of the sum is unbiased. p is proportional to the log-uniform distribution,
    but at most 1, for words numbered by frequency as in bilm-tf's `vocab.txt`. A call draws one
    sample. Sampling and its weights are float32 for all types of weights.

    In distributed training all processes draw the same sample. With `OwnWeights` they exchange the
    gradients of the sampled words' and the targets' rows, so `DistributedDataParallel` must ignore
    the parameters `exchanged`.

    # Parameters

    output : `Union[OwnWeights, TiedWeights]`
        The words' vectors and biases.
    num_samples : `int`
        The average number of words in a sample; bilm-tf takes 8,192.

    # Raises

    `ValueError` unless `num_samples` is at least 1 and below the number of words.
    """

    def __init__(self, output: Union[OwnWeights, TiedWeights], *, num_samples: int) -> None:
        super().__init__(output)
        num_words = len(output.bias)
        if not 0 < num_samples < num_words:
            raise ValueError(
                f"num_samples must be from 1 to below the {num_words} words of the vocabulary; "
                f"found {num_samples}. For so few words use the full softmax"
            )
        self.num_samples = num_samples

    @property
    def exchanged(self) -> list[str]:
        """The parameters whose gradients `forward` averages over the processes of a training."""
        return ["output.weight", "output.bias"] if isinstance(self.output, OwnWeights) else []

    @property
    def inclusion(self) -> torch.Tensor:
        """float32, (num_words,): the probability p(v) of each word to be in a sample."""
        bias = self.output.bias
        return _inclusion(len(bias), self.num_samples, bias.device)

    def forward(
        self, hidden: torch.Tensor, targets: torch.Tensor, seed: Optional[torch.Tensor] = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        See `FullSoftmax.forward`; in training the losses are estimates.

        # Parameters

        seed : `Optional[torch.Tensor]`
            int64, (): the seed of the sample. The parts of a batch that get the same one have the
            losses of the whole batch. `None` for a random one.
        """
        if not self.training:
            return super().forward(hidden, targets)
        inclusion = self.inclusion
        generator = shared_generator(inclusion.device, seed)
        numbers = torch.rand(inclusion.shape, generator=generator, device=inclusion.device)
        # (samples,)
        drawn = (numbers < inclusion).nonzero().squeeze(1)
        samples = nn.functional.pad(drawn, (0, -len(drawn) % SAMPLE_MULTIPLE))
        weight, bias, target_weight, target_bias = self._rows(samples, targets)
        # (num_words,): each word's index in the sample
        places = torch.full_like(inclusion, -1, dtype=torch.int64)
        places[drawn] = torch.arange(len(drawn), device=drawn.device)
        padding = torch.arange(len(samples), device=drawn.device) >= len(drawn)
        bias = (bias - inclusion[samples].log()).masked_fill(padding, -math.inf)
        return softmax_loss(hidden, weight, bias, target_weight, target_bias, places[targets])

    def _rows(self, samples: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns the samples' vectors and biases, and the targets'."""
        if not self.exchanged or num_processes() == 1:
            return *self.output(samples), *self.output(targets)
        words, places = all_words(targets)
        # (samples + words, hidden_size), (samples + words,)
        weight, bias = average_gradients(*self.output(torch.cat([samples, words])))
        number = len(samples)
        return weight[:number], bias[:number], weight[number:][places], bias[number:][places]


class AdaptiveSoftmax(nn.Module):
    """
    A softmax over clusters of words by frequency, with smaller vectors for rarer words (Grave et
    al. 2017). It is exact, also in training. bilm-tf's files do not support it.

    # Parameters

    num_words : `int`
        The size of the vocabulary, numbered by frequency.
    hidden_size : `int`
        The size of the vectors that predict words.
    cutoffs : `list[int]`
        The number of the first word of each cluster after the first.
    div_value : `float`
        The ratio of the sizes of two consecutive clusters' vectors.
    """

    def __init__(
        self, num_words: int, hidden_size: int, *, cutoffs: list[int], div_value: float = 4.0
    ) -> None:
        super().__init__()
        self.clusters = nn.AdaptiveLogSoftmaxWithLoss(
            hidden_size, num_words, cutoffs, div_value=div_value, head_bias=True
        )

    def forward(
        self, hidden: torch.Tensor, targets: torch.Tensor, seed: Optional[torch.Tensor] = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `FullSoftmax.forward`. Autocast has no effect."""
        # within autocast torch's module fails on a CPU: it mixes autocast's type with its inputs'
        with torch.autocast(hidden.device.type, enabled=False):
            losses = -self.clusters(hidden.to(self.clusters.head.weight.dtype), targets).output
        loss = losses.sum()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            # DistributedDataParallel needs a gradient of every parameter, also of a cluster without
            # a target in the batch
            loss = loss + sum(parameter[:0].sum() for parameter in self.parameters())
        return loss, losses.detach()

    def log_probabilities(self, hidden: torch.Tensor) -> torch.Tensor:
        """See `FullSoftmax.log_probabilities`."""
        return self.clusters.log_prob(hidden)


Softmax = Union[FullSoftmax, SampledSoftmax, AdaptiveSoftmax]


# Not a buffer: to_empty() would lose it, no checkpoint restores it, and half() would round it.
@lru_cache(maxsize=4)
def _inclusion(num_words: int, num_samples: int, device: torch.device) -> torch.Tensor:
    """Returns min(1, c * q) for the log-uniform q, with the c that makes the sum num_samples."""
    with torch.inference_mode(False):
        ranks = torch.arange(1, num_words + 1, dtype=torch.float64, device="cpu")
        # (num_words,)
        log_uniform = (1.0 / ranks).log1p() / math.log(num_words + 1)
        low, high = 0.0, float(1.0 / log_uniform[-1])
        for _ in range(64):
            middle = (low + high) / 2.0
            if float((middle * log_uniform).clamp(max=1.0).sum()) < num_samples:
                low = middle
            else:
                high = middle
        return (high * log_uniform).clamp(max=1.0).float().to(device)
