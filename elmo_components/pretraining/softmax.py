"""Next-word objectives over a vocabulary: full, sampled and adaptive softmax."""

import math
from collections.abc import Iterator
from typing import Any, Optional, Union

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from elmo_components.modules.char_cnn import CharCnn

__all__ = [
    "AdaptiveSoftmax",
    "FullSoftmax",
    "OwnWeights",
    "SampledSoftmax",
    "Softmax",
    "TiedWeights",
]

# Of how many tokens and words scores are held at once: 8 MB and 4 MB in float32, each the fastest
# that was measured with gradients and without.
TRAINED_BLOCK = (1 << 8, 1 << 13)
EVALUATED_BLOCK = (1 << 11, 1 << 9)
# What the number of sampled words is a multiple of.
ROUND = 256


class OwnWeights(nn.Module):
    """
    A vector and a bias for each word, as in bilm-tf (`bilm/training.py`): `weight` (num_words,
    hidden_size) and `bias` (num_words,).

    # Parameters

    num_words : `int`
        The size of the vocabulary.
    hidden_size : `int`
        The size of a vector that predicts a word.
    sparse : `bool`
        Whether the gradient of `weight` holds only the words that were asked for, which an
        optimizer for sparse gradients then updates alone.
    """

    def __init__(self, num_words: int, hidden_size: int, *, sparse: bool = False) -> None:
        super().__init__()
        self._sparse = sparse
        self.weight = nn.Parameter(torch.empty(num_words, hidden_size))
        self.bias = nn.Parameter(torch.empty(num_words))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters as bilm-tf does."""
        nn.init.normal_(self.weight, std=1.0 / math.sqrt(self.weight.size(1)))
        nn.init.zeros_(self.bias)

    def forward(self, words: Optional[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns vectors (words, hidden_size) and biases (words,); of all words for `None`."""
        if words is None:
            return self.weight, self.bias
        return nn.functional.embedding(words, self.weight, sparse=self._sparse), self.bias[words]


