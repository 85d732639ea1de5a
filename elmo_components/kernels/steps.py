"""A batch of sentences of many lengths as steps that only hold what is still running."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch

__all__ = ["Steps"]


class Block(NamedTuple):
    """Some steps in a row: how many sentences run at each, and their rows."""

    counts: list[int]
    rows: slice


class Steps:
    """
    The rows of a batch in the order in which they are computed: all sentences' first steps, the
    longest sentence first, then all second steps, and so on. The sentences that still run at a
    step are then the first rows of the step before, and no row is padding.

    # Parameters

    lengths : `torch.Tensor`
        (batch,), int64.
    time : `int`
        The number of steps of the padded batch.
    """

    def __init__(self, lengths: torch.Tensor, time: int) -> None:
        self._time = time
        # (batch,): the sentence of each row
        self._order = torch.sort(lengths, descending=True, stable=True).indices
        # (batch,): the row of each sentence
        self._places = torch.argsort(self._order)
        # (batch,)
        sorted_lengths = lengths[self._order]
        longest = int(sorted_lengths[0]) if len(lengths) else 0
        # (steps,)
        steps = torch.arange(longest, device=lengths.device)
        counts = (sorted_lengths.unsqueeze(0) > steps.unsqueeze(1)).sum(dim=1)
        starts = counts.cumsum(0) - counts
        # (rows,)
        step = steps.repeat_interleave(counts)
        place = torch.arange(len(step), device=lengths.device) - starts[step]
        self._rows = self._order[place] * time + step
        batch = len(lengths)
        # (rows,), (batch,): places in the rows of a state followed by those of all steps
        self._previous = torch.where(
            step == 0, place, batch + starts[(step - 1).clamp(min=0)] + place
        )
        rows = torch.arange(batch, device=lengths.device)
        last = (sorted_lengths - 1).clamp(min=0)
        self._last = rows if longest == 0 else batch + starts[last] + rows
        self._last = torch.where(sorted_lengths == 0, rows, self._last)
        self.counts: list[int] = counts.tolist()
        self.starts: list[int] = starts.tolist()
        self.num_rows = len(step)

    @staticmethod
    def of(lengths: torch.Tensor, time: int) -> "Steps":
        """Returns the steps of a batch, those of the last few batches without a new calculation."""
        return _steps(tuple(lengths.tolist()), time)

    def blocks(self, rows: int) -> Iterator[Block]:
        """Yields all steps in blocks of at most so many rows, or of one step."""
        first = 0
        while first < len(self.counts):
            last, total = first + 1, self.counts[first]
            while last < len(self.counts) and total + self.counts[last] <= rows:
                total += self.counts[last]
                last += 1
            start = self.starts[first]
            yield Block(self.counts[first:last], slice(start, start + total))
            first = last

    def rows(self, step: int) -> slice:
        """Returns the rows of a step."""
        return slice(self.starts[step], self.starts[step] + self.counts[step])

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """(directions, batch, time, size) to (directions, rows, size)."""
        return padded.flatten(1, 2).index_select(1, self._rows)

    def pad(self, packed: torch.Tensor, batch: int) -> torch.Tensor:
        """(directions, rows, size) to (directions, batch, time, size), 0 elsewhere."""
        directions, _, size = packed.shape
        padded = packed.new_zeros(directions, batch * self._time, size)
        padded.index_copy_(1, self._rows, packed)
        return padded.view(directions, batch, self._time, size)

    def sort(self, state: torch.Tensor) -> torch.Tensor:
        """(directions, batch, size) from the batch's order to the rows'."""
        return state.index_select(1, self._order)

    def unsort(self, state: torch.Tensor) -> torch.Tensor:
        """(directions, batch, size) from the rows' order to the batch's."""
        return state.index_select(1, self._places)

    def previous_rows(self, start: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
        """
        Each row's predecessor, (directions, rows, size): of `packed`, (directions, rows, size), or
        of `start`, (directions, batch, size), for the rows of the first step.
        """
        return torch.cat([start, packed], dim=1).index_select(1, self._previous)

    def last(self, start: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
        """
        Each sentence's last row, (directions, batch, size) in the rows' order: of `packed`,
        (directions, rows, size), or of `start`, (directions, batch, size), where it has no step.
        """
        return torch.cat([start, packed], dim=1).index_select(1, self._last)


@lru_cache(maxsize=8)
def _steps(lengths: tuple[int, ...], time: int) -> Steps:
    return Steps(torch.tensor(lengths, dtype=torch.int64), time)
