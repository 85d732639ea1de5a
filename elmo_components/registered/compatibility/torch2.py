"""Patches of AllenNLP 2.10.1 for torch 2, applied on import.

AllenNLP supports torch up to 1.12. Almost all of it runs on torch 2. The patches repair what fails
and a configuration file can use:

* the `reduce_on_plateau` scheduler cannot be made (`ReduceOnPlateau`);
* `allennlp train --recover` cannot read a checkpoint that holds numpy numbers
  (`load_checkpoint_with_numpy`);
* the trainer's `grad_norm` fails on sparse gradients (`clip_grad_norm_of_any_layout`).

Each patch is applied and logged only if torch has the defect. With torch 1.12 nothing changes.
"""

import inspect
import logging
from collections.abc import Iterable
from typing import Any, Optional, Union

import numpy
import torch
from allennlp.nn.parallel import ddp_accelerator
from allennlp.training import gradient_descent_trainer
from allennlp.training.checkpointer import Checkpointer
from allennlp.training.learning_rate_schedulers import (
    LearningRateScheduler,
    ReduceOnPlateauLearningRateScheduler,
)
from allennlp.training.optimizers import Optimizer
from allennlp.training.trainer import TrainerCheckpoint
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import ReduceLROnPlateau

logger = logging.getLogger(__name__)


class ReduceOnPlateau(ReduceOnPlateauLearningRateScheduler):
    """
    AllenNLP's `reduce_on_plateau` for a torch whose `ReduceLROnPlateau` takes no `verbose`.

    AllenNLP always passes `verbose`, so with torch 2.11 and 2.15 every configuration with this
    scheduler ends in `TypeError: ReduceLROnPlateau.__init__() got an unexpected keyword
    argument 'verbose'`. The arguments are AllenNLP's own and mean the same: with `verbose`, each
    reduction is logged.

    Registered as a `LearningRateScheduler` with name "reduce_on_plateau", where torch takes no
    `verbose`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        verbose: bool = False,
        threshold_mode: str = "rel",
        threshold: float = 1e-4,
        cooldown: int = 0,
        min_lr: Union[float, list[float]] = 0,
        eps: float = 1e-8,
    ) -> None:
        self._optimizer = optimizer
        self._verbose = verbose
        # skips AllenNLP's own constructor, which passes `verbose`
        super(ReduceOnPlateauLearningRateScheduler, self).__init__(
            ReduceLROnPlateau(
                optimizer,
                mode=mode,  # type: ignore[arg-type]
                factor=factor,
                patience=patience,
                threshold_mode=threshold_mode,  # type: ignore[arg-type]
                threshold=threshold,
                cooldown=cooldown,
                min_lr=min_lr,
                eps=eps,
            )
        )

    def step(self, metric: Optional[float] = None) -> None:
        """
        Updates the learning rate by the metric of the last epoch.

        # Parameters

        metric : `float`
            The validation metric.

        # Raises

        `ConfigurationError` if there is no metric, which means no validation data.
        """
        before = [group["lr"] for group in self._optimizer.param_groups]
        super().step(metric)  # type: ignore[arg-type]
        after = [group["lr"] for group in self._optimizer.param_groups]
        if self._verbose and after != before:
            logger.info("reducing learning rates from %s to %s", before, after)


def load_checkpoint_with_numpy(checkpointer: Checkpointer) -> Optional[TrainerCheckpoint]:
    """
    Loads a checkpoint as `Checkpointer.load_checkpoint` does, but allows numpy numbers.

    From torch 2.6 on, `torch.load` refuses all but tensors and plain Python values, so
    `allennlp train --recover` ends in `UnpicklingError: Weights only load failed ...
    Unsupported global: GLOBAL numpy._core.multiarray.scalar`. Checkpoints have numpy numbers with
    the `cosine` scheduler (learning rates) and some metrics (`SpearmanCorrelation`). This function
    allows only these and arrays of them, so loading stays safe.

    # Parameters

    checkpointer : `Checkpointer`
        The checkpointer whose latest checkpoint is read.

    # Returns

    The checkpoint, or `None` if there is none.
    """
    number_types = numpy.typecodes["AllInteger"] + numpy.typecodes["AllFloat"] + "?"
    numpy_globals: list[Any] = [
        numpy.dtype,
        numpy.ndarray,
        # pickle's constructors of a number and an array; their module depends on numpy's version
        numpy.float64(0).__reduce__()[0],
        numpy.zeros(1).__reduce__()[0],
        *{type(numpy.dtype(number_type)) for number_type in number_types},
    ]
    with torch.serialization.safe_globals(numpy_globals):
        return _load_checkpoint(checkpointer)


def clip_grad_norm_of_any_layout(
    parameters: Iterable[torch.nn.Parameter], max_norm: float
) -> torch.Tensor:
    """
    Clips gradients as `torch.nn.utils.clip_grad_norm_` does, also sparse ones.

    With torch 2.11 an embedding with `sparse: true` and a trainer with `grad_norm` end in
    `NotImplementedError: Could not run 'aten::linalg_vector_norm' with arguments from the
    'SparseCPU' backend`; torch 2.14.1 and 2.15 have no such defect. A coalesced sparse gradient has
    the norm of its values, so torch clips the values.

    # Parameters

    parameters : `Iterable[Parameter]`
        The parameters whose gradients are scaled in place.
    max_norm : `float`
        The norm that all the gradients together must not exceed.

    # Returns

    The norm before clipping: a tensor of shape ().
    """
    clipped = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            # (rows in the gradient, embedding_dim); it shares the gradient's memory
            values = parameter.grad._values()
            stand_in = torch.zeros_like(values)
            stand_in.grad = values
            clipped.append(stand_in)
        else:
            clipped.append(parameter)
    return clip_grad_norm_(clipped, max_norm)


def _torch_clips_sparse_gradients() -> bool:
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1).to_sparse()
    try:
        clip_grad_norm_([parameter], 1.0)
    except NotImplementedError:
        return False
    return True


# the function that `load_checkpoint_with_numpy` replaces
_load_checkpoint = Checkpointer.load_checkpoint

if "verbose" not in inspect.signature(ReduceLROnPlateau).parameters:
    logger.info("Patching AllenNLP: the scheduler reduce_on_plateau without torch's verbose")
    LearningRateScheduler.register("reduce_on_plateau", exist_ok=True)(ReduceOnPlateau)

if torch.torch_version.TorchVersion(torch.__version__) >= "2.6":
    logger.info("Patching AllenNLP: the checkpointer loads numpy numbers")
    Checkpointer.load_checkpoint = load_checkpoint_with_numpy  # type: ignore[assignment,method-assign]

if not _torch_clips_sparse_gradients():
    logger.info("Patching AllenNLP: grad_norm clips sparse gradients")
    gradient_descent_trainer.clip_grad_norm_ = clip_grad_norm_of_any_layout  # type: ignore[assignment]
    ddp_accelerator.clip_grad_norm_ = clip_grad_norm_of_any_layout  # type: ignore[assignment]
