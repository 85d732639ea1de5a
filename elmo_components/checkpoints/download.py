"""Downloads files into the cache of the `cached_path` package, and checks that they are whole."""

import hashlib
import http.client
import logging
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Optional
from urllib.parse import urlparse

from elmo_components.checkpoints.atomic import atomic_write
from elmo_components.checkpoints.checkpoint import CheckpointError

logger = logging.getLogger(__name__)

__all__ = ["base_name", "fetch", "is_address"]

# The folder in the cache for checked files, under their own names.
FOLDER = "elmo_components"
# In seconds, for a server to state a file's size.
TIMEOUT = 30.0
BLOCK = 1 << 20


def is_address(source: str) -> bool:
    """Whether `source` is an address to download from."""
    return source.startswith(("https://", "http://"))


def base_name(address: str) -> str:
    """Returns the name of the file at an address, with plain characters only."""
    name = urlparse(address).path.rpartition("/")[2]
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "file"


def fetch(address: str, *, sha256: Optional[str] = None, folder: Optional[Path] = None) -> Path:
    """
    Returns the local path of the file at an address, and downloads it unless it is in the cache.
    Without a network the file in the cache is used.

    # Parameters

    address : `str`
        An `https://` or `http://` address.
    sha256 : `Optional[str]`
        The expected one, if known.
    folder : `Optional[Path]`
        The folder of the file; `None` for a folder of its own.

    # Raises

    `CheckpointError` for a file that cannot be downloaded or has another size or sha256 than
    expected. It is then removed from the cache. `ValueError` without cached-path.
    """
    try:
        cached = _cached(address)
        own = cached.parent / FOLDER / hashlib.sha256(address.encode()).hexdigest()[:16]
        place = (folder or own) / base_name(address)
        is_new = not (place.exists() and os.path.samefile(place, cached))
        problem = _problem(cached, address, sha256, is_new=is_new)
        if problem is not None:
            for path in (place, cached, cached.with_name(f"{cached.name}.json")):
                path.unlink(missing_ok=True)
            raise CheckpointError(
                f"{address} {problem}; it was removed from the cache. Try again, or download it by "
                "other means and give its path"
            )
        if is_new:
            _place(cached, place)
    # the errors of `requests`, which cached_path uses, are OSErrors
    except OSError as error:
        raise CheckpointError(
            f"{address} cannot be downloaded: {type(error).__name__}: {error}. Check the address "
            "and the network, or download it by other means and give its path"
        ) from error
    return place


def _cached(address: str) -> Path:
    try:
        from cached_path import cached_path
    except ModuleNotFoundError as error:
        raise ValueError(
            "Downloads need cached-path: pip install 'elmo_components[hub]'. Or download "
            f"{address} by other means and give its path"
        ) from error

    return Path(cached_path(address, quiet=not sys.stderr.isatty()))


def _problem(path: Path, address: str, sha256: Optional[str], *, is_new: bool) -> Optional[str]:
    if sha256 is not None:
        found = _sha256(path)
        if found != sha256:
            return f"must have the sha256 {sha256}; found {found}, in {path.stat().st_size:,} bytes"
    elif is_new:
        # an older urllib3 takes an interrupted download for a whole one
        wanted, size = _declared_size(address), path.stat().st_size
        if wanted is not None and wanted != size:
            return f"must have {wanted:,} bytes; found {size:,}"
    return None


def _declared_size(address: str) -> Optional[int]:
    request = urllib.request.Request(address, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            size = response.headers.get("Content-Length", "")
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        logger.warning("%s: the server did not state its size: %s", address, error)
        return None
    return int(size) if size.isdecimal() else None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _place(cached: Path, place: Path) -> None:
    """Gives a file in the cache its own name, by a link if the file system has links."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(place) as temporary:
        try:
            os.link(cached, temporary)
        except OSError:
            shutil.copyfile(cached, temporary)
