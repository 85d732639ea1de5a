"""
Reads and writes checkpoints as repositories of the Hugging Face Hub: a folder with `config.json`,
`model.safetensors` and a model card, `README.md`.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Union

import torch

from elmo_components.checkpoints import native
from elmo_components.checkpoints.atomic import atomic_write
from elmo_components.checkpoints.checkpoint import Checkpoint, CheckpointError
from elmo_components.checkpoints.model_card import Author, model_card
from elmo_components.checkpoints.parameters import check_tensors
from elmo_components.checkpoints.untrusted.json_text import read_object

__all__ = ["CARD_NAME", "from_hub", "located", "save_repository"]

logger = logging.getLogger(__name__)

CARD_NAME = "README.md"
MODEL_TYPE = "elmo"
# The files that say what a repository is, which are small, and those that a checkpoint may have. A
# training folder's `best.th` has the name `weights.th` in a repository.
CONFIGS = (native.CONFIG_NAME, "options.json")
WEIGHTS = (native.MODEL_NAME, "weights.hdf5", "weights.th")
FILES = (*CONFIGS, *WEIGHTS, "vocab.txt", "vocabulary/*.txt")
OTHER_NAMES = "In a repository with other file names, give the https:// address of the file"


def from_hub(
    source: Union[str, os.PathLike],
    *,
    revision: Optional[str] = None,
    token: Union[bool, str, None] = None,
    local_files_only: bool = False,
) -> Optional[Path]:
    """
    Downloads the checkpoint in a repository of the Hugging Face Hub and returns its folder, or
    returns `None` if `source` is a path.

    # Parameters

    source : `Union[str, os.PathLike]`
        "organisation/name", which is a path if the folder "organisation" exists;
        "hf://organisation/name" or "hf://organisation/name@revision".
    revision : `Optional[str]`
        A branch, a tag or a commit; `None` for the newest.
    token, local_files_only
        See `integrations.hub.download`.

    # Raises

    The errors of `integrations.hub.download`; `CheckpointError` for a repository without an ELMo,
    and `ValueError` for two revisions.
    """
    # an address may be too long for a path
    if not isinstance(source, str) or os.path.exists(source):
        return None
    from elmo_components.integrations.hub import PREFIX, download, parse_name

    is_explicit = source.startswith(PREFIX)
    if not is_explicit and os.path.isdir(source.partition("/")[0]):
        return None
    name = parse_name(source)
    if name is None:
        return None
    if name.revision is not None and revision not in (None, name.revision):
        raise ValueError(f"The revision must be given once; found {source!r} and {revision!r}")
    name = name._replace(revision=name.revision or revision)
    folder = download(name, CONFIGS, token=token, local_files_only=local_files_only)
    _check_kind(folder, name.repository)
    # after a look at the small files, so that the weights of other models are not downloaded
    folder = download(name, FILES, token=token, local_files_only=local_files_only)
    if not any((folder / file).is_file() for file in WEIGHTS):
        raise CheckpointError(
            f"The repository {name.repository} has no ELMo: it must have {', '.join(WEIGHTS[:-1])} "
            f"or {WEIGHTS[-1]}. {OTHER_NAMES}. If a download was interrupted, repeat it with a "
            "network"
        )
    return folder


def located(
    source: Union[str, os.PathLike],
    *,
    revision: Optional[str],
    token: Union[bool, str, None],
    local_files_only: bool,
) -> Union[str, os.PathLike]:
    """
    Returns the folder of a downloaded repository, or `source` if it is a path; see `from_hub`.

    # Raises

    `ValueError` for a revision, a token or `local_files_only` and no repository.
    """
    folder = from_hub(source, revision=revision, token=token, local_files_only=local_files_only)
    if folder is not None:
        return folder
    given = {"revision": revision, "token": token, "local_files_only": local_files_only or None}
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise ValueError(
            f"{' and '.join(names)} must be given with a repository on the Hugging Face Hub only; "
            f"found {os.fspath(source)!r}"
        )
    return source


def _check_kind(folder: Path, repository: str) -> None:
    """Raises a `CheckpointError` unless the small files are those of a format that can be read."""
    config = folder / native.CONFIG_NAME
    if (folder / "options.json").is_file():
        return
    if not config.is_file():
        raise CheckpointError(
            f"The repository {repository} has no ELMo: it must have {' or '.join(CONFIGS)}. "
            f"{OTHER_NAMES}"
        )
    try:
        settings: Mapping[str, Any] = read_object(config)
    except ValueError as error:
        raise CheckpointError(
            f"{native.CONFIG_NAME} of the repository {repository} must be JSON: {error}"
        ) from error
    is_archive = "model" in settings and "dataset_reader" in settings
    if settings.get("model_type") != MODEL_TYPE and not is_archive:
        raise CheckpointError(
            f"The repository {repository} has another kind of model: model_type in its "
            f"{native.CONFIG_NAME} must be {MODEL_TYPE!r}, as Elmo.save_pretrained writes it"
        )


def _is_ours(config: Path) -> bool:
    try:
        return read_object(config).get("model_type") == MODEL_TYPE
    except ValueError:
        return False


def save_repository(
    checkpoint: Checkpoint, folder: Path, *, author: Author, dtype: torch.dtype = torch.float32
) -> None:
    """
    Writes `config.json` and `model.safetensors` into a folder, and `README.md` unless it exists.

    # Raises

    `CheckpointError` for tensors that are not those of the sizes in `checkpoint.config` or not
    finite, `FileExistsError` for a folder with the `config.json` of something else, and the errors
    of `native.save`.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} must be a folder or a new name; it is a file")
    config = folder / native.CONFIG_NAME
    if config.exists() and not _is_ours(config):
        raise FileExistsError(
            f"{config} must have the model_type {MODEL_TYPE!r}; found that of something else, such "
            "as a training. Give a new folder"
        )
    check_tensors(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    native.save(checkpoint, folder / native.MODEL_NAME, dtype=dtype)
    settings = {"model_type": MODEL_TYPE, **checkpoint.config.to_options()}
    with atomic_write(config) as temporary:
        text = json.dumps(settings, ensure_ascii=False, indent=2) + "\n"
        temporary.write_text(text, encoding="utf-8")
    card = folder / CARD_NAME
    if card.exists():
        logger.warning("%s exists and is not changed", card)
        return
    size = (folder / native.MODEL_NAME).stat().st_size
    with atomic_write(card) as temporary:
        temporary.write_text(
            model_card(checkpoint, author, file_size=size, dtype=dtype), encoding="utf-8"
        )
