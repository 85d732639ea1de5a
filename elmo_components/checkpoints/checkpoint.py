"""A biLM's sizes and tensors, which every checkpoint format reads and writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch

from elmo_components.alphabet import shown
from elmo_components.config import ElmoConfig

__all__ = [
    "SOFTMAX_NAMES",
    "Checkpoint",
    "CheckpointError",
    "check_agreement",
    "check_written",
    "flattened",
    "mismatches",
]

# The softmax over the next word, which pre-training needs.
SOFTMAX_NAMES = ("softmax.weight", "softmax.bias")


class CheckpointError(ValueError):
    """A checkpoint cannot be read or written. The message names the file and every defect."""


# tensors have no equality as a whole
@dataclass(frozen=True, eq=False)
class Checkpoint:
    """
    A biLM's sizes and tensors.

    # Parameters

    config : `ElmoConfig`
        Its sizes.
    tensors : `Mapping[str, torch.Tensor]`
        Its parameters under `BiLm`'s names, and the softmax's if present: "softmax.weight" of
        shape (words, hidden_size), "softmax.bias" of shape (words,).
    vocabulary : `Optional[tuple[str, ...]]`
        The softmax's words in the order of its rows, which in bilm-tf's files begin with "</S>",
        "<S>", "<UNK>"; `None` if they are not known.

    # Raises

    `CheckpointError` for a weight or a bias without the other, or a vocabulary of the wrong size.
    """

    config: ElmoConfig
    tensors: Mapping[str, torch.Tensor]
    vocabulary: Optional[tuple[str, ...]] = None

    def __post_init__(self) -> None:
        weight, bias = (
            tuple(self.tensors[name].shape) if name in self.tensors else None
            for name in SOFTMAX_NAMES
        )
        rows, hidden = self.num_words, self.config.lstm.hidden_size
        if (weight, bias) not in ((None, None), ((rows, hidden), (rows,))):
            raise CheckpointError(
                f"{' and '.join(SOFTMAX_NAMES)} must have the shapes (words, {hidden}) and "
                f"(words,), or both be absent; found {weight} and {bias}"
            )
        if self.vocabulary is not None and len(self.vocabulary) != self.num_words:
            raise CheckpointError(
                "A vocabulary must have a word for each row of the softmax; found "
                f"{len(self.vocabulary)} words and {self.num_words} rows"
            )

    @property
    def num_words(self) -> int:
        """The number of words of the softmax; 0 without one."""
        weight = self.tensors.get(SOFTMAX_NAMES[0])
        return 0 if weight is None else len(weight)

    def without_softmax(self) -> "Checkpoint":
        """Returns the biLM alone."""
        tensors = {
            name: tensor for name, tensor in self.tensors.items() if name not in SOFTMAX_NAMES
        }
        return Checkpoint(self.config, tensors)


def check_agreement(found: ElmoConfig, wanted: ElmoConfig, path: object) -> None:
    """
    Checks that the architecture found at `path` is the wanted one.

    # Raises

    `CheckpointError` that lists every difference.
    """
    here, there = (flattened(config.to_options()) for config in (wanted, found))
    differences = [
        f"{key} is {shown(there.get(key))} there, and {shown(here.get(key))} is wanted"
        for key in {**here, **there}
        if here.get(key) != there.get(key)
    ]
    if differences:
        raise CheckpointError(f"{path} has another architecture: {'; '.join(differences)}")


def check_written(written: Checkpoint, checkpoint: Checkpoint, path: object) -> None:
    """Raises a `CheckpointError` if the file written to `path` has other contents."""
    same = (written.config, written.vocabulary) == (checkpoint.config, checkpoint.vocabulary)
    if not same or not all(
        torch.equal(written.tensors[name], tensor.detach().cpu().float())
        for name, tensor in checkpoint.tensors.items()
    ):
        raise CheckpointError(f"{path} did not read back as it was written")


def flattened(options: Mapping[str, Any]) -> dict[str, Any]:
    """
    Flattens nested objects into one, with dotted keys.

    >>> flattened({"lstm": {"dim": 16}, "version": 1})
    {'lstm.dim': 16, 'version': 1}
    """
    flat: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{name}": item for name, item in flattened(value).items()})
        else:
            flat[key] = value
    return flat


def mismatches(
    found: Mapping[str, Sequence[int]], wanted: Mapping[str, Sequence[int]]
) -> list[str]:
    """
    Returns a message for each tensor that is missing, unknown or of another shape. -1 in `wanted`
    stands for any size.
    """
    problems = [f"{name} is missing" for name in wanted if name not in found]
    problems += [f"{name} is not a parameter" for name in found if name not in wanted]
    for name, shape in wanted.items():
        sizes = tuple(found.get(name, shape))
        if len(sizes) != len(shape) or any(
            size not in (-1, found_size) for size, found_size in zip(shape, sizes)
        ):
            problems.append(f"{name} is of shape {sizes}, not {tuple(shape)}")
    return problems
