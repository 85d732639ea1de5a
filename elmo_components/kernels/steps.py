"""Converts a padded batch to steps without padding."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch

__all__ = ["Steps"]


class Block(NamedTuple):
    """Consecutive steps: the number of sentences at each, and their rows."""

    counts: list[int]
    rows: slice


class Steps:
    """
    The rows of a batch in the order of computation: the first step of all sentences, the longest
    sentence first, then all second steps, and so on, without padding. The sentences of a step are
    the first rows of the previous step.

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
        self._positions = torch.argsort(self._order)
        # (batch,)
        sorted_lengths = lengths[self._order]
        longest = int(sorted_lengths[0]) if len(lengths) else 0
        # (steps,)
        steps = torch.arange(longest, device=lengths.device)
        counts = (sorted_lengths.unsqueeze(0) > steps.unsqueeze(1)).sum(dim=1)
        starts = counts.cumsum(0) - counts
        # (rows,)
        step = steps.repeat_interleave(counts)
        position = torch.arange(len(step), device=lengths.device) - starts[step]
        self._rows = self._order[position] * time + step
        batch = len(lengths)
        # (rows,), (batch,): indices into a state's rows followed by the rows of all steps
        self._previous = torch.where(
            step == 0, position, batch + starts[(step - 1).clamp(min=0)] + position
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
        """Returns the steps of a batch, from a cache for the last few batches."""
        return _steps(tuple(lengths.tolist()), time)

    def blocks(self, rows: int) -> Iterator[Block]:
        """Yields all steps in blocks of at most `rows` rows, or of one step."""
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
        """(directions, rows, size) to (directions, batch, time, size), 0 in the padding."""
        directions, _, size = packed.shape
        padded = packed.new_zeros(directions, batch * self._time, size)
        padded.index_copy_(1, self._rows, packed)
        return padded.view(directions, batch, self._time, size)

    def sort(self, state: torch.Tensor) -> torch.Tensor:
        """(directions, batch, size) from batch order to row order."""
        return state.index_select(1, self._order)

    def unsort(self, state: torch.Tensor) -> torch.Tensor:
        """(directions, batch, size) from row order to batch order."""
        return state.index_select(1, self._positions)

    def previous_rows(self, start: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
        """
        Returns each row's predecessor, (directions, rows, size): from `packed`, (directions, rows,
        size), or for the rows of the first step from `start`, (directions, batch, size).
        """
        return torch.cat([start, packed], dim=1).index_select(1, self._previous)

    def last(self, start: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
        """
        Returns each sentence's last row, (directions, batch, size) in row order: from `packed`,
        (directions, rows, size), or for a sentence without steps from `start`.
        """
        return torch.cat([start, packed], dim=1).index_select(1, self._last)


@lru_cache(maxsize=8)
def _steps(lengths: tuple[int, ...], time: int) -> Steps:
    # torch.set_default_device does not apply
    return Steps(torch.tensor(lengths, dtype=torch.int64, device="cpu"), time)
