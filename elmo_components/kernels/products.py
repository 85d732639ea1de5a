"""Products of rows with the weights of all directions, by torch's BLAS."""

from collections.abc import Sequence
from typing import Optional

import torch

__all__ = ["ROW_STEP", "Product", "padded_bfloat16", "padded_count"]

# The number of rows of a bfloat16 product is rounded up to a multiple of at most this.
ROW_STEP = 128


class Product:
    """
    The product of rows with the transpose of a weight, for one weight a direction.

    # Parameters

    weights : `Sequence[torch.Tensor]`
        One for each direction, (output_size, input_size). They are copied; later changes have no
        effect.
    bfloat16 : `bool`
        Whether rows and weights are rounded to bfloat16. Sums are float32.
    """

    def __init__(self, weights: Sequence[torch.Tensor], *, bfloat16: bool) -> None:
        self._bfloat16 = bfloat16
        # (directions, input_size, output_size)
        if bfloat16:
            self._weights = torch.stack([part.detach().bfloat16() for part in weights]).mT
        else:
            self._weights = torch.stack([part.detach().t() for part in weights]).contiguous()

    def __call__(self, rows: torch.Tensor, addend: Optional[torch.Tensor] = None) -> torch.Tensor:
        """
        Returns the product plus `addend`, (directions, rows, output_size).

        # Parameters

        rows : `torch.Tensor`
            (directions, rows, input_size)
        addend : `Optional[torch.Tensor]`
            (directions, rows, output_size), or (directions, 1, output_size) for all rows.
        """
        if self._bfloat16:
            product = torch.bmm(padded_bfloat16(rows), self._weights)[:, : rows.size(1)]
            return product.float() if addend is None else addend + product
        if addend is None:
            return torch.bmm(rows, self._weights)
        return torch.baddbmm(addend, rows, self._weights)


def padded_bfloat16(rows: torch.Tensor) -> torch.Tensor:
    """
    Returns (directions, rows, size) in bfloat16, with zeros for up to `ROW_STEP` more rows: see
    `padded_count`.
    """
    directions, count, size = rows.shape
    padded = rows.new_empty(directions, padded_count(count), size, dtype=torch.bfloat16)
    padded[:, :count] = rows
    padded[:, count:] = 0.0
    return padded


def padded_count(count: int) -> int:
    """
    Returns the number of rows of a bfloat16 product of `count` rows.

    oneDNN compiles for every new shape, which takes longer than most products. So the number of
    rows takes few values.
    """
    step = ROW_STEP // 4 if count <= 512 else ROW_STEP
    return -(-count // step) * step
