"""Finds wrong values in a checkpoint, and unusual sizes."""

import math
from collections.abc import Iterable

import torch

from elmo_components.checkpoints import Checkpoint
from elmo_components.checkpoints.checkpoint import mismatches
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.config import ElmoConfig
from elmo_components.inspection.mixes import Mix

__all__ = ["find_problems", "find_remarks"]

# The number of dead filters that are named.
MAX_NAMED = 5


def find_problems(checkpoint: Checkpoint, mixes: Iterable[Mix]) -> list[str]:
    """Returns wrong names and shapes, values that are not finite, and weights that are all zero."""
    shapes = {name: tensor.shape for name, tensor in checkpoint.without_softmax().tensors.items()}
    problems = mismatches(shapes, parameter_shapes(checkpoint.config))
    for name, tensor in checkpoint.tensors.items():
        if not torch.isfinite(tensor).all():
            problems.append(f"{name} has values that are not finite")
        elif tensor.dim() > 1 and tensor.numel() and not tensor.any():
            problems.append(f"{name} is all zero")
        elif name.startswith("char_cnn.convolutions.") and tensor.dim() > 1:
            # (number,)
            is_dead = ~tensor.flatten(1).any(dim=1)
            dead = is_dead.nonzero().flatten().tolist()
            if dead:
                named = ", ".join(map(str, dead[:MAX_NAMED])) + "..." * (len(dead) > MAX_NAMED)
                problems.append(f"{name} has {len(dead)} dead filters, all zero: {named}")
    problems += [
        f"The mix {mix.name} is not finite"
        for mix in mixes
        if not all(map(math.isfinite, (mix.gamma, *mix.weights)))
    ]
    return problems


def find_remarks(config: ElmoConfig) -> list[str]:
    """Returns the unusual but harmless settings of a biLM."""
    unclipped = [
        f"lstm.{name}"
        for name in ("cell_clip", "projection_clip")
        if getattr(config.lstm, name) is None
    ]
    if not unclipped:
        return []
    return [f"{' and '.join(unclipped)} are absent: nothing is clipped. Published models have 3"]
