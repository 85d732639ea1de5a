"""
AllenNLP archives and training folders: the biLM in a trained model, without AllenNLP.

It may be of AllenNLP's own ELMo, of this package's components, or of a language model of
allennlp-models; `docs/formats.md` says what of each is read.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch

from elmo_components.checkpoints.allennlp.contextualizer import contextualizer_config
from elmo_components.checkpoints.allennlp.parameter_names import (
    ALLENNLP,
    CONTEXTUALIZER,
    OURS,
    PUBLISHED,
    SOFTMAX,
    Rule,
    config_of_shapes,
    translated,
)
from elmo_components.checkpoints.allennlp.vocabulary import read_namespace
from elmo_components.checkpoints.architectures import architectures_of
from elmo_components.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
    listed,
    misfits,
)
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.checkpoints.untrusted.archives import (
    CONFIG_NAME,
    WEIGHTS_NAMES,
    is_gzip,
    not_whole,
    read_json,
    unpacked,
)
from elmo_components.checkpoints.untrusted.pickles import read_chosen_tensors
from elmo_components.config import ElmoConfig

logger = logging.getLogger(__name__)

__all__ = ["load", "matches"]


class _Kind(NamedTuple):
    """A module that holds a biLM: a parameter that gives it away, and its names."""

    marker: str
    rules: Sequence[Rule]


_CONTEXTUALIZER = _Kind("_contextualizer._lstm.forward_layers.0.input_weight", CONTEXTUALIZER)
_KINDS = (
    _Kind("_token_embedder._char_embedding_weights", ALLENNLP),
    _Kind("lstm.forward_layers.0.input_weight", OURS),
    _CONTEXTUALIZER,
)


def matches(path: Path) -> bool:
    """Whether `path` is a gzip file, or a folder with a configuration and weights of AllenNLP's."""
    if path.is_dir():
        return (path / CONFIG_NAME).is_file() and _weights_in(path) is not None
    return path.is_file() and is_gzip(path)


