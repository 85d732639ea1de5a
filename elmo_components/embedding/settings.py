"""The settings of a run over a file of sentences, and which of them a killed run must keep."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch

from elmo_components.caching.fingerprint import digest
from elmo_components.embedding.batches import WINDOW
from elmo_components.embedding.readers import SentenceFile
from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.writers import format_of
from elmo_components.modules.bilm import BiLm

__all__ = ["DUPLICATES", "EMPTY_LINES", "EmbedSettings", "agrees", "recorded"]

logger = logging.getLogger(__name__)

EMPTY_LINES = ("error", "keep", "skip")
DUPLICATES = ("error", "skip")

# Settings that stop a run where they apply: one that went on had no use of them so far.
STOPPING = {"empty_lines": "error", "duplicates": "error"}

# Of what the spool's settings and files mean.
VERSION = 1


@dataclass(frozen=True)
class EmbedSettings:
    """
    What is written of a file of sentences, and how.

    # Parameters

    choice : `VectorChoice`
        Which vectors.
    output_format : `Optional[str]`
        One of `vector_files.FORMATS`; `None` to go by the ending.
    sentence_keys, keep_sentences
        See `write_vectors`.
    batch_size : `int`
        See `Elmo.embed`.
    empty_lines : `str`
        Of a sentence without tokens: "error" ends the run there, "keep" writes its 0 vectors (with
        pooling one of zeros), "skip" leaves it out.
    duplicates : `str`
        With sentence keys, of one that was there before: "error" or "skip".
    strict : `bool`
        Whether a sentence that cannot be read ends the run, and is not just reported.
    vocabulary : `Sequence[str]`
        Words whose vectors are computed once, and no others' are kept beyond a part.
    window : `int`
        See `Elmo.embed_stream`.
    windows_a_part : `int`
        After how many windows the work so far is committed.

    # Raises

    `ValueError` for another name, or a number below 1.
    """

    choice: VectorChoice
    output_format: Optional[str] = None
    sentence_keys: bool = False
    keep_sentences: bool = True
    batch_size: int = 64
    empty_lines: str = "error"
    duplicates: str = "error"
    strict: bool = False
    vocabulary: Sequence[str] = ()
    window: int = WINDOW
    windows_a_part: int = 8

    def __post_init__(self) -> None:
        for name, names in (("empty_lines", EMPTY_LINES), ("duplicates", DUPLICATES)):
            if getattr(self, name) not in names:
                raise ValueError(
                    f"{name} must be one of {', '.join(names)}; found {getattr(self, name)!r}"
                )
        for name in ("batch_size", "window", "windows_a_part"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more; found {getattr(self, name)}")


def recorded(
    bilm: BiLm, source: SentenceFile, destination: Path, settings: EmbedSettings
) -> dict[str, Any]:
    """Returns all that the output depends on, but for the sentences; see `agrees`."""
    choice = settings.choice
    model = hashlib.sha256(json.dumps(bilm.config.to_options()).encode())
    model.update(digest(list(bilm.state_dict().values())).encode())
    return {
        "version": VERSION,
        "model": model.hexdigest(),
        "device": next(bilm.parameters()).device.type,
        "precision": bilm.lstm.precision,
        "input_format": source.kind,
        "field": source.field,
        "output_format": settings.output_format or format_of(destination),
        "layers": list(choice.layers) if isinstance(choice.layers, tuple) else choice.layers,
        "pooling": choice.pooling,
        "float16": choice.float16,
        "sentence_keys": settings.sentence_keys,
        "keep_sentences": settings.keep_sentences,
        "batch_size": settings.batch_size,
        "empty_lines": settings.empty_lines,
        "duplicates": settings.duplicates,
        "vocabulary": hashlib.sha256("\n".join(settings.vocabulary).encode()).hexdigest(),
        "window": settings.window,
        "windows_a_part": settings.windows_a_part,
        "rounding": [torch.__version__, torch.get_num_threads()],
    }


def agrees(name: str, before: Any, now: Any) -> bool:
    """Whether a run may go on with a setting's value of now, for the one it was begun with."""
    if name == "rounding":
        if before != now:
            logger.warning(
                "The last bits of numbers may differ from an undisturbed run's: torch's release "
                "and number of threads were %s and are %s",
                before,
                now,
            )
        return True
    return before == now or (name in STOPPING and before == STOPPING[name])
