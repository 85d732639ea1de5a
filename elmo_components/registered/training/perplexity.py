"""A metric: the perplexity of both directions, with each token counted once."""

import math

import torch
from allennlp.nn.util import dist_reduce_sum
from allennlp.training.metrics import Metric

__all__ = ["BidirectionalPerplexity"]


@Metric.register("bidirectional_perplexity")
class BidirectionalPerplexity(Metric):
    """
    exp of the mean of -log p over all predicted tokens since the last reset.

    The metrics are for both directions, each direction, and without unknown words. (AllenNLP's
    `Perplexity` weights batches equally, whatever their number of tokens.) Distributed training
    counts the tokens of all processes; all must measure the same number of batches, which
    AllenNLP's trainer ensures.

    Registered as a `Metric` with name "bidirectional_perplexity".

    # Parameters

    unknown : `int`
        The vocabulary's index of the unknown word.
    """

    def __init__(self, unknown: int) -> None:
        self._unknown = unknown
        self.reset()

    def __call__(self, losses: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> None:  # type: ignore[override]
        """
        # Parameters

        losses : `torch.Tensor`
            (2, batch, time), -log p of each target, 0 where masked.
        targets : `torch.Tensor`
            int64, (2, batch, time).
        mask : `torch.Tensor`
            bool, (batch, time).
        """
        losses, unknown = losses.double(), (targets == self._unknown) & mask
        # (4, 2): this batch's part of `totals`
        batch = torch.stack(
            [
                losses.sum((1, 2)),
                (losses * unknown).sum((1, 2)),
                mask.sum().double().expand(2),
                unknown.sum((1, 2)).double(),
            ]
        )
        self.totals += dist_reduce_sum(batch).cpu()

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns the perplexities, and the share of unknown words in the targets."""
        sums, unknown_sums, counts, unknown_counts = self.totals.tolist()
        metrics = {
            "perplexity": _perplexity(sum(sums), sum(counts)),
            "forward_perplexity": _perplexity(sums[0], counts[0]),
            "backward_perplexity": _perplexity(sums[1], counts[1]),
            "known_words_perplexity": _perplexity(
                sum(sums) - sum(unknown_sums), sum(counts) - sum(unknown_counts)
            ),
            "unknown_words": sum(unknown_counts) / max(1, sum(counts)),
        }
        if reset:
            self.reset()
        return metrics

    def reset(self) -> None:
        """Sets all sums to 0."""
        # float64, (4, 2): the sums of all losses and of unknown words' losses, the numbers of all
        # targets and of unknown words; each forward, then backward
        self.totals = torch.zeros(4, 2, dtype=torch.float64)


def _perplexity(loss: float, count: float) -> float:
    if count == 0:
        return math.nan
    # exp overflows above, and a diverged run should not end in an error
    return math.exp(loss / count) if loss / count < 700.0 else math.inf
