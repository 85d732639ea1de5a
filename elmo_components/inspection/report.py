"""What a checkpoint is: its format, sizes, parameters, languages, and all that is wrong with it."""

import dataclasses
import logging
import math
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, Union

import torch

from elmo_components import checkpoints
from elmo_components.checkpoints import Checkpoint, CheckpointError
from elmo_components.checkpoints.allennlp import archive as allennlp_archive
from elmo_components.checkpoints.checkpoint import flattened, mismatches
from elmo_components.checkpoints.names import resolve
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.checkpoints.untrusted.archives import unpacked
from elmo_components.checkpoints.untrusted.json_text import parse_json
from elmo_components.checkpoints.untrusted.pickles import TensorFile
from elmo_components.config import ElmoConfig
from elmo_components.inspection.mixes import Mix, find_mixes, is_of_mix

__all__ = ["Inspection", "inspect"]

META_NAME = "meta.json"
# That of the NLPL repository has a few hundred bytes.
MAX_META = 1 << 20
# How many of a tensor's filters are named.
MAX_NAMED = 5
BYTES = 4


@dataclasses.dataclass(frozen=True)
class Inspection:
    """
    What was found.

    # Parameters

    path : `str`
        Where.
    format : `str`
        The name of the format's module in `checkpoints`.
    config : `Optional[ElmoConfig]`
        The biLM's numbers; `None` where it cannot be read, and then all the others are empty.
    parameters : `Mapping[str, int]`
        How many numbers each part has, in the order of the equations.
    num_words : `int`
        The words of the softmax, 0 without one.
    names_words : `bool`
        Whether there is a vocabulary that names them.
    languages : `tuple[str, ...]`
        What a `meta.json` says.
    scripts : `Mapping[str, int]`
        How many letters of each script the alphabet has; without one, the vocabulary's words.
    mixes : `tuple[Mix, ...]`
        The learned weights of the layers, in a model's archive.
    problems : `tuple[str, ...]`
        What is wrong.
    remarks : `tuple[str, ...]`
        What is unusual and does no harm.
    """

    path: str
    format: str
    config: Optional[ElmoConfig] = None
    parameters: Mapping[str, int] = dataclasses.field(default_factory=dict)
    num_words: int = 0
    names_words: bool = False
    languages: tuple[str, ...] = ()
    scripts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    mixes: tuple[Mix, ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def num_parameters(self) -> int:
        """How many numbers there are in all."""
        return sum(self.parameters.values())

    @property
    def megabytes(self) -> float:
        """What they take in float32."""
        return self.num_parameters * BYTES / 1e6

    def sizes(self) -> dict[str, Any]:
        """
        Returns each number of the architecture under its name in `ElmoConfig`; of a word table how
        many words it has.
        """
        return {} if self.config is None else flattened(_numbers(self.config))

    def to_json(self) -> dict[str, Any]:
        """Returns all of it as JSON has it, with `None` for a mix's values that are not finite."""
        found = dataclasses.asdict(self)
        found["config"] = None if self.config is None else _numbers(self.config)
        for mix in found["mixes"]:
            mix["gamma"], *mix["weights"] = (
                value if math.isfinite(value) else None for value in (mix["gamma"], *mix["weights"])
            )
        return {**found, "num_parameters": self.num_parameters, "megabytes": self.megabytes}


def inspect(path: Union[str, os.PathLike]) -> Inspection:
    """
    Reads a checkpoint of any known format, or an archive with one, and says what it is.

    What is wrong with it is among what is returned, and is no error.

    # Raises

    `FileNotFoundError` where there is nothing.
    """
    remarks: list[str] = []
    name = "unknown"
    languages: tuple[str, ...] = ()
    try:
        with _collected_warnings(remarks):
            # downloads it where it is an address
            place = resolve(path)
            name = (
                checkpoints.identify(place).__name__.rpartition("checkpoints.")[2].replace(".", "_")
            )
            languages = _languages(place, remarks)
            checkpoint = checkpoints.load(place, softmax=True)
            mixes = tuple(_mixes_at(place))
    except CheckpointError as error:
        return Inspection(
            str(path), name, languages=languages, problems=(str(error),), remarks=tuple(remarks)
        )
    config = checkpoint.config
    return Inspection(
        str(path),
        name,
        config=config,
        parameters=_parameters_by_part(checkpoint),
        num_words=checkpoint.num_words,
        names_words=checkpoint.vocabulary is not None,
        languages=languages,
        scripts=_scripts(config.char_cnn.alphabet or "".join(checkpoint.vocabulary or ())),
        mixes=mixes,
        problems=tuple(_problems(checkpoint, mixes)),
        remarks=tuple(remarks + _remarks(config)),
    )


def _numbers(config: ElmoConfig) -> dict[str, Any]:
    numbers = dataclasses.asdict(config)
    # there may be a million of them
    del numbers["char_cnn"]["words"]
    numbers["char_cnn"]["num_words"] = config.char_cnn.num_words
    return numbers


def _parameters_by_part(checkpoint: Checkpoint) -> dict[str, int]:
    counts: Counter[str] = Counter()
    order = [*parameter_shapes(checkpoint.config), *checkpoint.tensors]
    for name in dict.fromkeys(order):
        if name in checkpoint.tensors:
            part = name.split(".")[:-1][:2]
            counts[".".join(part)] += checkpoint.tensors[name].numel()
    return dict(counts)


def _problems(checkpoint: Checkpoint, mixes: Iterable[Mix]) -> list[str]:
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
                shown = ", ".join(map(str, dead[:MAX_NAMED])) + ("..." * (len(dead) > MAX_NAMED))
                problems.append(f"{name} has {len(dead)} dead filters, all zero: {shown}")
    problems += [
        f"The mix {mix.name} is not finite"
        for mix in mixes
        if not all(map(math.isfinite, (mix.gamma, *mix.weights)))
    ]
    return problems


def _remarks(config: ElmoConfig) -> list[str]:
    free = [
        f"lstm.{name}"
        for name in ("cell_clip", "projection_clip")
        if getattr(config.lstm, name) is None
    ]
    if not free:
        return []
    return [
        f"{' and '.join(free)} are absent, so nothing is clipped there; published models have 3"
    ]


def _scripts(text: str) -> dict[str, int]:
    # Python does not know a letter's script, but its name begins with it
    counts = Counter(
        unicodedata.name(character, "UNNAMED").split()[0]
        for character in text
        if character.isalpha()
    )
    return dict(counts.most_common())


def _mixes_at(path: Path) -> list[Mix]:
    """Returns the mixes of the whole model in an archive that was read before."""
    if not allennlp_archive.matches(path):
        return []
    with unpacked(path) as folder:
        weights = allennlp_archive.weights_in(folder)
        assert weights is not None
        file = TensorFile(weights)
        return find_mixes(file.read([*filter(is_of_mix, file.shapes)]))


def _languages(path: Path, remarks: list[str]) -> tuple[str, ...]:
    """Returns what the NLPL repository's file beside a model says."""
    meta = (path if path.is_dir() else path.parent) / META_NAME
    if not meta.is_file():
        return ()
    try:
        with open(meta, "rb") as file:
            contents = parse_json(file.read(MAX_META + 1), limit=MAX_META)
    except ValueError as error:
        remarks.append(f"{meta} is no JSON: {error}")
        return ()
    found = contents if isinstance(contents, dict) else {}
    corpora = found.get("corpora")
    entries = [found, *(corpora if isinstance(corpora, list) else [])]
    named = [entry.get("language") for entry in entries if isinstance(entry, dict)]
    return tuple(dict.fromkeys(language for language in named if isinstance(language, str)))


@contextmanager
def _collected_warnings(remarks: list[str]) -> Iterator[None]:
    """What readers warn of goes to the remarks and nowhere else."""
    logger, handler = logging.getLogger("elmo_components"), logging.Handler(logging.WARNING)
    handler.emit = lambda record: remarks.append(record.getMessage())  # type: ignore[method-assign]
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
