"""What every checkpoint format reads and writes: a biLM's numbers and its named tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch

from elmo_components.config import ElmoConfig

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "brief",
    "check_agreement",
    "listed",
    "misfits",
]

# The softmax over the next word, which is there in pre-training and may be absent after it.
SOFTMAX_NAMES = ("softmax.weight", "softmax.bias")

# How much of a string an error shows, and how many of a file's defects.
MAX_SHOWN = 30
MAX_LISTED = 100
MAX_PROBLEM = 300


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
    vocabulary : `Optional[tuple[str, ...]]`
        The softmax's words in the order of its rows, which in bilm-tf's files begin with "</S>",
        "<S>", "<UNK>"; `None` where they are not known.

    # Raises

    `CheckpointError` for half a softmax, or a vocabulary without a softmax of as many words.
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
        """How many words the softmax has; 0 without one."""
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
    # Raises

    `CheckpointError` that lists every number in which what was `found` at `path` and what was
    `wanted` differ.
    """
    found_numbers, wanted_numbers = (
        dict(_flatten(config.to_options())) for config in (found, wanted)
    )
    differences = [
        f"{key} is {brief(found_numbers.get(key))} there, and "
        f"{brief(wanted_numbers.get(key))} is wanted"
        # an alphabet need not be in both
        for key in {**wanted_numbers, **found_numbers}
        if found_numbers.get(key) != wanted_numbers.get(key)
    ]
    if differences:
        raise CheckpointError(f"{path} holds another architecture: " + "; ".join(differences))


def misfits(tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Returns, in words, every name missing or left over in `tensors` and every other shape."""
    problems = [f"{name} is missing" for name in shapes if name not in tensors]
    problems += [f"{name} is not a parameter" for name in tensors if name not in shapes]
    problems += [
        f"{name} is of shape {tuple(tensors[name].shape)}, not {tuple(shape)}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != tuple(shape)
    ]
    return problems


def listed(problems: Sequence[str]) -> str:
    """Returns the defects of a file as one text, which is not longer than can be read."""
    shown = [
        problem if len(problem) <= MAX_PROBLEM else f"{problem[:MAX_PROBLEM]}..."
        for problem in problems[:MAX_LISTED]
    ]
    more = len(problems) - len(shown)
    text = "; ".join(shown + ([f"and {more:,} more"] if more else []))
    if text.isprintable():
        return text
    # a name may have what no terminal should be sent
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def brief(value: object) -> str:
    """Returns what an error shows of a value."""
    # an alphabet may have thousands of characters
    if isinstance(value, str) and len(value) > MAX_SHOWN:
        return f"{value[:MAX_SHOWN]!r}... of {len(value)} characters"
    return repr(value)


def _flatten(options: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{path}{key}.")
        else:
            yield path + key, value
