"""Reads the biLM in AllenNLP archives and training folders, without AllenNLP."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from elmo_components.checkpoints.allennlp.fields import (
    ALLENNLP_NAMES,
    OWN_NAMES,
    PUBLISHED,
    Names,
    allennlp_entries,
    config_from_shapes,
    own_entries,
)
from elmo_components.checkpoints.allennlp.vocabulary import read_namespace
from elmo_components.checkpoints.architectures import architectures_of
from elmo_components.checkpoints.checkpoint import (
    SOFTMAX_NAMES,
    Checkpoint,
    CheckpointError,
    mismatches,
)
from elmo_components.checkpoints.disk import is_disk_full
from elmo_components.checkpoints.name_map import Entry, check_shapes, to_ours
from elmo_components.checkpoints.untrusted.archives import (
    CONFIG_NAME,
    WEIGHTS_NAMES,
    is_gzip,
    unpacked,
)
from elmo_components.checkpoints.untrusted.json_text import read_object
from elmo_components.checkpoints.untrusted.pickles import TensorFile
from elmo_components.config import ElmoConfig

logger = logging.getLogger(__name__)

__all__ = ["load", "matches", "weights_in"]


# The longest chain of archives that name each other.
MAX_ARCHIVES = 3


class _Kind(NamedTuple):
    """A kind of biLM module: a parameter to find it by, its parts, its names for ours."""

    marker: str
    parts: tuple[str, ...]
    names: Names
    entries: Callable[[ElmoConfig], list[Entry]]


ALLENNLP = _Kind(
    ALLENNLP_NAMES.embedding, ("_token_embedder.", "_elmo_lstm."), ALLENNLP_NAMES, allennlp_entries
)
OWN = _Kind(OWN_NAMES.cell.format(0), ("char_cnn.", "lstm."), OWN_NAMES, own_entries)


def matches(path: Path) -> bool:
    """Whether `path` is a gzip file, or a folder with AllenNLP's configuration and weights."""
    if path.is_dir():
        return (path / CONFIG_NAME).is_file() and weights_in(path) is not None
    return path.is_file() and is_gzip(path)


def weights_in(folder: Path) -> Optional[Path]:
    """Returns the weights in a folder, as AllenNLP chooses them; `None` if there are none."""
    paths = [folder / name for name in WEIGHTS_NAMES if (folder / name).is_file()]
    return paths[0] if paths else None


def load(
    path: Path,
    config: Optional[ElmoConfig] = None,
    *,
    softmax: bool = False,
    part: Optional[str] = None,
) -> Checkpoint:
    """
    Reads the biLM of the model in the `model.tar.gz` or training folder at `path`.

    # Parameters

    config : `Optional[ElmoConfig]`
        Its sizes, for an archive that does not state all of them; see `docs/formats.md`.
    softmax : `bool`
        Whether to read the softmax of an `elmo_language_model` and its vocabulary, if it has
        vectors of its own.
    part : `Optional[str]`
        Which biLM of several: the beginning of its parameters' names, as an error lists them.

    # Raises

    `CheckpointError` for a broken archive, and for none or several biLMs in it.
    """
    with unpacked(path) as folder:
        weights = weights_in(folder)
        try:
            if weights is None or not (folder / CONFIG_NAME).is_file():
                raise CheckpointError(f"it has no {CONFIG_NAME} or no {' or '.join(WEIGHTS_NAMES)}")
            try:
                settings = read_object(folder / CONFIG_NAME)
            except ValueError as error:
                raise CheckpointError(f"{CONFIG_NAME} must be JSON: {error}") from error
            file = TensorFile(weights)
            prefix, kind = _choose(file.shapes, part, settings)
            shapes = {
                name[len(prefix) :]: shape
                for name, shape in file.shapes.items()
                if name.startswith(prefix) and name[len(prefix) :].startswith(kind.parts)
            }
            config = _config(shapes, kind, [*_options_of(folder, settings)], config, path)
            entries = kind.entries(config)
            check_shapes(entries, shapes)
            entries = [entry._replace(theirs=prefix + entry.theirs) for entry in entries]
            output = _softmax_entries(file, prefix) if softmax and kind is OWN else []
            entries += output
            tensors = to_ours(entries, file.read([entry.theirs for entry in entries]).items())
            vocabulary = read_namespace(folder, settings) if output else None
            return Checkpoint(config, tensors, vocabulary)
        except ValueError as error:
            raise CheckpointError(f"{path} cannot be used: {error}") from error


