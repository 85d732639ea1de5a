"""A callback that ends distributed training when another process is lost, and says so."""

import logging
import re
import sys
from datetime import timedelta
from typing import Any, Optional

from allennlp.training.callbacks import TrainerCallback
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer
from torch import distributed

__all__ = ["ElmoLostProcess"]

logger = logging.getLogger(__name__)

# Parts of gloo's and NCCL's errors, which are RuntimeErrors.
LOST = re.compile(r"gloo|nccl|connection|timed out|socket", re.IGNORECASE)


@TrainerCallback.register("elmo_lost_process")
class ElmoLostProcess(TrainerCallback):
    """
    Limits the time for which a process of distributed training waits for another, and logs an error
    that says what happened.

    A killed process ends its connections, so the others end at once. A node that is switched off or
    cut from the network does not; then the others end after `timeout_seconds`. (AllenNLP leaves
    torch's limit of 30 minutes, which also holds for the start, until all processes have joined.)
    Without distributed training the callback does nothing.

    Registered as a `TrainerCallback` with name "elmo_lost_process".

    # Parameters

    timeout_seconds : `float`
        The limit for one exchange. It must be longer than what one process does alone: reading the
        first sentences, and writing a checkpoint. Old releases of torch cannot change their limit,
        which a warning says.
    """

    def __init__(self, serialization_dir: str, timeout_seconds: float = 300.0) -> None:
        super().__init__(serialization_dir)
        self._timeout_seconds = timeout_seconds

    def on_start(
        self, trainer: GradientDescentTrainer, is_primary: bool = True, **kwargs: Any
    ) -> None:
        """Sets the limit."""
        super().on_start(trainer, is_primary, **kwargs)
        if trainer._distributed:
            _set_timeout(timedelta(seconds=self._timeout_seconds))

    def on_end(
        self,
        trainer: GradientDescentTrainer,
        metrics: Optional[dict[str, Any]] = None,
        epoch: Optional[int] = None,
        is_primary: bool = True,
        **kwargs: Any,
    ) -> None:
        """Logs the error if an exchange failed."""
        # the trainer calls this while its own error passes
        error = sys.exc_info()[1]
        if trainer._distributed and isinstance(error, RuntimeError) and LOST.search(str(error)):
            logger.error(
                "Process %d of %d lost another process, which ended or did not answer within %g "
                "seconds, in epoch %d after batch %d: %s. Start all nodes again with --recover",
                distributed.get_rank(),
                distributed.get_world_size(),
                self._timeout_seconds,
                trainer._epochs_completed,
                trainer._batches_in_epoch_completed,
                _first_sentence(str(error)),
            )


def _first_sentence(message: str) -> str:
    """Returns gloo's first sentence, without the place in its source."""
    return re.sub(r"^\[[^]]*\] ", "", message.splitlines()[0]).split(". ")[0]


def _set_timeout(timeout: timedelta) -> None:
    # the public function, and its name in earlier releases
    setter = getattr(distributed, "set_timeout", None)
    setter = setter or getattr(distributed.distributed_c10d, "_set_pg_timeout", None)
    if setter is None:
        logger.warning("This torch has no other limit than its own for an exchange: 30 minutes")
    else:
        setter(timeout)
