"""What lets AllenNLP's trainer resume a killed pre-training exactly, and shows how fast it is."""

import logging
import os
import random
import time
from collections import deque
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any, Callable, Optional
from zipfile import is_zipfile

import numpy
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import dump_metrics
from allennlp.data import DataLoader, TensorDict
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.nn.util import get_text_field_mask
from allennlp.training.callbacks import TrainerCallback
from allennlp.training.checkpointer import Checkpointer
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer
from allennlp.training.trainer import TrainerCheckpoint

from elmo_components.registered.dataset_readers.corpus import CorpusReader
from elmo_components.registered.models.language_model import ElmoLanguageModel

__all__ = ["ElmoProgress", "ElmoResume", "WholeCheckpointer"]

logger = logging.getLogger(__name__)


@TrainerCallback.register("elmo_resume")
class ElmoResume(TrainerCallback):
    """
    Makes `allennlp train --recover` go on from the last checkpoint as if the training had not been
    killed: the same batches, losses, learning rates and metrics.

    AllenNLP reads everything again from the start, to pass over what was trained, and restores
    neither the random states nor the count of batches by which learning rates are scheduled. With
    this callback finished epochs are not read; only what the data loader has read of the corpus
    since it last began it is read again, untrained. Restored are the states of torch's, numpy's and
    Python's generators, the count of batches, what `ElmoLanguageModel` carries from batch to batch,
    the sums behind the epoch's metrics (but for "reg_loss", a regularizer's), and the scale of
    `use_amp`.

    The data loader must be AllenNLP's own, "multiprocess", with at most one worker: batches of
    several come in no certain order. Give the trainer `checkpointer: {type: "elmo_checkpointer"}`,
    so that being killed while it writes does no harm either, and `run_confidence_checks: false`:
    the hooks of these checks end with the first batch of the first epoch, so that in a resumed
    training they would stay, and fill memory slowly.

    Registered as a `TrainerCallback` with name "elmo_resume".

    # Raises

    `ConfigurationError`, when training starts, for another model or data loader, and in distributed
    training: a checkpoint holds the callbacks of its first process only.
    """

    def __init__(self, serialization_dir: str) -> None:
        super().__init__(serialization_dir)
        # what the checkpoint held, in a resumed training
        self._checkpoint: Optional[dict[str, Any]] = None
        # the epoch that was resumed within, whose loss AllenNLP sums from there only
        self._divided_epoch: Optional[int] = None
        self._loss = 0.0

    def on_start(
        self, trainer: GradientDescentTrainer, is_primary: bool = True, **kwargs: Any
    ) -> None:
        """Has the trainer read through a data loader that knows where it is."""
        super().on_start(trainer, is_primary, **kwargs)
        if trainer._distributed:
            raise ConfigurationError(
                "elmo_resume is for training in one process: AllenNLP's checkpoints hold the "
                "callbacks of the first process only, not each process's random states"
            )
        _check_model(trainer, "elmo_resume")
        if not isinstance(trainer.data_loader, MultiProcessDataLoader):
            raise ConfigurationError(
                "elmo_resume must have the data loader multiprocess; "
                f"found {type(trainer.data_loader).__name__}"
            )
        self._batches = _Batches(trainer.data_loader, trainer.cuda_device)
        trainer.data_loader = self._batches
        if self._checkpoint is not None:
            self._batches.go_to(
                self._checkpoint["place"],
                finished_epochs=trainer._start_after_epochs_completed,
                arrived=self._go_on,
            )
            if trainer._start_after_batches_in_epoch_completed > 0:
                self._divided_epoch = trainer._start_after_epochs_completed

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
        """Sums the epoch's loss, also over the batches before a resumption."""
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
        """Corrects the loss of an epoch that was resumed within, in the metrics' file too."""
        if epoch == self._divided_epoch:
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
        trainer.data_loader = self._batches.loader

    def state_dict(self) -> dict[str, Any]:
        """Returns plain values and tensors only, which torch reads from a file by default."""
        trainer = self.trainer
        assert trainer is not None and isinstance(trainer.model, ElmoLanguageModel)
        return {
            "place": self._batches.place(),
            "random": _random_states(trainer.cuda_device),
            "total_batches": trainer._total_batches_completed,
            "loss": self._loss,
            "model": trainer.model.carried(),
            "scaler": {} if trainer._scaler is None else trainer._scaler.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps the state until the training that is resumed has come where it was."""
        self._checkpoint = state_dict

    def _go_on(self) -> None:
        trainer, checkpoint = self.trainer, self._checkpoint
        assert trainer is not None and isinstance(trainer.model, ElmoLanguageModel)
        assert checkpoint is not None
        trainer._total_batches_completed = checkpoint["total_batches"]
        # an epoch of which every batch was trained, but which was not ended, would have no metrics
        trainer._start_after_batches_in_epoch_completed = 0
        self._loss = checkpoint["loss"]
        trainer.model.carry(checkpoint["model"])
        if trainer._scaler is not None:
            trainer._scaler.load_state_dict(checkpoint["scaler"])
        _set_random_states(checkpoint["random"])


@TrainerCallback.register("elmo_progress")
class ElmoProgress(TrainerCallback):
    """
    Adds `tokens_per_second` to the metrics of each training batch, which the progress bar shows:
    that of the last 50 batches, with all that happens between them, such as reading and saving. A
    position counts once, though both directions predict a word there; padding does not count. In
    distributed training it is the first process's own.

    Callbacks that come after it see the figure: TensorBoard's has it as
    "train/batch_tokens_per_second".

    It warns, once, where there is no progress: where a scheduler that was told fewer steps than
    there are has brought the learning rate to 0.

    Registered as a `TrainerCallback` with name "elmo_progress".

    # Raises

    `ConfigurationError`, when training starts, for another model than `ElmoLanguageModel`.
    """

    def __init__(self, serialization_dir: str) -> None:
        super().__init__(serialization_dir)
        # when each batch ended, and its tokens; the first one's do not count
        self._last: deque[tuple[float, int]] = deque(maxlen=51)
        self._rate_is_zero = self._has_warned = False

    def on_start(
        self, trainer: GradientDescentTrainer, is_primary: bool = True, **kwargs: Any
    ) -> None:
        """Checks the model."""
        super().on_start(trainer, is_primary, **kwargs)
        _check_model(trainer, "elmo_progress")

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
        """Counts the batch; from the second one on there is a figure."""
        if not is_training or not is_primary:
            return
        masks = [get_text_field_mask(batch["inputs"]) for batch in batch_inputs]  # type: ignore[arg-type]
        tokens = sum(int(mask.sum()) for mask in masks)
        self._last.append((time.perf_counter(), tokens))
        if len(self._last) > 1:
            seconds = self._last[-1][0] - self._last[0][0]
            counted = sum(number for _, number in self._last) - self._last[0][1]
            batch_metrics["tokens_per_second"] = counted / seconds
        # this batch's rate: that of the next, which is set by now, is 0 at the very end
        if self._rate_is_zero and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "nothing is learned from batch %d of epoch %d on: the learning rate has fallen to "
                "0, as the scheduler's steps in all (num_epochs times num_steps_per_epoch) are "
                "fewer than the batches",
                batch_number,
                epoch,
            )
        self._rate_is_zero = not any(group["lr"] for group in trainer.optimizer.param_groups)

    def on_epoch(
        self,
        trainer: GradientDescentTrainer,
        metrics: dict[str, Any],
        epoch: int,
        is_primary: bool = True,
        **kwargs: Any,
    ) -> None:
        """Starts anew, so that the time of the validation does not count."""
        self._last.clear()


@Checkpointer.register("elmo_checkpointer")
class WholeCheckpointer(Checkpointer):
    """
    AllenNLP's checkpointer, which can be killed while it writes: when it loads, it first removes
    checkpoints that are cut off, so that the newest whole one is loaded.

    Registered as a `Checkpointer` with name "elmo_checkpointer"; for the parameters see
    `Checkpointer`.
    """

    def load_checkpoint(self) -> Optional[TrainerCheckpoint]:
        """Returns the newest whole checkpoint, or `None`."""
        for point in self._find_all_checkpoints():
            paths = [Path(self._model_state_path(*point)), Path(self._training_state_path(*point))]
            # what torch writes is a zip archive, whose table of contents comes last
            if not all(map(is_zipfile, paths)):
                logger.warning("removing the checkpoint %s, which is cut off", paths[0])
                for path in paths:
                    # another process may have been quicker
                    path.unlink(missing_ok=True)
        return super().load_checkpoint()


def _check_model(trainer: GradientDescentTrainer, callback: str) -> None:
    if not isinstance(trainer.model, ElmoLanguageModel):
        raise ConfigurationError(
            f"{callback} must have the model elmo_language_model; "
            f"found {type(trainer.model).__name__}"
        )


class _Batches(DataLoader):
    """
    The batches of a loader, in the trainer's epochs, from a place that can be kept and gone to.

    A loader makes one pass after another over the corpus. Without `batches_per_epoch` an epoch is a
    pass; with it, an epoch begins where the one before ended.

    # Parameters

    loader : `MultiProcessDataLoader`
        The configured loader.
    device : `torch.device`
        Where the model is trained.
    """

    def __init__(self, loader: MultiProcessDataLoader, device: torch.device) -> None:
        # mypy finds no types of its attributes
        self.loader: Any = loader
        self._device = device
        # the pass under way, where it began, and how many batches of it were taken
        self._pass: Optional[Iterator[TensorDict]] = None
        self._start: dict[str, Any] = {}
        self._taken = 0
        # how many batches of the epoch were given
        self._given = 0
        self._finished_epochs = 0
        self._destination: Optional[dict[str, Any]] = None
        self._arrived: Callable[[], None] = lambda: None

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
            # in place of those that the trainer passes over
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
        """Returns where the next batch comes from, in plain values and tensors."""
        if self._pass is None:
            return {**self._here(), "taken": 0, "given": self._given}
        return {**self._start, "taken": self._taken, "given": self._given}

    def go_to(
        self, place: dict[str, Any], *, finished_epochs: int, arrived: Callable[[], None]
    ) -> None:
        """
        Lets so many epochs be empty, and the next one go on from a place; there calls `arrived`,
        before the batch that follows is made.
        """
        self._destination = place
        self._finished_epochs = finished_epochs
        self._arrived = arrived

    def _reach(self, place: dict[str, Any]) -> None:
        reader = self.loader.reader
        if isinstance(reader, CorpusReader):
            reader.epoch = place["epoch"]
        _set_random_states(place["random"])
        for number in range(place["taken"]):
            if self._next() is None:
                raise ConfigurationError(
                    f"The corpus {self.loader.data_path!r} must be the one that the training "
                    f"began with: {place['taken']} batches of it were trained; found {number}"
                )
        self._arrived()

    def _next(self) -> Optional[TensorDict]:
        """Returns the next batch of the pass, or `None` at its end; then a new one begins."""
        if self._pass is None:
            self._start, self._taken = self._here(), 0
            self._pass = self.loader._iter_batches()
        batch = next(self._pass, None)
        if batch is None:
            self._pass = None
        self._taken += 1
        return batch

    def _here(self) -> dict[str, Any]:
        reader = self.loader.reader
        epoch = reader.epoch if isinstance(reader, CorpusReader) else 0
        return {"epoch": epoch, "random": _random_states(self._device)}


def _random_states(device: torch.device) -> dict[str, Any]:
    kind, key, *rest = numpy.random.get_state()
    assert isinstance(key, numpy.ndarray)
    states = {
        "python": random.getstate(),
        "numpy": (kind, key.tolist(), *rest),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    numpy.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if "cuda" in states:
        # the trainer's device is the current one
        torch.cuda.set_rng_state(states["cuda"])
