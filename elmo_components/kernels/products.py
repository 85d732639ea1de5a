"""Products of rows with large weights, by an engine that a fixed rule chooses."""

from collections.abc import Sequence
from typing import Optional

import torch

from elmo_components.kernels.engines import (
    Engine,
    Outputs,
    bfloat16_training,
    blas,
    blas_training,
    fbgemm,
    has_fbgemm,
    has_onednn,
    onednn,
)

__all__ = ["TRAINING", "TRAINING_BFLOAT16", "Product"]

TRAINING = "training"
TRAINING_BFLOAT16 = "training bfloat16"
# For a smaller weight BLAS is as fast as oneDNN.
MIN_ONEDNN_WEIGHT = 1 << 18


class Product:
    """
    The product of inputs with the transpose of a weight, for one weight a direction.

    The engine depends only on the type, the size and the processor, so that a call always gives the
    same numbers. It is the fastest one measured on AMD and Intel.

    # Parameters

    weights : `Sequence[torch.Tensor]`
        One for each direction, (output_size, input_size), float32 or float64. They are packed;
        later changes have no effect.
    precision : `str`
        One of `call.PRECISIONS`, `TRAINING` or `TRAINING_BFLOAT16`. If torch or the processor lacks
        a precision, the product has the next higher one.
    """

    def __init__(self, weights: Sequence[torch.Tensor], precision: str) -> None:
        weights = [weight.detach() for weight in weights]
        self._single: Optional[Engine] = None
        self._engine: Engine
        float32 = weights[0].dtype == torch.float32
        if float32 and precision == TRAINING_BFLOAT16:
            self._engine = bfloat16_training(weights)
        elif precision in (TRAINING, TRAINING_BFLOAT16):
            self._engine = blas_training(weights)
        elif float32 and precision == "int8" and has_fbgemm():
            self._engine = fbgemm(weights)
        elif not float32 or weights[0].numel() < MIN_ONEDNN_WEIGHT:
            self._engine = blas(weights)
        elif precision != "float32" and has_onednn(torch.bfloat16):
            self._engine = onednn([weight.bfloat16() for weight in weights])
        elif has_onednn(torch.float32):
            self._engine = onednn(weights)
            # BLAS is faster for one row
            self._single = blas(weights)
        else:
            self._engine = blas(weights)

    def __call__(self, inputs: torch.Tensor, addend: Optional[Outputs] = None) -> Outputs:
        """
        Returns the product plus `addend`: one tensor (directions, rows, output_size), or one
        (1, rows, output_size) for each direction.

        # Parameters

        inputs : `torch.Tensor`
            (directions, rows, input_size)
        addend : `Optional[Outputs]`
            Outputs, which may be overwritten and returned; or one bias, (directions, 1,
            output_size), which does not change.
        """
        if self._single is not None and inputs.size(1) == 1:
            return self._single(inputs, addend)
        return self._engine(inputs, addend)
