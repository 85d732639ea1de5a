"""A checkpointer for trainings that may be killed at any time."""

import logging
import os
import zipfile
from pathlib import Path
from typing import Optional

from allennlp.training.checkpointer import Checkpointer
from allennlp.training.trainer import TrainerCheckpoint

__all__ = ["WholeCheckpointer"]

logger = logging.getLogger(__name__)

# The first bytes of torch's two formats: a zip archive, and a pickle before torch 1.6.
ZIP, PICKLE = b"PK", b"\x80"


@Checkpointer.register("elmo_checkpointer")
class WholeCheckpointer(Checkpointer):
    """
    AllenNLP's checkpointer, which also survives a kill while it writes.

    It renames incomplete checkpoints to `*.incomplete` and loads the newest complete one.

    Registered as a `Checkpointer` with name "elmo_checkpointer"; for the parameters see
    `Checkpointer`.
    """

    def load_checkpoint(self) -> Optional[TrainerCheckpoint]:
        """Returns the newest complete checkpoint, or `None`."""
        for point in self._find_all_checkpoints():
            paths = [Path(self._model_state_path(*point)), Path(self._training_state_path(*point))]
            if not all(map(_is_complete, paths)):
                for path in filter(Path.exists, paths):
                    renamed = path.with_name(f"{path.name}.incomplete")
                    logger.warning("Renaming the incomplete checkpoint %s to %s", path, renamed)
                    os.replace(path, renamed)
        return super().load_checkpoint()


def _is_complete(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        start = file.read(2)
    # a zip archive ends with its directory; torch itself detects an incomplete pickle
    return zipfile.is_zipfile(path) if start == ZIP else start[:1] == PICKLE
