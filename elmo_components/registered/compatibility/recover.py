"""
A patch that lets AllenNLP 2.10.1 recover distributed trainings with a vocabulary like bilm-tf's,
applied on import.

`allennlp train --recover` with `distributed` reads the vocabulary again without the configured
`oov_token` and `padding_token`. With "<UNK>" it ends in an error: the unknown word is missing.
"""

import json
import logging
from pathlib import Path
from typing import Any

from allennlp.commands import train
from allennlp.data import Vocabulary

__all__ = ["RecoveredVocabulary"]

logger = logging.getLogger(__name__)


class RecoveredVocabulary(Vocabulary):
    """A `Vocabulary` that `allennlp train` reads from the training's own folder."""

    @classmethod
    def from_files(cls, directory: Any, **tokens: Any) -> Vocabulary:  # type: ignore[override]
        """
        Returns the vocabulary of a training.

        # Parameters

        directory : `str`
            The folder "vocabulary" of a serialization directory, whose "config.json" has the
            special tokens.
        """
        config = json.loads((Path(directory).parent / "config.json").read_text(encoding="utf-8"))
        for name in ("padding_token", "oov_token"):
            tokens.setdefault(name, config.get("vocabulary", {}).get(name))
        return Vocabulary.from_files(directory, **tokens)


logger.info("Patching AllenNLP: recovered distributed trainings keep the unknown word")
train.Vocabulary = RecoveredVocabulary  # type: ignore[misc]
