"""A callback that reports the speed of a language model's training."""

import logging
import time
from collections import deque
from typing import Any, Optional

from allennlp.common.checks import ConfigurationError
from allennlp.data import TensorDict
from allennlp.nn.util import get_text_field_mask
from allennlp.training.callbacks import TrainerCallback
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_components.registered.models.language_model import ElmoLanguageModel

__all__ = ["ElmoProgress"]

logger = logging.getLogger(__name__)


@TrainerCallback.register("elmo_progress")
class ElmoProgress(TrainerCallback):
    """
    Adds `tokens_per_second` to each training batch's metrics, which the progress bar shows.

    It is the speed over the last 50 batches, including reading and saving. A position counts once,
    for both directions; padding does not count. In distributed training it is the first process's
    speed. TensorBoard's callback logs it as "train/batch_tokens_per_second".

    The callback warns once if the learning rate falls to 0 before the end: then the scheduler is
    configured with too few steps.

    Registered as a `TrainerCallback` with name "elmo_progress".

    # Raises

    `ConfigurationError`, when training starts, for another model than `ElmoLanguageModel`.
    """

    def __init__(self, serialization_dir: str) -> None:
        super().__init__(serialization_dir)
        # the end time and the tokens of each batch; the first batch's tokens do not count
        self._last: deque[tuple[float, int]] = deque(maxlen=51)
        self._rate_is_zero = self._has_warned = False

    def on_start(
        self, trainer: GradientDescentTrainer, is_primary: bool = True, **kwargs: Any
    ) -> None:
        """Checks the model."""
        super().on_start(trainer, is_primary, **kwargs)
        if not isinstance(trainer.model, ElmoLanguageModel):
            raise ConfigurationError(
                "elmo_progress needs the model elmo_language_model; "
                f"found {type(trainer.model).__name__}"
            )

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
        """Counts the batch's tokens, and reports the speed from the second batch on."""
        if not is_training or not is_primary:
            return
        masks = [get_text_field_mask(batch["inputs"]) for batch in batch_inputs]  # type: ignore[arg-type]
        self._last.append((time.perf_counter(), sum(int(mask.sum()) for mask in masks)))
        if len(self._last) > 1:
            seconds = self._last[-1][0] - self._last[0][0]
            tokens = sum(number for _, number in self._last) - self._last[0][1]
            batch_metrics["tokens_per_second"] = tokens / seconds
        # this batch's rate; the scheduler has already set the next one, 0 after the last batch
        if self._rate_is_zero and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "The learning rate is 0 from batch %d of epoch %d on. The scheduler's num_epochs "
                "times num_steps_per_epoch must be at least the number of batches",
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
        """Resets the clock, so that the time of the validation does not count."""
        self._last.clear()
