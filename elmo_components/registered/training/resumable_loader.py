"""A data loader's batches from a position that can be saved and restored."""

import random
from collections.abc import Iterator
from itertools import count, repeat
from typing import Any, Callable, Optional

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data import DataLoader, TensorDict

from elmo_components.registered.training.state import random_states, set_random_states

__all__ = ["ResumableLoader"]


class ResumableLoader(DataLoader):
    """
    A loader's batches in the trainer's epochs, from a position that can be saved and restored.

    A loader makes one pass after another over the data. Without `batches_per_epoch` an epoch is a
    pass; with it, an epoch begins where the last one ended.

    # Parameters

    loader : `MultiProcessDataLoader`
        The configured loader.
    device : `torch.device`
        The device on which the model is trained.
    """

    def __init__(self, loader: Any, device: torch.device) -> None:
        self.loader = loader
        self._device = device
        # the current pass, its start, and the number of batches taken from it
        self._pass: Optional[Iterator[TensorDict]] = None
        self._start: dict[str, Any] = {}
        self._taken = 0
        # the number of batches in this epoch so far
        self._given = 0
        self._finished_epochs = 0
        self._destination: Optional[dict[str, Any]] = None
        self._on_arrival: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        # some samplers draw random numbers to count batches
        state = random.getstate()
        try:
            return len(self.loader)
        finally:
            random.setstate(state)

    def __iter__(self) -> Iterator[TensorDict]:
        if self._finished_epochs > 0:
            self._finished_epochs -= 1
            return
        if self._destination is not None:
            self._given = self._destination["given"]
            # stand for the trained batches, which the trainer skips
            yield from repeat({}, self._given)
            self._reach(self._destination)
            self._destination = None
        number = self.loader.batches_per_epoch
        try:
            for _ in count() if number is None else range(number - self._given):
                batch = self._next()
                if batch is None and number is None:
                    break
                batch = batch or self._next()
                if batch is None:
                    raise ConfigurationError(f"There is no batch in {self.loader.data_path!r}")
                self._given += 1
                yield batch
        finally:
            # also where another process has no more batches, and the trainer leaves the rest
            self._given = 0
            if number is None:
                self._pass = None

    def place(self) -> dict[str, Any]:
        """Returns the position of the next batch, in plain values and tensors."""
        if self._pass is None:
            return {**self._here(), "taken": 0, "given": self._given}
        return {**self._start, "taken": self._taken, "given": self._given}

    def go_to(
        self, place: dict[str, Any], *, finished_epochs: int, on_arrival: Callable[[], None]
    ) -> None:
        """
        Makes the next `finished_epochs` epochs empty and starts the one after them at `place`,
        where it calls `on_arrival` before the next batch is made.
        """
        self._destination = place
        self._finished_epochs = finished_epochs
        self._on_arrival = on_arrival

    def _reach(self, place: dict[str, Any]) -> None:
        if place["epoch"] is not None:
            self.loader.reader.epoch = place["epoch"]
        set_random_states(place["random"])
        for number in range(place["taken"]):
            if self._next() is None:
                raise ConfigurationError(
                    f"The data at {self.loader.data_path!r} changed since the training began: "
                    f"{place['taken']} batches were trained; found {number}"
                )
        self._on_arrival()

    def _next(self) -> Optional[TensorDict]:
        """Returns the next batch of the pass; `None` at its end, before a new one begins."""
        if self._pass is None:
            self._start, self._taken = self._here(), 0
            self._pass = self.loader._iter_batches()
        batch = next(self._pass, None)
        if batch is None:
            self._pass = None
        self._taken += 1
        return batch

    def _here(self) -> dict[str, Any]:
        epoch = getattr(self.loader.reader, "epoch", None)
        return {"epoch": epoch, "random": random_states(self._device)}
