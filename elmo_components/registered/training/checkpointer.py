"""A checkpointer for trainings that may be killed at any time, in one process or several."""

import logging
import os
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Optional

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import is_distributed
from allennlp.nn.util import dist_reduce
from allennlp.training.checkpointer import Checkpointer
from allennlp.training.trainer import Trainer, TrainerCheckpoint

from elmo_components.checkpoints.atomic import atomic_write

__all__ = ["WholeCheckpointer"]

logger = logging.getLogger(__name__)

# The first bytes of torch's two formats: a zip archive, and a pickle before torch 1.6.
ZIP, PICKLE = b"PK", b"\x80"

# The numbers of finished epochs, and of batches in the current one.
Point = tuple[int, int]


@Checkpointer.register("elmo_checkpointer")
class WholeCheckpointer(Checkpointer):
    """
    AllenNLP's checkpointer, which also survives a kill while it writes, and distributed training.

    It renames incomplete checkpoints to `*.incomplete` and loads the newest complete one. In
    distributed training each node has its own folder with the model and the optimizer. Each further
    process of a node adds a file `training_state_*_w{rank}.th` with its callbacks' states. A
    checkpoint is complete if it is complete in all processes.

    Registered as a `Checkpointer` with name "elmo_checkpointer".

    # Parameters

    save_every_num_seconds : `Optional[float]`
        In distributed training too: all processes save when the time of one has come.
    keep_most_recent_by_count : `Optional[int]`
        At least 2 in distributed training: when the first process deletes the last but one
        checkpoint, another process may not have written the last one yet.
    **kwargs
        See `Checkpointer`.

    # Raises

    `ConfigurationError` for a number of checkpoints below 2 in distributed training; and when
    loading, if the processes' folders have no checkpoint in common.
    """

    def __init__(
        self,
        serialization_dir: str,
        save_every_num_seconds: Optional[float] = None,
        keep_most_recent_by_count: Optional[int] = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            serialization_dir, keep_most_recent_by_count=keep_most_recent_by_count, **kwargs
        )
        # AllenNLP's own class refuses it in distributed training
        self._save_every_num_seconds = save_every_num_seconds
        self._local_rank = 0
        if is_distributed():
            self._local_rank = self._rank % int(os.environ["ALLENNLP_PROCS_PER_NODE"])
            if keep_most_recent_by_count is not None and keep_most_recent_by_count < 2:
                raise ConfigurationError(
                    "keep_most_recent_by_count must be at least 2 in distributed training; found "
                    f"{keep_most_recent_by_count}"
                )

    @property
    def _is_primary(self) -> bool:
        # AllenNLP's first process would delete old checkpoints on the first node only
        return self._local_rank == 0

    def maybe_save_checkpoint(
        self, trainer: Trainer, num_epochs_completed: int, num_batches_in_epoch_completed: int
    ) -> bool:
        """Saves a checkpoint if it is time to; all processes of a training, or none."""
        if is_distributed() and self._save_every_num_seconds is not None:
            is_due = time.time() - self._last_save_time >= self._save_every_num_seconds
            if dist_reduce(int(is_due), torch.distributed.ReduceOp.MAX):
                self._last_save_time = 0.0
        return super().maybe_save_checkpoint(
            trainer, num_epochs_completed, num_batches_in_epoch_completed
        )

    def save_checkpoint(self, trainer: Any) -> None:
        """Writes a checkpoint, or this process's part of it."""
        point = (trainer._epochs_completed, trainer._batches_in_epoch_completed)
        if self._is_primary:
            super().save_checkpoint(trainer)
            return
        with atomic_write(self._own_path(point)) as path:
            torch.save([callback.state_dict() for callback in trainer._callbacks], path)
        self._last_save_time = time.time()
        self._last_save_num_epochs_completed = point[0]
        self._last_save_num_batches_in_epoch_completed = point[1]

    def load_checkpoint(self) -> Optional[TrainerCheckpoint]:
        """Returns the newest complete checkpoint, or `None`."""
        points = self._find_all_checkpoints()
        complete = {point for point in points if all(map(_is_complete, self._paths(point)))}
        if is_distributed():
            complete = self._complete_everywhere(complete)
        if self._is_primary:
            for point in points - complete:
                self._put_aside(point)
        if is_distributed():
            torch.distributed.barrier()
        if not complete:
            return None
        checkpoint = super().load_checkpoint()
        if checkpoint is not None and not self._is_primary:
            checkpoint.trainer_state["callbacks"] = torch.load(self._own_path(max(complete)))
        return checkpoint

    def _complete_everywhere(self, complete: set[Point]) -> set[Point]:
        found: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, complete)
        common = set.intersection(*found)
        # a kill during the first saving leaves it in some processes only
        if not common and max(map(len, found)) > 1:
            lists = "; ".join(f"rank {rank}: {_names(each)}" for rank, each in enumerate(found))
            raise ConfigurationError(
                f"No checkpoint is complete in all processes ({lists}). Start as many processes on "
                "as many nodes as before, each node with its own folder; or start anew with --force"
            )
        return common

    def _paths(self, point: Point) -> list[Path]:
        """Returns the files that this process needs."""
        shared = [Path(self._model_state_path(*point)), Path(self._training_state_path(*point))]
        return shared if self._is_primary else [*shared, self._own_path(point)]

    def _own_path(self, point: Point) -> Path:
        path = Path(self._training_state_path(*point))
        return path.with_name(f"{path.stem}_w{self._rank}{path.suffix}")

    def _remove_checkpoint(self, epochs_completed: int, batches_in_epoch_completed: int) -> None:
        # AllenNLP's own deletes batch 12's files with batch 1's
        for path in self._files((epochs_completed, batches_in_epoch_completed)):
            path.unlink()

    def _files(self, point: Point) -> list[Path]:
        """Returns the files of all processes of this node."""
        folder = Path(self._serialization_dir)
        return sorted(folder.glob(f"*_state_e{point[0]}_b{point[1]}[._]*th"))

    def _put_aside(self, point: Point) -> None:
        for path in self._files(point):
            renamed = path.with_name(f"{path.name}.incomplete")
            logger.warning("Renaming the incomplete checkpoint %s to %s", path, renamed)
            os.replace(path, renamed)


def _is_complete(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        start = file.read(2)
    # a zip archive ends with its directory; torch itself detects an incomplete pickle
    return zipfile.is_zipfile(path) if start == ZIP else start[:1] == PICKLE


def _names(points: Iterable[Point]) -> str:
    return ", ".join(f"e{epochs}_b{batches}" for epochs, batches in sorted(points)) or "none"
