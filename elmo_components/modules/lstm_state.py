"""The state of the LSTMs from call to call."""

from typing import NamedTuple, Optional

import torch
from torch import nn

__all__ = ["LstmState", "carried"]


class LstmState(NamedTuple):
    """
    The state of the LSTMs between calls; direction 0 is the forward one.

    # Parameters

    hidden : `torch.Tensor`
        (num_layers, 2, batch, hidden_size)
    cell : `torch.Tensor`
        (num_layers, 2, batch, cell_size)
    """

    hidden: torch.Tensor
    cell: torch.Tensor

    def for_batch(self, batch: int) -> "LstmState":
        """Returns the state of the first `batch` sentences, padded with zeros."""
        missing = max(0, batch - self.hidden.size(2))
        return LstmState(
            *(nn.functional.pad(part[:, :, :batch], (0, 0, 0, missing)) for part in self)
        )


def carried(previous: Optional[LstmState], new: LstmState) -> LstmState:
    """
    Returns the detached state for the next batch, as AllenNLP's stateful encoders do: rows of a
    larger earlier batch that this one does not have keep their state.
    """
    detached = LstmState(*(part.detach() for part in new))
    batch = new.hidden.size(2)
    if previous is None or previous.hidden.size(2) <= batch:
        return detached
    return LstmState(
        *(torch.cat([part, old[:, :, batch:]], dim=2) for part, old in zip(detached, previous))
    )
