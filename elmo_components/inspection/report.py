"""Inspects a checkpoint: its format, sizes, parameters, languages and defects."""

import dataclasses
import logging
import math
import os
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, Union

from elmo_components import checkpoints
from elmo_components.checkpoints import Checkpoint, CheckpointError
from elmo_components.checkpoints.allennlp import archive as allennlp_archive
from elmo_components.checkpoints.names import resolve
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.checkpoints.untrusted.archives import unpacked
from elmo_components.checkpoints.untrusted.json_text import parse_json
from elmo_components.checkpoints.untrusted.pickles import TensorFile
from elmo_components.config import ElmoConfig
from elmo_components.inspection.mixes import Mix, find_mixes, is_of_mix
from elmo_components.inspection.problems import find_problems, find_remarks

__all__ = ["Inspection", "inspect"]

# The NLPL repository's description of a model, of a few hundred bytes.
META_NAME = "meta.json"
MAX_META = 1 << 20


@dataclasses.dataclass(frozen=True)
class Inspection:
    """
    The result of `inspect`.

    # Parameters

    format : `str`
        "native", "bilm_tf", "many_langs", "allennlp_archive" or "unknown".
    config : `Optional[ElmoConfig]`
        The biLM's sizes; `None` if the checkpoint cannot be read. Then only `languages`, `problems`
        and `remarks` may have entries.
    parameters : `Mapping[str, int]`
        The number of values in each part.
    num_words, names_words
        The number of words in the softmax, and whether they are known.
    languages : `tuple[str, ...]`
        The languages in `meta.json`.
    scripts : `Mapping[str, int]`
        The number of letters of each script in the alphabet or, without one, in the vocabulary.
    mixes : `tuple[Mix, ...]`
        The learned layer weights in a model's archive.
    problems : `tuple[str, ...]`
        Defects.
    remarks : `tuple[str, ...]`
        Unusual but harmless settings.
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
        """The number of values in all."""
        return sum(self.parameters.values())

    @property
    def megabytes(self) -> float:
        """The size of the parameters in float32."""
        return self.num_parameters * 4 / 1e6

    def sizes(self) -> dict[str, Any]:
        """Returns each number of `ElmoConfig` under its full name, such as "lstm.cell_size"."""
        return {
            f"{part}.{name}": value
            for part, numbers in self._numbers().items()
            for name, value in numbers.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Returns all fields for JSON, with `None` for a mix's values that are not finite."""
        found = dataclasses.asdict(self)
        found["config"] = self._numbers() or None
        for mix in found["mixes"]:
            mix["gamma"], *mix["weights"] = (
                value if math.isfinite(value) else None for value in (mix["gamma"], *mix["weights"])
            )
        return {**found, "num_parameters": self.num_parameters, "megabytes": self.megabytes}

    def _numbers(self) -> dict[str, Any]:
        if self.config is None:
            return {}
        numbers = dataclasses.asdict(self.config)
        # there may be a million
        del numbers["char_cnn"]["words"]
        numbers["char_cnn"]["num_words"] = self.config.char_cnn.num_words
        return numbers


def inspect(path: Union[str, os.PathLike]) -> Inspection:
    """
    Reads and describes a checkpoint of any known format, or an archive with one.

    Defects are listed in `Inspection.problems` and raise no error.

    # Raises

    `FileNotFoundError`.
    """
    remarks: list[str] = []
    name = "unknown"
    languages: tuple[str, ...] = ()
    try:
        with _collected_warnings(remarks):
            # downloads an address
            place = resolve(path)
            module = checkpoints.identify(place).__name__
            name = module.partition(".checkpoints.")[2].replace(".", "_")
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
        problems=tuple(find_problems(checkpoint, mixes)),
        remarks=tuple(remarks + find_remarks(config)),
    )


def _parameters_by_part(checkpoint: Checkpoint) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name in dict.fromkeys([*parameter_shapes(checkpoint.config), *checkpoint.tensors]):
        if name in checkpoint.tensors:
            part = name.split(".")[:-1][:2]
            counts[".".join(part)] += checkpoint.tensors[name].numel()
    return dict(counts)


def _scripts(text: str) -> dict[str, int]:
    # a letter's Unicode name begins with its script
    counts = Counter(
        unicodedata.name(character, "UNNAMED").split()[0]
        for character in text
        if character.isalpha()
    )
    return dict(counts.most_common())


def _mixes_at(path: Path) -> list[Mix]:
    """Returns the mixes of the whole model in an archive."""
    if not allennlp_archive.matches(path):
        return []
    with unpacked(path) as folder:
        weights = allennlp_archive.weights_in(folder)
        assert weights is not None
        file = TensorFile(weights)
        return find_mixes(file.read([*filter(is_of_mix, file.shapes)]))


def _languages(path: Path, remarks: list[str]) -> tuple[str, ...]:
    """Returns the languages in the NLPL repository's file next to a model."""
    meta = (path if path.is_dir() else path.parent) / META_NAME
    if not meta.is_file():
        return ()
    try:
        with open(meta, "rb") as file:
            contents = parse_json(file.read(MAX_META + 1), limit=MAX_META)
    except ValueError as error:
        remarks.append(f"{meta} is not JSON: {error}")
        return ()
    found = contents if isinstance(contents, dict) else {}
    corpora = found.get("corpora")
    entries = [found, *(corpora if isinstance(corpora, list) else [])]
    named = [entry.get("language") for entry in entries if isinstance(entry, dict)]
    return tuple(dict.fromkeys(language for language in named if isinstance(language, str)))


@contextmanager
def _collected_warnings(remarks: list[str]) -> Iterator[None]:
    """Adds the warnings that this thread logs to the remarks."""
    thread = threading.get_ident()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                remarks.append(record.getMessage())

    logger, handler = logging.getLogger("elmo_components"), Collector(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
