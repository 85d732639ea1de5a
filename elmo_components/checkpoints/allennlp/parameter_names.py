"""
How the parameters of ELMos in AllenNLP's models are named, and what becomes of them here.

Each list of rules is for one kind of module that holds an ELMo; `docs/formats.md` has their table.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Optional

import torch

from elmo_components.checkpoints.checkpoint import CheckpointError, listed
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig

__all__ = [
    "ALLENNLP",
    "CONTEXTUALIZER",
    "OURS",
    "PUBLISHED",
    "SOFTMAX",
    "Rule",
    "config_of_shapes",
    "translated",
]

# What every published ELMo has of the numbers that shapes cannot tell; the sizes are none.
PUBLISHED = ElmoConfig(
    char_cnn=CharCnnConfig(
        embedding_size=1, filters=((1, 1),), num_highway_layers=0, activation="relu"
    ),
    lstm=LstmConfig(
        hidden_size=1,
        cell_size=1,
        num_layers=1,
        cell_clip=3.0,
        projection_clip=3.0,
        skip_connections=True,
    ),
)


class Rule(NamedTuple):
    """Which of their names are parameters of ours, and how one tensor becomes one or more."""

    theirs: str
    # with the groups of `theirs`
    ours: tuple[str, ...]
    read: Callable[[torch.Tensor], Sequence[torch.Tensor]]


def translated(state: Mapping[str, torch.Tensor], rules: Sequence[Rule]) -> dict[str, torch.Tensor]:
    """
    Returns a biLM's parameters under our names, as float32, by the first rule that is for each
    name. What no rule is for is left out.

    # Raises

    `CheckpointError` that lists what is not made of floating-point numbers, or not finite.
    """
    tensors: dict[str, torch.Tensor] = {}
    problems = []
    for name, tensor in state.items():
        found = _rule_for(name, rules)
        if found is None:
            continue
        match, rule = found
        if not tensor.is_floating_point() or tensor.dim() == 0:
            problems.append(f"{name} must hold floating-point numbers, not {tensor.dtype}")
        elif not torch.isfinite(tensor).all():
            problems.append(f"{name} has values that are not finite")
        else:
            parts = rule.read(tensor.detach().cpu().float())
            tensors.update(
                (match.expand(ours), part.contiguous()) for ours, part in zip(rule.ours, parts)
            )
    if problems:
        raise CheckpointError(listed(problems))
    return tensors


def config_of_shapes(tensors: Mapping[str, torch.Tensor], like: ElmoConfig) -> ElmoConfig:
    """
    Returns the numbers that the shapes of a biLM's parameters tell; those that they cannot tell,
    which are the clips, the activation, the skip connections and the alphabet, are `like`'s.

    # Raises

    `CheckpointError` where they are no biLM's.
    """
    filters = [
        (_size(tensors, f"char_cnn.convolutions.{index}.weight", 2), number)
        for index, number in enumerate(_sizes(tensors, "char_cnn.convolutions.{}.weight"))
    ]
    cells = _sizes(tensors, "lstm.forward_layers.{}.recurrent_weight")
    try:
        return ElmoConfig(
            char_cnn=replace(
                like.char_cnn,
                embedding_size=_size(tensors, "char_cnn.character_embedding.weight", 1),
                filters=tuple(filters),
                num_highway_layers=len(_sizes(tensors, "char_cnn.highways.{}.carry.weight")),
            ),
            lstm=replace(
                like.lstm,
                hidden_size=_size(tensors, "lstm.forward_layers.0.recurrent_weight", 1),
                cell_size=cells[0] // 4 if cells else 0,
                num_layers=len(cells),
            ),
        )
    except ValueError as error:
        raise CheckpointError(f"Its shapes are no biLM's: {error}") from error


def _rule_for(name: str, rules: Sequence[Rule]) -> Optional[tuple[re.Match[str], Rule]]:
    for rule in rules:
        match = re.fullmatch(rule.theirs, name)
        if match is not None:
            return match, rule
    return None


def _sizes(tensors: Mapping[str, torch.Tensor], name: str) -> list[int]:
    """Returns the first size of each tensor of a numbered series, as far as it has no gap."""
    sizes: list[int] = []
    while name.format(len(sizes)) in tensors:
        sizes.append(len(tensors[name.format(len(sizes))]))
    return sizes


def _size(tensors: Mapping[str, torch.Tensor], name: str, axis: int) -> int:
    if name not in tensors or tensors[name].dim() <= axis:
        shape = tuple(tensors[name].shape) if name in tensors else None
        raise CheckpointError(f"{name} must have {axis + 1} axes; found {shape}")
    return tensors[name].size(axis)


def _same(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
    return [tensor]


def _without_mask(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
    # its vector is never looked at, and a table that was trained may hold anything there
    tensor = tensor.clone()
    tensor[:1] = 0.0
    return [tensor]


def _transform_and_carry(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
    # AllenNLP's highway has both in one, and its gate lets through what ours holds back
    half = len(tensor) // 2
    return [tensor[:half], -tensor[half:]]


def _without_forget_bias(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
    # gates i, f, g, o: AllenNLP adds TensorFlow's 1 as it reads, and we as we run
    size = len(tensor) // 4
    tensor = tensor.clone()
    tensor[size : 2 * size] -= 1.0
    return [tensor]


def _char_cnn_rules(embedding: str, encoder: str) -> list[Rule]:
    """Those of AllenNLP's character encoders, which name what they share alike."""
    return [
        Rule(embedding, ("char_cnn.character_embedding.weight",), _without_mask),
        Rule(
            rf"{encoder}\.char_conv_(\d+)\.(weight|bias)",
            (r"char_cnn.convolutions.\1.\2",),
            _same,
        ),
        Rule(
            rf"{encoder}\._highways\._layers\.(\d+)\.(weight|bias)",
            (r"char_cnn.highways.\1.transform.\2", r"char_cnn.highways.\1.carry.\2"),
            _transform_and_carry,
        ),
        Rule(rf"{encoder}\._projection\.(weight|bias)", (r"char_cnn.projection.\1",), _same),
    ]


