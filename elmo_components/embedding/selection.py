"""Which vectors of a sentence are kept: of which layers, one a token or a sentence, how precise."""

from dataclasses import dataclass
from typing import Optional, Union

import numpy

__all__ = ["POOLINGS", "VectorChoice"]

# What `Elmo.embed` knows by these names.
NAMED_LAYERS = ("all", "mean", "top")
POOLINGS = ("mean", "max")


@dataclass(frozen=True)
class VectorChoice:
    """
    What is made of a sentence's layers, (num_layers, tokens, size).

    # Parameters

    layers : `Union[str, int, Tuple[float, ...]]`
        "all"; "mean", of all layers; "top"; the number of one, where 0 is the character encoder's;
        or a weight for each, by which their sum is taken as it is, without a softmax.
    pooling : `Optional[str]`
        "mean" or "max" over the tokens, for one vector a sentence, which is 0 for one without
        tokens; `None` for one a token.
    float16 : `bool`
        Whether numbers are rounded to float16, from float32.

    # Raises

    `ValueError` for another name.
    """

    layers: Union[str, int, tuple[float, ...]] = "all"
    pooling: Optional[str] = None
    float16: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.layers, str) and self.layers not in NAMED_LAYERS:
            raise ValueError(
                f"layers must be one of {', '.join(NAMED_LAYERS)}; found {self.layers!r}"
            )
        if self.pooling not in (None, *POOLINGS):
            raise ValueError(
                f"pooling must be one of {', '.join(POOLINGS)}; found {self.pooling!r}"
            )

    @property
    def embedded(self) -> str:
        """The layers that `Elmo.embed` must give for this choice."""
        return self.layers if isinstance(self.layers, str) else "all"

    @property
    def dtype(self) -> numpy.dtype:
        """The type of the numbers, little-endian on every machine."""
        return numpy.dtype("<f2" if self.float16 else "<f4")

    def check(self, num_layers: int) -> None:
        """
        # Raises

        `ValueError` where a model of so many layers has no such layer, or not as many as weights.
        """
        if isinstance(self.layers, int) and not 0 <= self.layers < num_layers:
            raise ValueError(
                f"The layer must be from 0 to {num_layers - 1}, the model's; found {self.layers}"
            )
        if isinstance(self.layers, tuple) and len(self.layers) != num_layers:
            raise ValueError(
                f"There must be a weight for each of the model's {num_layers} layers; found "
                f"{len(self.layers)}"
            )

    def shape(self, tokens: int, *, num_layers: int, size: int) -> tuple[int, ...]:
        """Returns the shape of what `choose` gives for a sentence of so many tokens."""
        layers = (num_layers,) if self.layers == "all" else ()
        return (*layers, size) if self.pooling else (*layers, tokens, size)

    def choose(self, vectors: numpy.ndarray) -> numpy.ndarray:
        """
        Returns what is kept of a sentence's vectors.

        # Parameters

        vectors : `numpy.ndarray`
            float32, as `Elmo.embed` gives them for the layers `embedded`.

        # Raises

        `ValueError` for a number beyond float16 where that is asked for.
        """
        # (num_layers, tokens, size) or (tokens, size)
        chosen = vectors
        if isinstance(self.layers, int):
            # (tokens, size)
            chosen = vectors[self.layers]
        elif isinstance(self.layers, tuple):
            # (tokens, size)
            chosen = numpy.zeros_like(vectors[0])
            for weight, layer in zip(self.layers, vectors):
                chosen += numpy.float32(weight) * layer
        if self.pooling:
            # (num_layers, size) or (size,)
            chosen = _pooled(chosen, self.pooling)
        if not self.float16:
            return chosen.astype(self.dtype, copy=False)
        most = numpy.finfo(self.dtype).max
        if chosen.size and numpy.abs(chosen).max() > most:
            raise ValueError(f"Numbers must lie within {most:g} for float16; found larger ones")
        return chosen.astype(self.dtype)


def _pooled(vectors: numpy.ndarray, pooling: str) -> numpy.ndarray:
    if not vectors.shape[-2]:
        return numpy.zeros_like(vectors, shape=(*vectors.shape[:-2], vectors.shape[-1]))
    return vectors.mean(axis=-2) if pooling == "mean" else vectors.max(axis=-2)
