"""The loss of a softmax over many words, and its gradients, with bounded memory."""

import math
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["softmax_loss"]

# Tokens and words whose scores are in memory at once: 8 MB and 4 MB in float32, the fastest sizes
# measured with and without gradients.
TRAINED_BLOCK = (1 << 8, 1 << 13)
EVALUATED_BLOCK = (1 << 11, 1 << 9)


def softmax_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    target_weight: torch.Tensor,
    target_bias: torch.Tensor,
    places: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Returns the sum over tokens of log(exp(t) + sum over words v of exp(s(v))) - t, and each token's
    loss without gradient. s(v) is a word's score, t the target's; the sum leaves out the target.

    Products are in autocast's type within autocast; scores, sums and losses are at least float32.

    # Parameters

    hidden : `torch.Tensor`
        (tokens, hidden_size)
    weight, bias : `torch.Tensor`
        (words, hidden_size) and (words,), of the words of the sum.
    target_weight, target_bias : `torch.Tensor`
        (tokens, hidden_size) and (tokens,), of each token's target.
    places : `torch.Tensor`
        int64, (tokens,): the target's index among the words of the sum, or -1.
    """
    dtype = torch.promote_types(bias.dtype, torch.float32)
    # (tokens,)
    target_scores = (hidden.to(dtype) * target_weight).sum(-1) + target_bias
    return _LogSum.apply(
        torch.is_grad_enabled(), hidden, weight, bias.to(dtype), target_scores, places
    )


class _LogSum(torch.autograd.Function):
    """
    Computes gradients in the forward pass, block by block, so that the scores of all tokens are
    never in memory together.
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
        # the type that autocast gives products
        dtype = (hidden[:0] @ weight[:0].t()).dtype
        cast_hidden, cast_weight = hidden.to(dtype), weight.to(dtype)
        # (tokens,)
        losses = torch.empty_like(target_scores)
        needed = with_gradients and any(ctx.needs_input_grad)
        inputs = [tensor if needed else tensor[:0] for tensor in (hidden, weight, bias)]
        # a sum of many terms in a narrow type loses small ones
        grad_hidden, grad_weight, grad_bias = (
            torch.zeros_like(tensor, dtype=bias.dtype) for tensor in inputs
        )
        tokens_per_block, words_per_block = TRAINED_BLOCK if needed else EVALUATED_BLOCK
        blocks = list(_blocks(len(weight), words_per_block))

        def scores(tokens: slice, words: slice) -> torch.Tensor:
            # (tokens of a block, words of a block)
            if dtype == bias.dtype:
                product = torch.addmm(bias[words], cast_hidden[tokens], cast_weight[words].t())
            else:
                product = cast_hidden[tokens] @ cast_weight[words].t() + bias[words]
            own = ((places[tokens] >= words.start) & (places[tokens] < words.stop)).nonzero()
            product[own, places[tokens][own] - words.start] = -math.inf
            return product

        with torch.autocast(hidden.device.type, enabled=False):
            for tokens in _blocks(len(hidden), tokens_per_block):
                # (tokens of a block,)
                totals = target_scores[tokens]
                for words in blocks:
                    block = scores(tokens, words)
                    if needed and len(blocks) == 1:
                        # the gradients use the scores again
                        totals = torch.logaddexp(totals, block.logsumexp(1))
                    else:
                        totals = _add_in_place(totals, block)
                losses[tokens] = totals - target_scores[tokens]
                for words in blocks if needed else []:
                    if len(blocks) > 1:
                        block = scores(tokens, words)
                    p = block.sub_(totals.unsqueeze(1)).exp_()
                    grad_bias[words] += p.sum(0)
                    p = p.to(dtype)
                    grad_hidden[tokens] += p @ cast_weight[words]
                    grad_weight[words] += p.t() @ cast_hidden[tokens]
        if needed:
            pairs = zip((grad_hidden, grad_weight, grad_bias), inputs)
            ctx.gradients = [gradient.to(tensor.dtype) for gradient, tensor in pairs]
            ctx.gradients.append(torch.expm1(-losses))
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx: Any, grad_loss: torch.Tensor, _: torch.Tensor) -> tuple:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The full and the sampled softmax have no second derivatives. Call backward or "
                "grad without create_graph=True"
            )
        return None, *(gradient * grad_loss for gradient in ctx.gradients), None


def _blocks(number: int, size: int) -> Iterator[slice]:
    for first in range(0, number, size):
        yield slice(first, min(first + size, number))


def _add_in_place(totals: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Returns log(exp(totals) + sum of exp(scores)); overwrites `scores`."""
    # (tokens,)
    highest = torch.maximum(totals, scores.amax(1))
    sums = scores.sub_(highest.unsqueeze(1)).exp_().sum(1)
    return highest + torch.log((totals - highest).exp() + sums)
