"""The area under the ROC curve over all processes of distributed training."""

from typing import Any, Optional

import torch
from allennlp.common.util import is_distributed
from allennlp.training.metrics import Metric
from torch import distributed

__all__ = ["GatheredAuc"]


class GatheredAuc(Metric):
    """
    The area under the ROC curve: the share of pairs of a positive and a negative example whose
    scores are in the right order; 0.5 without such a pair.

    AllenNLP's `Auc` needs batches of equal size in distributed training.
    """

    def __init__(self) -> None:
        self._scores: list[float] = []
        self._labels: list[int] = []

    def __call__(
        self,
        predictions: torch.Tensor,
        gold_labels: torch.Tensor,
        mask: Optional[torch.BoolTensor] = None,
    ) -> None:
        """
        # Parameters

        predictions : `torch.Tensor`
            (batch,), the scores.
        gold_labels : `torch.Tensor`
            (batch,), 0 or 1.
        mask : `Optional[torch.BoolTensor]`
            (batch,), false for examples to ignore; `None` to count all.
        """
        if mask is not None:
            predictions, gold_labels = predictions[mask], gold_labels[mask]
        batches: list[Any] = [(predictions.tolist(), gold_labels.tolist())]
        if is_distributed():
            gathered: list[Any] = [None] * distributed.get_world_size()
            distributed.all_gather_object(gathered, batches[0])
            batches = gathered
        for scores, labels in batches:
            self._scores += scores
            self._labels += labels

    def get_metric(self, reset: bool = False) -> float:
        """Returns the area since the last reset."""
        # (examples,)
        positive = torch.tensor(self._labels, dtype=torch.bool)
        num_pairs = int(positive.sum()) * int((~positive).sum())
        auc = 0.5
        if num_pairs > 0:
            scores = torch.tensor(self._scores, dtype=torch.float64)
            # (examples,): the index of each example's value; (values,): the number of examples
            _, places, counts = scores.unique(return_inverse=True, return_counts=True)
            # (examples,), from 1; equal scores share their mean
            ranks = (counts.cumsum(0) - (counts - 1) / 2.0)[places]
            # the positive examples' ranks among themselves, summed
            least = int(positive.sum()) * (int(positive.sum()) + 1) / 2
            auc = (float(ranks[positive].sum()) - least) / num_pairs
        if reset:
            self.reset()
        return auc

    def reset(self) -> None:
        """Removes all scores."""
        self._scores, self._labels = [], []
