"""The settings of an embedding job, and which of them a resumed run must keep."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import torch

from elmo_components.caching.fingerprint import digest
from elmo_components.embedding.batches import BATCH_SIZE, WINDOW
from elmo_components.embedding.readers import SentenceFile
from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.writers import format_of
from elmo_components.modules.bilm import BiLm
from elmo_components.pretraining.tokenization import WHITE_SPACE

__all__ = ["DUPLICATES", "EMPTY_LINES", "EmbedSettings", "agrees", "model_fingerprint", "recorded"]

logger = logging.getLogger(__name__)

EMPTY_LINES = ("error", "keep", "skip")
DUPLICATES = ("error", "skip")

# With these values a run ends where the setting first applies, so it may resume with another value.
STOPPING = {"empty_lines": "error", "duplicates": "error"}

# The version of the partial file.
VERSION = 2


@dataclass(frozen=True)
class EmbedSettings:
    """
    What an embedding job writes, and how.

    # Parameters

    choice : `VectorChoice`
        Which vectors to write.
    output_format : `Optional[str]`
        One of `writers.FORMATS`; `None` to go by the suffix.
    sentence_keys, keep_sentences
        See `write_vectors`.
    batch_size : `int`
        See `Elmo.embed`.
    empty_lines : `str`
        For a sentence without tokens: "error" ends the run, "keep" writes no vectors (with pooling,
        one vector of zeros), "skip" leaves the sentence out.
    duplicates : `str`
        With sentence keys, for a repeated sentence: "error" ends the run, "skip" leaves it out.
    strict : `bool`
        Whether a sentence that cannot be read ends the run; otherwise it is reported and left out.
    window : `int`
        See `Elmo.embed_stream`.
    windows_a_part : `int`
        The number of windows after which the work is committed.

    # Raises

    `ValueError` for an unknown name or a number below 1.
    """

    choice: VectorChoice
    output_format: Optional[str] = None
    sentence_keys: bool = False
    keep_sentences: bool = True
    batch_size: int = BATCH_SIZE
    empty_lines: str = "error"
    duplicates: str = "error"
    strict: bool = False
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
    """Returns all that changes the output, except for the sentences; see `agrees`."""
    found = {
        "version": VERSION,
        "model": model_fingerprint(bilm),
        "device": next(bilm.parameters()).device.type,
        "precision": bilm.lstm.precision,
        "input_format": source.kind,
        "field": source.field,
        **asdict(settings.choice),
        **asdict(settings),
        "output_format": settings.output_format or format_of(destination),
        "rounding": [torch.__version__, torch.get_num_threads()],
    }
    if source.tokenizer != WHITE_SPACE:
        found["tokenizer"] = source.tokenizer
    return {name: value for name, value in found.items() if name not in ("choice", "strict")}


def model_fingerprint(bilm: BiLm) -> str:
    """Returns a digest of a model's configuration and weights, in hexadecimal."""
    model = hashlib.sha256(json.dumps(bilm.config.to_options()).encode())
    model.update(digest(list(bilm.state_dict().values())).encode())
    return model.hexdigest()


def agrees(name: str, before: Any, now: Any) -> bool:
    """Returns whether a run can resume with a new value of a setting."""
    if name == "rounding":
        if before != now:
            logger.warning(
                "The last bits may differ from those of an undisturbed run: torch's version and "
                "number of threads were %s and are now %s",
                before,
                now,
            )
        return True
    return before == now or (name in STOPPING and before == STOPPING[name])
