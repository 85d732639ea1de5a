"""A callback that resumes a killed training exactly."""

import os
import random
from collections.abc import Iterator
from itertools import count, repeat
from typing import Any, Callable, Optional

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import dump_metrics
from allennlp.data import DataLoader, TensorDict
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.training.callbacks import ConfidenceChecksCallback, TrainerCallback
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_components.registered.training.state import (
    metric_states,
    random_states,
    set_metric_states,
    set_random_states,
)

__all__ = ["ElmoResume"]


@TrainerCallback.register("elmo_resume")
class ElmoResume(TrainerCallback):
    """
    Makes `allennlp train --recover` continue a killed training exactly: the same batches, losses,
    learning rates and metrics as without the kill.

    AllenNLP alone reads all batches again to skip the trained ones. It restores neither the random
    states nor the number of batches, which sets the learning rate. This callback skips finished
    epochs without reading. It reads again only the batches since the data loader's last pass
    began. It restores the states of torch's, numpy's and Python's generators, the number of
    batches, the scale of `use_amp`, and the sums of the epoch's metrics (except "reg_loss", a
    regularizer's).

    Requirements:

    * the data loader "multiprocess", AllenNLP's default, with at most one worker: several workers'
      batches come in no fixed order;
    * one process: a checkpoint holds the callbacks of the first process only;
    * a reader whose passes are all the same, or one that counts them in an attribute `epoch`, as
      `elmo_corpus` does;
    * a model whose state between batches is in its `state_dict` and its `Metric`s. A model with
      more state needs a method `carried`, which returns it in plain values and tensors, and a
      method `carry`, which restores it, as in `ElmoLanguageModel`.

    With `checkpointer: {type: "elmo_checkpointer"}` a training may also be killed while it writes a
    checkpoint. `run_confidence_checks` may be true: AllenNLP ends these checks with the first batch
    of the first epoch, so a resumed training does not run them.

    Registered as a `TrainerCallback` with name "elmo_resume".

    # Raises

    `ConfigurationError`, when training starts, for another data loader, several workers, or
    distributed training.
    """

    def __init__(self, serialization_dir: str) -> None:
        super().__init__(serialization_dir)
        # `load_state_dict`'s argument, in a resumed training
        self._checkpoint: Optional[dict[str, Any]] = None
        # the epoch in which the training resumed: AllenNLP sums its loss from there only
        self._resumed_epoch: Optional[int] = None
        self._loss = 0.0

    def on_start(
        self, trainer: GradientDescentTrainer, is_primary: bool = True, **kwargs: Any
    ) -> None:
        """Replaces the trainer's data loader with one that can save its position."""
        super().on_start(trainer, is_primary, **kwargs)
        if trainer._distributed:
            raise ConfigurationError(
                "elmo_resume does not support distributed training. Remove it from the callbacks"
            )
        if not isinstance(trainer.data_loader, MultiProcessDataLoader):
            raise ConfigurationError(
                "elmo_resume needs the data loader multiprocess; "
                f"found {type(trainer.data_loader).__name__}"
            )
        loader: Any = trainer.data_loader
        num_workers: int = loader.num_workers
        if num_workers > 1:
            raise ConfigurationError(
                f"elmo_resume needs at most one data-loader worker; found num_workers {num_workers}"
            )
        self._loader = _ResumableLoader(loader, trainer.cuda_device)
        trainer.data_loader = self._loader
        if self._checkpoint is not None:
            _remove_confidence_checks(trainer)
            self._loader.go_to(
                self._checkpoint["place"],
                finished_epochs=trainer._start_after_epochs_completed,
                on_arrival=self._restore,
            )
            if trainer._start_after_batches_in_epoch_completed > 0:
                self._resumed_epoch = trainer._start_after_epochs_completed

    def on_batch(
        self,
        trainer: GradientDescentTrainer,
        batch_inputs: list[TensorDict],
        batch_outputs: list[dict[str, Any]],
        batch_metrics: dict[str, Any],
        epoch: int,
        batch_number: int,
        is_training: bool,
        is_primary: bool = True,
        batch_grad_norm: Optional[float] = None,
        **kwargs: Any,
    ) -> None:
        """Sums the epoch's loss, including the batches before a resumption."""
        if is_training:
            self._loss = batch_metrics["batch_loss"] + (self._loss if batch_number > 1 else 0.0)
            batch_metrics["loss"] = self._loss / batch_number

    def on_epoch(
        self,
        trainer: GradientDescentTrainer,
        metrics: dict[str, Any],
        epoch: int,
        is_primary: bool = True,
        **kwargs: Any,
    ) -> None:
        """Corrects the loss of the epoch in which the training resumed, in its file too."""
        if epoch == self._resumed_epoch:
            metrics["training_loss"] = self._loss / trainer._batches_in_epoch_completed
            path = os.path.join(self.serialization_dir, f"metrics_epoch_{epoch}.json")
            dump_metrics(path, metrics)

    def on_end(
        self,
        trainer: GradientDescentTrainer,
        metrics: Optional[dict[str, Any]] = None,
        epoch: Optional[int] = None,
        is_primary: bool = True,
        **kwargs: Any,
    ) -> None:
        """Gives the trainer its own data loader back."""
        trainer.data_loader = self._loader.loader

    def state_dict(self) -> dict[str, Any]:
        """Returns only plain values and tensors, which `torch.load` reads by default."""
        trainer = self.trainer
        assert trainer is not None
        carried = getattr(trainer.model, "carried", None)
        return {
            "place": self._loader.place(),
            "random": random_states(trainer.cuda_device),
            "total_batches": trainer._total_batches_completed,
            "loss": self._loss,
            "model": None if carried is None else carried(),
            "metrics": metric_states(trainer.model),
            "scaler": {} if trainer._scaler is None else trainer._scaler.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Stores the state, which is restored when the data loader reaches its position."""
        self._checkpoint = state_dict

    def _restore(self) -> None:
        trainer, checkpoint = self.trainer, self._checkpoint
        assert trainer is not None and checkpoint is not None
        trainer._total_batches_completed = checkpoint["total_batches"]
        # otherwise an epoch that was killed after its last batch would have no metrics
        trainer._start_after_batches_in_epoch_completed = 0
        self._loss = checkpoint["loss"]
        if checkpoint["model"] is not None:
            model: Any = trainer.model
            model.carry(checkpoint["model"])
        set_metric_states(trainer.model, checkpoint["metrics"])
        if trainer._scaler is not None:
            trainer._scaler.load_state_dict(checkpoint["scaler"])
        set_random_states(checkpoint["random"])


class _ResumableLoader(DataLoader):
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
        for _ in count() if number is None else range(number - self._given):
            batch = self._next()
            if batch is None and number is None:
                break
            batch = batch or self._next()
            if batch is None:
                raise ConfigurationError(f"There is no batch in {self.loader.data_path!r}")
            self._given += 1
            yield batch
        self._given = 0

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


def _remove_confidence_checks(trainer: GradientDescentTrainer) -> None:
    for callback in trainer._callbacks[:]:
        if isinstance(callback, ConfidenceChecksCallback):
            trainer._callbacks.remove(callback)
            # its hooks, if it started before this callback
            if hasattr(callback, "_verification"):
                callback._verification.destroy_hooks()