def _choose(
    names: Iterable[str], part: Optional[str], settings: Mapping[str, Any]
) -> tuple[str, _Kind]:
    """Returns the prefix of a biLM's parameters, and its kind."""
    found = {
        name[: -len(kind.marker)].rstrip(".") or ".": kind
        for name in names
        for kind in (ALLENNLP, OWN)
        if f".{name}".endswith(f".{kind.marker}")
    }
    if part is None and len(found) == 1:
        part = next(iter(found))
    if part is not None and part in found:
        return ("" if part == "." else f"{part}."), found[part]
    model = settings.get("model")
    model_type = model.get("type") if isinstance(model, Mapping) else None
    wanted = "must hold one biLM" if part is None else f"must hold a biLM named {part!r}"
    raise CheckpointError(
        f"it {wanted}, of an elmo_language_model, an elmo embedder or AllenNLP's own; found "
        f"{', '.join(found) or 'none'} in a model of the type {model_type!r}"
        + (". `elmo convert --part` takes the name of one" if found else "")
    )


def _config(
    shapes: Mapping[str, tuple[int, ...]],
    kind: _Kind,
    candidates: list[ElmoConfig],
    config: Optional[ElmoConfig],
    path: Path,
) -> ElmoConfig:
    """Returns the candidate whose sizes fit; without one, the sizes that the shapes give."""
    fitting = [
        candidate
        for candidate in dict.fromkeys(candidates)
        if not mismatches(shapes, {entry.theirs: entry.shape for entry in kind.entries(candidate)})
    ]
    if config in fitting:
        return config
    if len(fitting) > 1:
        raise CheckpointError("it has several options whose sizes fit. Give those of this biLM")
    if fitting:
        return fitting[0]
    found = config_from_shapes(shapes, config or PUBLISHED, kind.names)
    if config is None:
        lstm, cnn = found.lstm, found.char_cnn
        logger.warning(
            "%s does not state the biLM's clips, activation and skip connections. They are taken "
            "as published: cell_clip %g, proj_clip %g, %s, skips. Give its options to be certain",
            *(path, lstm.cell_clip, lstm.projection_clip, cnn.activation),
        )
    return found


def _softmax_entries(file: TensorFile, prefix: str) -> list[Entry]:
    # a `LanguageModel` has the biLM and the softmax in one module
    place = f"{prefix.removesuffix('bilm.')}softmax."
    output = [f"{place}output.{name}" for name in ("weight", "bias")]
    # a tied softmax has the bias alone, and an adaptive one neither
    if all(name in file.shapes for name in output):
        return [
            Entry((ours,), theirs, file.shapes[theirs])
            for ours, theirs in zip(SOFTMAX_NAMES, output)
        ]
    others = [name for name in file.shapes if name.startswith(place)]
    if others:
        logger.warning("The softmax is tied or adaptive and is not read: %s", ", ".join(others))
    return []


def _options_of(folder: Path, settings: Mapping[str, Any], depth: int = 0) -> Iterator[ElmoConfig]:
    """Yields the options in an archive, and those at paths on this machine that it names."""
    yield from architectures_of(folder, _sections(settings))
    # no address is fetched, as an untrusted archive may name any
    found: list[Any] = sorted(folder.glob("fta/*options_file"))
    for section in _sections(settings):
        architecture, path = section.get("architecture"), _local(section.get("options_file"))
        if isinstance(architecture, Mapping):
            found.append(architecture)
        if path is not None and os.path.isfile(path):
            found.append(path)
        # a model that was fine-tuned from an archive states its path alone
        archive = _local(section.get("archive_file"))
        if archive is not None and depth < MAX_ARCHIVES:
            yield from _options_of_archive(archive, depth + 1)
    for options in found:
        is_path = isinstance(options, Path)
        try:
            yield ElmoConfig.from_options(read_object(options) if is_path else options)
        except (OSError, ValueError) as error:
            place = options if is_path else CONFIG_NAME
            logger.warning("%s does not have the options of a biLM: %s", place, error)


def _local(path: Any) -> Optional[Path]:
    """Returns a path, unless Windows would connect to another machine for it."""
    if not isinstance(path, str):
        return None
    is_remote = path.replace("\\", "/").startswith(("//", "/??/"))
    return None if is_remote and sys.platform == "win32" else Path(path)


def _options_of_archive(path: Path, depth: int) -> list[ElmoConfig]:
    try:
        if not matches(path):
            return []
        with unpacked(path) as folder:
            return list(_options_of(folder, read_object(folder / CONFIG_NAME), depth))
    except (OSError, ValueError) as error:
        if is_disk_full(error):
            raise
        logger.warning("The archive that it was fine-tuned from cannot be read: %s", error)
        return []


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
