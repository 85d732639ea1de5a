"""
The one interface to the recurrence, the only part of the model whose speed is worth a twin.

`projected_lstm` is the reference's; a faster backend comes with its own module beside it.
"""

from elmo_components.kernels.reference import DirectionWeights, LayerState, projected_lstm

__all__ = ["DirectionWeights", "LayerState", "projected_lstm"]