class TiedWeights(nn.Module):
    """
    Each word's vector is the one that the character encoder gives it on the way in (Press and Wolf
    2017; Jozefowicz et al. 2016, section 3.3, without their correction); only the `bias`,
    (num_words,), is its own. A word's vector is computed anew whenever it is needed in training.

    # Parameters

    char_cnn : `CharCnn`
        The character encoder, shared with the biLM.
    character_ids : `torch.Tensor`
        int64, (num_words, characters), of each word of the vocabulary.
    """

    character_ids: torch.Tensor

    def __init__(self, char_cnn: CharCnn, character_ids: torch.Tensor) -> None:
        super().__init__()
        # in a tuple it is no submodule, its parameters being the biLM's, and a copy of the whole
        # model has the copied one
        self._char_cnn = (char_cnn,)
        self.register_buffer("character_ids", character_ids, persistent=False)
        self.bias = nn.Parameter(torch.zeros(len(character_ids)))

    def forward(self, words: Optional[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """See `OwnWeights.forward`."""
        (char_cnn,) = self._char_cnn
        if words is None:
            return char_cnn(self.character_ids), self.bias
        return char_cnn(self.character_ids[words]), self.bias[words]


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
        self, hidden: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        # Parameters

        hidden : `torch.Tensor`
            (tokens, hidden_size), what predicts each token.
        targets : `torch.Tensor`
            int64, (tokens,), the tokens' numbers in the vocabulary.

        # Returns

        `tuple[torch.Tensor, torch.Tensor]`
            The sum of all tokens' losses, -log p in nats, which has gradients; and each token's,
            (tokens,), which have none.
        """
        weight, bias = self.output(None)
        # a frequent word's gradient is a sum of many parts, which autocast's type would lose
        target_weight = weight.to(bias.dtype)[targets]
        return _loss(hidden, weight, bias, target_weight, bias[targets], targets)


class SampledSoftmax(FullSoftmax):
    """
    In training, the sum over all words is estimated from some (Bengio and Senecal 2003; Jean et al.
    2015): word v is taken with probability p(v), independently of the others, and stands for
    1 / p(v) words, so that the estimate of the sum is unbiased. One sample serves a whole batch.
    p is proportional to the log-uniform distribution, which fits words numbered by frequency as in
    bilm-tf's `vocab.txt`, up to 1, which the most frequent words reach. In evaluation it is
    `FullSoftmax`, exact.

    # Parameters

    output : `Union[OwnWeights, TiedWeights]`
        The words' vectors and biases.
    num_samples : `int`
        How many words are taken on average; bilm-tf takes 8,192.

    # Raises

    `ValueError` unless there are more words than samples, and samples.
    """

    inclusion: torch.Tensor

    def __init__(self, output: Union[OwnWeights, TiedWeights], *, num_samples: int) -> None:
        super().__init__(output)
        num_words = len(output.bias)
        if not 0 < num_samples < num_words:
            raise ValueError(
                f"num_samples must be from 1 to below the {num_words} words of the vocabulary; "
                f"found {num_samples}. For so few words take the full softmax"
            )
        # (num_words,)
        self.register_buffer("inclusion", _inclusion(num_words, num_samples), persistent=False)

    def forward(
        self, hidden: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `FullSoftmax.forward`; in training the losses are estimates."""
        if not self.training:
            return super().forward(hidden, targets)
        # (samples,)
        samples = (torch.rand_like(self.inclusion) < self.inclusion).nonzero().squeeze(1)
        # words that do not count make the number a round one: products of few shapes are faster
        more = -len(samples) % ROUND
        samples = nn.functional.pad(samples, (0, more))
        weight, bias = self.output(samples)
        # (num_words,): each word's place in the sample
        places = torch.full_like(self.inclusion, -1, dtype=torch.int64)
        counted = len(samples) - more
        places[samples[:counted]] = torch.arange(counted, device=samples.device)
        uncounted = torch.arange(len(samples), device=samples.device) >= counted
        bias = (bias - self.inclusion[samples].log()).masked_fill(uncounted, -math.inf)
        target_weight, target_bias = self.output(targets)
        return _loss(hidden, weight, bias, target_weight, target_bias, places[targets])


class AdaptiveSoftmax(nn.Module):
    """
    Words in clusters by frequency, the rarer the smaller their vectors (Grave et al. 2017): exact
    in training too. It has no form in bilm-tf's files.

    # Parameters

    num_words : `int`
        The size of the vocabulary, numbered by frequency.
    hidden_size : `int`
        The size of a vector that predicts a word.
    cutoffs : `list[int]`
        The number of the first word of each cluster after the first.
    div_value : `float`
        By how much smaller each cluster's vectors are than those of the cluster before.
    """

    def __init__(
        self, num_words: int, hidden_size: int, *, cutoffs: list[int], div_value: float = 4.0
    ) -> None:
        super().__init__()
        self.clusters = nn.AdaptiveLogSoftmaxWithLoss(
            hidden_size, num_words, cutoffs, div_value=div_value, head_bias=True
        )

    def forward(
        self, hidden: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `FullSoftmax.forward`. Within autocast it stays with the weights' type."""
        # torch's own puts scores of autocast's type into a tensor of the hidden vectors', which
        # fails on a CPU
        with torch.autocast(hidden.device.type, enabled=False):
            losses = -self.clusters(hidden.to(self.clusters.head.weight.dtype), targets).output
        return losses.sum(), losses.detach()


Softmax = Union[FullSoftmax, SampledSoftmax, AdaptiveSoftmax]


def _inclusion(num_words: int, num_samples: int) -> torch.Tensor:
    """Returns min(1, c * q) for the log-uniform q, with the c that makes the sum num_samples."""
    ranks = torch.arange(1, num_words + 1, dtype=torch.float64)
    # (num_words,)
    log_uniform = (1.0 / ranks).log1p() / math.log(num_words + 1)
    low, high = 0.0, float(1.0 / log_uniform[-1])
    for _ in range(64):
        middle = (low + high) / 2.0
        if float((middle * log_uniform).clamp(max=1.0).sum()) < num_samples:
            low = middle
        else:
            high = middle
    return (high * log_uniform).clamp(max=1.0).float()


def _blocks(number: int, size: int) -> Iterator[slice]:
    for first in range(0, number, size):
        yield slice(first, min(first + size, number))


def _loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    target_weight: torch.Tensor,
    target_bias: torch.Tensor,
    places: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    # (tokens,), of the wider type of the two
    target_scores = (hidden * target_weight).sum(-1) + target_bias
    return _LogSum.apply(torch.is_grad_enabled(), hidden, weight, bias, target_scores, places)


def _add_in_place(totals: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Returns log(exp(totals) + sum of exp(scores)), and spoils the scores, which spares a copy."""
    # (tokens,)
    highest = torch.maximum(totals, scores.amax(1))
    sums = scores.sub_(highest.unsqueeze(1)).exp_().sum(1)
    return highest + torch.log((totals - highest).exp() + sums)


class _LogSum(torch.autograd.Function):
    """
    Sums log(exp(t) + sum over v of exp s(v)) - t over tokens, where v runs over the given words but
    not the token's own, in `places`. Gradients are made with the scores, a few tokens at a time, so
    that all tokens' scores are never held; none where `with_gradients` is false. Products are of
    the type that autocast gives them, sums of the bias's.
    """

    @staticmethod
    def forward(
        ctx: Any,
        with_gradients: bool,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        target_scores: torch.Tensor,
        places: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        dtype = (hidden[:0] @ weight[:0].t()).dtype
        light_hidden, light_weight = hidden.to(dtype), weight.to(dtype)
        # (tokens,)
        losses = torch.empty_like(target_scores)
        needed = with_gradients and any(ctx.needs_input_grad)
        inputs = [part if needed else part[:0] for part in (hidden, weight, bias)]
        # in the bias's type, since the many parts of a sum would be lost in autocast's
        of_hidden, of_weight, of_bias = (
            torch.zeros_like(part, dtype=bias.dtype) for part in inputs
        )
        most_tokens, most_words = TRAINED_BLOCK if needed else EVALUATED_BLOCK
        blocks = list(_blocks(len(weight), most_words))

        def scores(tokens: slice, words: slice) -> torch.Tensor:
            # (tokens of a block, words of a block)
            if dtype == bias.dtype:
                # a pass fewer
                product = torch.addmm(bias[words], light_hidden[tokens], light_weight[words].t())
            else:
                product = light_hidden[tokens] @ light_weight[words].t() + bias[words]
            own = ((places[tokens] >= words.start) & (places[tokens] < words.stop)).nonzero()
            product[own, places[tokens][own] - words.start] = -math.inf
            return product

        with torch.autocast(hidden.device.type, enabled=False):
            for tokens in _blocks(len(hidden), most_tokens):
                # (tokens of a block,)
                totals = target_scores[tokens]
                for words in blocks:
                    block = scores(tokens, words)
                    if needed and len(blocks) == 1:
                        # they serve once more
                        totals = torch.logaddexp(totals, block.logsumexp(1))
                    else:
                        totals = _add_in_place(totals, block)
                losses[tokens] = totals - target_scores[tokens]
                for words in blocks if needed else []:
                    if len(blocks) > 1:
                        block = scores(tokens, words)
                    p = block.sub_(totals.unsqueeze(1)).exp_()
                    of_bias[words] += p.sum(0)
                    p = p.to(dtype)
                    of_hidden[tokens] += p @ light_weight[words]
                    of_weight[words] += p.t() @ light_hidden[tokens]
        if needed:
            pairs = zip((of_hidden, of_weight, of_bias), inputs)
            ctx.gradients = [part.to(whole.dtype) for part, whole in pairs]
            ctx.gradients.append(torch.expm1(-losses))
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple:
        return None, *(part * gradient for part in ctx.gradients), None
