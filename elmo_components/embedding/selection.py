"""Selects a sentence's vectors: their layers, per token or pooled, and their precision."""

from dataclasses import dataclass
from typing import Optional, Union

import numpy

from elmo_components.embedding.batches import check_layers

__all__ = ["POOLINGS", "VectorChoice"]

POOLINGS = ("mean", "max")


@dataclass(frozen=True)
class VectorChoice:
    """
    Selects from a sentence's layers, (num_layers, tokens, size).

    # Parameters

    layers : `Union[str, int, Tuple[float, ...]]`
        "all"; "mean" of all layers; "top"; the number of one layer, where 0 is the character
        encoder's; or one weight per layer for their weighted sum, without a softmax.
    pooling : `Optional[str]`
        "mean" or "max" over the tokens, for one vector per sentence; zeros for a sentence without
        tokens. `None` for one vector per token.
    float16 : `bool`
        Whether to round to float16.

    # Raises

    `ValueError` for an unknown name.
    """

    layers: Union[str, int, tuple[float, ...]] = "all"
    pooling: Optional[str] = None
    float16: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.layers, str):
            check_layers(self.layers)
        if self.pooling not in (None, *POOLINGS):
            raise ValueError(
                f"pooling must be one of {', '.join(POOLINGS)}; found {self.pooling!r}"
            )

    @property
    def embedded(self) -> str:
        """The layers that `Elmo.embed` must return for this choice."""
        return self.layers if isinstance(self.layers, str) else "all"

    @property
    def dtype(self) -> numpy.dtype:
        """The dtype of the vectors, little-endian on every machine."""
        return numpy.dtype("<f2" if self.float16 else "<f4")

    def check(self, num_layers: int) -> None:
        """Raises a `ValueError` if a model with `num_layers` layers cannot give these vectors."""
        if isinstance(self.layers, int) and not 0 <= self.layers < num_layers:
            raise ValueError(
                f"layer must be from 0 to {num_layers - 1} for this model; found {self.layers}"
            )
        if isinstance(self.layers, tuple) and len(self.layers) != num_layers:
            raise ValueError(
                f"There must be {num_layers} weights, one for each layer; found {len(self.layers)}"
            )

    def shape(self, tokens: int, *, num_layers: int, size: int) -> tuple[int, ...]:
        """Returns the shape of what `choose` returns for a sentence of `tokens` tokens."""
        layers = (num_layers,) if self.layers == "all" else ()
        return (*layers, size) if self.pooling else (*layers, tokens, size)

    def choose(self, vectors: numpy.ndarray) -> numpy.ndarray:
        """
        Returns the selected vectors of a sentence.

        # Parameters

        vectors : `numpy.ndarray`
            float32, as `Elmo.embed` returns them for the layers `embedded`.

        # Raises

        `ValueError` for a number outside the range of float16, with `float16`.
        """
        # (num_layers, tokens, size) or (tokens, size)
        chosen = vectors
        if isinstance(self.layers, int):
            # (tokens, size)
            chosen = vectors[self.layers]
        elif isinstance(self.layers, tuple):
            # (tokens, size)
            chosen = numpy.tensordot(numpy.array(self.layers, vectors.dtype), vectors, axes=1)
        if self.pooling and not chosen.shape[-2]:
            # (num_layers, size) or (size,)
            chosen = numpy.zeros((*chosen.shape[:-2], chosen.shape[-1]), vectors.dtype)
        elif self.pooling:
            # (num_layers, size) or (size,)
            chosen = chosen.mean(axis=-2) if self.pooling == "mean" else chosen.max(axis=-2)
        largest = numpy.finfo(self.dtype).max
        if self.float16 and chosen.size and numpy.abs(chosen).max() > largest:
            raise ValueError(f"numbers must be within {largest:g} for float16; found larger ones")
        return chosen.astype(self.dtype, copy=False)