_CELL = r"_elmo_lstm\.(forward|backward)_layer_(\d+)"
_OUR_CELL = r"lstm.\1_layers.\2"

# `_ElmoBiLm`, within an `elmo_token_embedder` or any model's `Elmo`
ALLENNLP = [
    *_char_cnn_rules(r"_token_embedder\._char_embedding_weights", "_token_embedder"),
    Rule(rf"{_CELL}\.input_linearity\.weight", (f"{_OUR_CELL}.input_weight",), _same),
    Rule(rf"{_CELL}\.state_linearity\.weight", (f"{_OUR_CELL}.recurrent_weight",), _same),
    Rule(rf"{_CELL}\.state_linearity\.bias", (f"{_OUR_CELL}.bias",), _without_forget_bias),
    Rule(rf"{_CELL}\.state_projection\.weight", (f"{_OUR_CELL}.projection_weight",), _same),
    # whatever else is there, to be refused
    Rule(r"((_token_embedder|_elmo_lstm)\..+)", (r"\1",), _same),
]
# allennlp-models' language model with a `cnn-highway` encoder and the contextualizer `elmo_lstm`
CONTEXTUALIZER = [
    *_char_cnn_rules(
        r"_text_field_embedder\.token_embedder_\w+\._embedding\._module\.weight",
        r"_text_field_embedder\.token_embedder_\w+\._encoder\._module",
    ),
    Rule(r"_contextualizer\._(lstm\..+)", (r"\1",), _same),
    Rule(r"(_text_field_embedder\..+)", (r"\1",), _same),
]
# `BiLm`
OURS = [Rule(r"((char_cnn|lstm)\..+)", (r"\1",), _same)]
# `OwnWeights`
SOFTMAX = [Rule("(weight|bias)", (r"softmax.\1",), _same)]
