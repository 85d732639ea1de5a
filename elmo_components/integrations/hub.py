"""Downloads files of repositories on the Hugging Face Hub, with `huggingface_hub`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional, Union

__all__ = ["HubName", "download", "parse_name"]

PREFIX = "hf://"
# "organisation/name", which the Hub restricts to these characters
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
# A path that ends like this is a file's.
FILE_SUFFIXES = (".safetensors", ".hdf5", ".h5", ".gz", ".zip", ".json", ".th", ".txt")
ADVICE = "pip install 'elmo_components[hub]'"


class HubName(NamedTuple):
    """A repository and a revision of it: a branch, a tag or a commit; `None` for the newest."""

    repository: str
    revision: Optional[str] = None


def parse_name(source: str) -> Optional[HubName]:
    """
    Returns the repository that a name stands for, or `None` if it looks like a path.

    >>> parse_name("somebody/elmo")
    HubName(repository='somebody/elmo', revision=None)
    >>> parse_name("hf://somebody/elmo@v1")
    HubName(repository='somebody/elmo', revision='v1')

    # Raises

    `ValueError` for "hf://" and something else than "organisation/name" or
    "organisation/name@revision" after it.
    """
    if not source.startswith(PREFIX):
        is_name = NAME.fullmatch(source) and not source.endswith(FILE_SUFFIXES)
        return HubName(source) if is_name else None
    name, _, revision = source.removeprefix(PREFIX).partition("@")
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{PREFIX} must be followed by organisation/name or organisation/name@revision; "
            f"found {source!r}"
        )
    return HubName(name, revision or None)


def download(
    name: HubName,
    files: Sequence[str],
    *,
    token: Union[bool, str, None] = None,
    local_files_only: bool = False,
) -> Path:
    """
    Returns the local folder of a repository, after a download of the files that it has of `files`.

    Files in the library's cache are not downloaded again. Without a network they are used as they
    are.

    # Parameters

    files : `Sequence[str]`
        Names or patterns. No other file is downloaded.
    token : `Union[bool, str, None]`
        As in `huggingface_hub`: `None` and `True` for the stored one, `False` for none.
    local_files_only : `bool`
        Whether to use the cache alone. The environment variable `HF_HUB_OFFLINE=1` has the same
        effect.

    # Raises

    `FileNotFoundError` for a repository or a revision that does not exist or, without downloads, is
    not in the cache; `PermissionError` for a gated repository; `ConnectionError` if the Hub cannot
    be reached or refuses; `ValueError` without the library.
    """
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.utils import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise ValueError(
            f"There is no file or folder {name.repository}. If it is a repository on the Hugging "
            f"Face Hub, the download needs huggingface_hub 0.24 or later: {ADVICE}"
        ) from error

    repository, hub = name.repository, constants.ENDPOINT
    try:
        folder = snapshot_download(
            repository,
            revision=name.revision,
            token=token,
            local_files_only=local_files_only or constants.HF_HUB_OFFLINE,
            allow_patterns=list(files),
        )
    except GatedRepoError as error:
        raise PermissionError(
            f"The repository {repository} on {hub} is gated. Accept its terms at "
            f"{hub}/{repository} and give the token of your account"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"There is no file or folder {repository}, and no repository of that name on {hub}, or "
            "only a private one. Check the name, or give a token that may read it"
        ) from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(
            f"The repository {repository} on {hub} has no revision {name.revision!r}"
        ) from error
    except LocalEntryNotFoundError as error:
        if local_files_only or constants.HF_HUB_OFFLINE:
            raise FileNotFoundError(
                f"There is no file or folder {repository}, and the repository of that name is not "
                "in the cache. Allow the download: local_files_only and HF_HUB_OFFLINE forbid it"
            ) from error
        raise ConnectionError(
            f"There is no file or folder {repository}, the repository of that name is not in the "
            f"cache, and {hub} cannot be reached. Check the path or the network"
        ) from error
    except HfHubHTTPError as error:
        status = "no status" if error.response is None else f"status {error.response.status_code}"
        raise ConnectionError(
            f"{hub} refuses {repository}, with {status}. Check the token, or try again later"
        ) from error
    except OSError as error:
        raise ConnectionError(
            f"{repository} cannot be downloaded from {hub}: {_first_line(error)}"
        ) from error
    return Path(folder)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