def load(
    path: Path,
    config: Optional[ElmoConfig] = None,
    *,
    softmax: bool = False,
    part: Optional[str] = None,
) -> Checkpoint:
    """
    Reads the biLM of the model in the `model.tar.gz` or training folder at `path`. With `softmax`,
    reads that of an `elmo_language_model` and its vocabulary too, where it has vectors of its own.

    # Parameters

    config : `Optional[ElmoConfig]`
        Its numbers, which decide where the archive does not say them all; see `docs/formats.md`.
    part : `Optional[str]`
        Which biLM of several: the beginning of its parameters' names, as an error lists them.

    # Raises

    `CheckpointError` for a broken archive, and for none or several biLMs in it.
    """
    with unpacked(path) as folder:
        weights = _weights_in(folder)
        if weights is None or not (folder / CONFIG_NAME).is_file():
            raise not_whole(path, f"it has no {CONFIG_NAME} or no {' or '.join(WEIGHTS_NAMES)}")
        try:
            settings = read_json(folder / CONFIG_NAME)

            # the rest of the model is not read
            def wanted(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
                return _names_of(shapes, *_choose(shapes, part, settings), softmax=softmax)

            state = read_chosen_tensors(weights, wanted)
            prefix, kind = _choose(state, part, settings)
            tensors = translated(_within(state, prefix), kind.rules)
            if kind is _CONTEXTUALIZER:
                candidates = [contextualizer_config(settings)]
            else:
                candidates = list(dict.fromkeys(_options_of(folder, settings)))
            numbers = _numbers(tensors, candidates, config, path)
            output = translated(_within(state, _softmax_prefix(prefix)), SOFTMAX)
            vocabulary = read_namespace(folder, settings) if output else None
            return Checkpoint(numbers, {**tensors, **output}, vocabulary)
        except ValueError as error:
            raise CheckpointError(f"{path} cannot be used: {error}") from error


def _weights_in(folder: Path) -> Optional[Path]:
    for name in WEIGHTS_NAMES:
        if (folder / name).is_file():
            return folder / name
    return None


def _choose(
    names_found: Iterable[str], part: Optional[str], settings: Mapping[str, Any]
) -> tuple[str, _Kind]:
    """Returns what stands before a biLM's names, and of which kind they are."""
    found = {
        name[: -len(kind.marker)]: kind
        for name in names_found
        for kind in _KINDS
        if f".{name}".endswith(f".{kind.marker}")
    }
    names = {prefix.rstrip(".") or ".": prefix for prefix in found}
    if part is not None and part in names:
        return names[part], found[names[part]]
    if part is None and len(found) == 1:
        return next(iter(found.items()))
    model = settings.get("model")
    kind_of_model = model.get("type") if isinstance(model, Mapping) else None
    wanted = "must hold one biLM" if part is None else f"must hold a biLM named {part!r}"
    raise CheckpointError(
        f"it {wanted}, of an elmo_language_model, an elmo embedder or AllenNLP's own; found "
        f"{', '.join(names) or 'none'} in a model of the type {kind_of_model!r}"
        + (". `allennlp elmo-convert --part` takes the name of one" if names else "")
    )


def _numbers(
    tensors: Mapping[str, torch.Tensor],
    candidates: list[ElmoConfig],
    config: Optional[ElmoConfig],
    path: Path,
) -> ElmoConfig:
    """Returns the numbers that the archive has for these parameters; else what shapes tell."""
    fitting = [numbers for numbers in candidates if not misfits(tensors, parameter_shapes(numbers))]
    if config in fitting:
        return config
    if len(fitting) > 1:
        raise CheckpointError(
            "it has several sets of options whose sizes fit; give those of this biLM"
        )
    if fitting:
        return fitting[0]
    numbers = config_of_shapes(tensors, PUBLISHED if config is None else config)
    problems = misfits(tensors, parameter_shapes(numbers))
    if problems:
        raise CheckpointError(listed(problems))
    if config is None:
        logger.warning(
            "%s does not say, nor do shapes tell, the biLM's clips, activation and skip "
            "connections; they are taken as published: cell_clip %g, proj_clip %g, %s, %s. Give "
            "its options to be certain",
            path,
            numbers.lstm.cell_clip,
            numbers.lstm.projection_clip,
            numbers.char_cnn.activation,
            "skips" if numbers.lstm.skip_connections else "no skips",
        )
    return numbers


def _options_of(folder: Path, settings: Mapping[str, Any]) -> Iterator[ElmoConfig]:
    """Yields what can be read of an archive's options: in it, or at a path that it names."""
    # what an address has is not asked for: an archive may name any
    paths = sorted(folder.glob("fta/*options_file"))
    yield from architectures_of(folder, _sections(settings))
    for section in _sections(settings):
        architecture, named = section.get("architecture"), section.get("options_file")
        if isinstance(architecture, Mapping):
            yield from _read(architecture, CONFIG_NAME)
        if isinstance(named, str) and os.path.isfile(named):
            paths.append(Path(named))
    for path in paths:
        try:
            yield from _read(read_json(path), path)
        except CheckpointError as error:
            logger.warning("%s is not read as the options of a biLM: %s", path, error)


def _read(options: Mapping[str, Any], where: object) -> Iterator[ElmoConfig]:
    try:
        yield ElmoConfig.from_options(options)
    except ValueError as error:
        logger.warning("%s is not read as the options of a biLM: %s", where, error)


def _sections(settings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields every object in a configuration."""
    waiting: list[Any] = [settings]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _names_of(
    shapes: Mapping[str, tuple[int, ...]], prefix: str, kind: _Kind, *, softmax: bool
) -> list[str]:
    """Returns the names of a biLM's parameters, and of its softmax's if they are wanted."""
    names = [
        name
        for name in shapes
        if name.startswith(prefix)
        and any(re.fullmatch(rule.theirs, name[len(prefix) :]) for rule in kind.rules)
    ]
    output = [_softmax_prefix(prefix) + name for name in ("weight", "bias")]
    # a tied softmax has the bias alone, and an adaptive one neither
    if softmax and kind.rules is OURS and all(name in shapes for name in output):
        return names + output
    # ours, and allennlp-models'
    beginnings = (_softmax_prefix(prefix).removesuffix("output."), "_softmax_loss.")
    left_out = [name for name in shapes if name.startswith(beginnings)]
    if softmax and left_out:
        logger.warning(
            "The softmax is not read, since it is tied, adaptive, or of allennlp-models: %s",
            ", ".join(left_out),
        )
    return names


def _softmax_prefix(prefix: str) -> str:
    # beside the biLM in a `LanguageModel`
    return f"{prefix.removesuffix('bilm.')}softmax.output."


def _within(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)
    }
