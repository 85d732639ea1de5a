"""What every checkpoint format reads and writes: a biLM's numbers and its named tensors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from elmo_components.config import ElmoConfig

__all__ = ["Checkpoint", "CheckpointError", "check_agreement"]

# The softmax over the next word, which is there in pre-training and may be absent after it.
SOFTMAX_NAMES = ("softmax.weight", "softmax.bias")


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or does not hold what it must; the message names what."""


@dataclass(frozen=True)
class Checkpoint:
    """
    A biLM outside of any module.

    # Parameters

    config : `ElmoConfig`
        Its numbers.
    tensors : `Mapping[str, torch.Tensor]`
        Its parameters under `BiLm`'s names, and the softmax's if present: "softmax.weight" of
        shape (words, hidden_size), "softmax.bias" of shape (words,).
    """

    config: ElmoConfig
    tensors: Mapping[str, torch.Tensor]


def check_agreement(found: ElmoConfig, wanted: ElmoConfig, path: object) -> None:
    """
    # Raises

    `CheckpointError` that lists every number in which what was `found` at `path` and what was
    `wanted` differ.
    """
    found_numbers, wanted_numbers = (
        dict(_flatten(config.to_options())) for config in (found, wanted)
    )
    differences = [
        f"{key} is {found_numbers[key]!r} there, and {wanted_numbers[key]!r} is wanted"
        for key in wanted_numbers
        if found_numbers[key] != wanted_numbers[key]
    ]
    if differences:
        raise CheckpointError(f"{path} holds another architecture: " + "; ".join(differences))


def _flatten(options: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{path}{key}.")
        else:
            yield path + key, value
