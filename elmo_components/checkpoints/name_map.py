"""
Maps another format's tensors to ours and back, by a list of entries.

A format makes its list from a biLM's sizes. This module has the entries that AllenNLP's ELMo and
ELMoForManyLangs share.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from elmo_components.alphabet import listed
from elmo_components.checkpoints.checkpoint import CheckpointError, mismatches
from elmo_components.config import ElmoConfig

__all__ = [
    "FORGET_BIAS",
    "HIGHWAY",
    "SAME",
    "Entry",
    "Transform",
    "check_shapes",
    "cnn_entries",
    "lstm_entries",
    "to_ours",
    "to_theirs",
]


class Transform(NamedTuple):
    """How one of their tensors becomes one or more of ours, and the reverse."""

    read: Callable[[torch.Tensor], Sequence[torch.Tensor]]
    write: Callable[[Sequence[torch.Tensor]], torch.Tensor]


SAME = Transform(lambda tensor: [tensor], lambda tensors: tensors[0])


class Entry(NamedTuple):
    """One of their tensors, and those of ours in it. -1 in `shape` stands for any size."""

    ours: tuple[str, ...]
    theirs: str
    shape: tuple[int, ...]
    transform: Transform = SAME


def check_shapes(entries: Iterable[Entry], shapes: Mapping[str, Sequence[int]]) -> None:
    """
    Checks the shapes of their tensors.

    # Raises

    `CheckpointError` that lists every tensor that is missing, unknown or of another shape.
    """
    problems = mismatches(shapes, {entry.theirs: entry.shape for entry in entries})
    if problems:
        raise CheckpointError(listed(problems))


def to_ours(
    entries: Iterable[Entry], tensors: Iterable[tuple[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """
    Returns our tensors from theirs.

    # Raises

    `CheckpointError` that lists every tensor with values that are not finite.
    """
    by_name = {entry.theirs: entry for entry in entries}
    result: dict[str, torch.Tensor] = {}
    problems = []
    for name, tensor in tensors:
        if not torch.isfinite(tensor).all():
            problems.append(f"{name} has values that are not finite")
        entry = by_name[name]
        for ours, part in zip(entry.ours, entry.transform.read(tensor)):
            result[ours] = part.contiguous()
    if problems:
        raise CheckpointError(listed(problems))
    return result


def to_theirs(
    entries: Iterable[Entry], tensors: Mapping[str, torch.Tensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields the name and the value, in float32, of each of their tensors."""
    for entry in entries:
        parts = [tensors[name].detach().cpu().float() for name in entry.ours]
        yield entry.theirs, entry.transform.write(parts).contiguous()


def _add_to_forget_gate(bias: torch.Tensor, number: float) -> torch.Tensor:
    bias = bias.clone()
    bias.chunk(4)[1].add_(number)
    return bias


# their gate is for the carried part, ours for the transformed part
HIGHWAY = Transform(
    lambda tensor: [tensor.chunk(2)[0], -tensor.chunk(2)[1]],
    lambda tensors: torch.cat([tensors[0], -tensors[1]]),
)
# they store TensorFlow's 1 in the forget gate's bias; here it is added at run time
FORGET_BIAS = Transform(
    lambda tensor: [_add_to_forget_gate(tensor, -1.0)],
    lambda tensors: _add_to_forget_gate(tensors[0], 1.0),
)


def cnn_entries(config: ElmoConfig, prefix: str, convolution: str, projection: str) -> list[Entry]:
    """Returns the entries of convolutions, highways and projection, named as in AllenNLP."""
    cnn, hidden, filters = config.char_cnn, config.lstm.hidden_size, config.char_cnn.num_filters
    entries = []
    for index, (width, number) in enumerate(cnn.filters):
        ours, theirs = f"char_cnn.convolutions.{index}", f"{prefix}{convolution}{index}"
        shape = (number, cnn.embedding_size, width)
        entries += [
            Entry((f"{ours}.weight",), f"{theirs}.weight", shape),
            Entry((f"{ours}.bias",), f"{theirs}.bias", (number,)),
        ]
    shapes: dict[str, tuple[int, ...]] = {"weight": (2 * filters, filters), "bias": (2 * filters,)}
    entries += [
        Entry(
            (
                f"char_cnn.highways.{index}.transform.{part}",
                f"char_cnn.highways.{index}.carry.{part}",
            ),
            f"{prefix}{'_' if prefix else ''}highways._layers.{index}.{part}",
            shape,
            HIGHWAY,
        )
        for index in range(cnn.num_highway_layers)
        for part, shape in shapes.items()
    ]
    if cnn.has_projection(hidden):
        ours, theirs = "char_cnn.projection", f"{prefix}{projection}"
        entries += [
            Entry((f"{ours}.weight",), f"{theirs}.weight", (hidden, cnn.word_size + filters)),
            Entry((f"{ours}.bias",), f"{theirs}.bias", (hidden,)),
        ]
    return entries


def lstm_entries(config: ElmoConfig, prefix: str = "") -> list[Entry]:
    """Returns the entries of both directions' LSTMs, named as in AllenNLP."""
    hidden, cell = config.lstm.hidden_size, config.lstm.cell_size
    return [
        Entry(
            (f"lstm.{direction}_layers.{layer}.{ours}",),
            f"{prefix}{direction}_layer_{layer}.{theirs}",
            shape,
            transform,
        )
        for direction in ("forward", "backward")
        for layer in range(config.lstm.num_layers)
        for ours, theirs, shape, transform in (
            ("input_weight", "input_linearity.weight", (4 * cell, hidden), SAME),
            ("recurrent_weight", "state_linearity.weight", (4 * cell, hidden), SAME),
            ("bias", "state_linearity.bias", (4 * cell,), FORGET_BIAS),
            ("projection_weight", "state_projection.weight", (hidden, cell), SAME),
        )
    ]
