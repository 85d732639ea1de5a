"""A callback that resumes a killed training exactly."""

import os
from typing import Any, Optional

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import dump_metrics
from allennlp.data import TensorDict
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.nn.util import dist_reduce_sum
from allennlp.training.callbacks import ConfidenceChecksCallback, TrainerCallback
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_components.registered.data_loaders.global_batches import GlobalBatchLoader
from elmo_components.registered.training.checkpointer import WholeCheckpointer
from elmo_components.registered.training.resumable_loader import ResumableLoader
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

    * the data loader "multiprocess", AllenNLP's default, or "elmo_global_batches", with at most one
      worker: several workers' batches come in no fixed order. With `max_instances_in_memory`, a
      worker of "multiprocess" draws random numbers of its own in each process, so a sampler or
      `shuffle` needs `num_workers` 0 or "elmo_global_batches";
    * in distributed training the checkpointer "elmo_checkpointer", which saves the states of all
      processes. AllenNLP refuses to recover with another number of processes;
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

    `ConfigurationError`, when training starts, for another data loader, several workers, a worker
    with a random order of its own, or another checkpointer in distributed training.
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
        checkpointer = trainer._checkpointer
        if trainer._distributed and not isinstance(checkpointer, (WholeCheckpointer, type(None))):
            raise ConfigurationError(
                "elmo_resume needs the checkpointer elmo_checkpointer in distributed training; "
                f"found {type(checkpointer).__name__}"
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
        is_random = loader.shuffle or loader.batch_sampler is not None
        is_apart = num_workers == 1 and loader.max_instances_in_memory is not None
        if is_random and is_apart and not isinstance(loader, GlobalBatchLoader):
            raise ConfigurationError(
                "elmo_resume needs num_workers 0 with shuffle or a batch_sampler and "
                "max_instances_in_memory, or the data loader elmo_global_batches: a worker draws "
                "other random numbers in each process"
            )
        self._loader = ResumableLoader(loader, trainer.cuda_device)
        trainer.data_loader = self._loader
        if self._checkpoint is not None:
            _end_confidence_checks(trainer)
            _find_best_weights(trainer)
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
            batches = trainer._batches_in_epoch_completed * trainer._world_size
            metrics["training_loss"] = dist_reduce_sum(self._loss) / batches
            if is_primary:
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


def _end_confidence_checks(trainer: GradientDescentTrainer) -> None:
    # they stay in the trainer's list, which AllenNLP is going through, and whose states it saves
    for callback in trainer._callbacks:
        if isinstance(callback, ConfidenceChecksCallback):
            # its hooks, if it started before this callback
            if hasattr(callback, "_verification"):
                callback._verification.destroy_hooks()
            callback.on_start = _nothing  # type: ignore[method-assign]
            callback.on_batch = _nothing  # type: ignore[method-assign]


def _nothing(*arguments: Any, **settings: Any) -> None:
    return None


def _find_best_weights(trainer: GradientDescentTrainer) -> None:
    # AllenNLP saves the state of the first epoch's end before it names that epoch's weights
    tracker, folder = trainer._metric_tracker, trainer._serialization_dir  # type: ignore[has-type]
    if trainer._best_model_filename is None and tracker.best_epoch is not None and folder:
        best = os.path.join(folder, "best.th")
        if os.path.exists(best):
            trainer._best_model_filename = best
