"""
A patch that lets AllenNLP 2.10.1 read a vocabulary in the Hugging Face Hub's cache, applied on
import.

`allennlp push-to-hf` uploads the vocabulary's lock file, `vocabulary/.lock`. In the Hub's cache
each file is a symbolic link, and filelock 4 refuses to open one, so
`Predictor.from_path("hf://...")` ends in `OSError: Too many levels of symbolic links`.
"""

import logging
import os
from typing import Any

from allennlp.common.file_utils import FileLock
from allennlp.data import vocabulary

__all__ = ["LinkedFileLock"]

logger = logging.getLogger(__name__)


class LinkedFileLock(FileLock):
    """A `FileLock` that follows symbolic links: it locks the file itself."""

    def __init__(self, lock_file: Any, timeout: float = -1, read_only_ok: bool = False) -> None:
        super().__init__(os.path.realpath(lock_file), timeout=timeout, read_only_ok=read_only_ok)


logger.info("Patching AllenNLP: locks of vocabularies follow symbolic links")
vocabulary.FileLock = LinkedFileLock
