"""Finds a checkpoint by its path, its address, its name, or its name on the Hugging Face Hub."""

import logging
import os
from pathlib import Path
from typing import NamedTuple, Optional, Union

from elmo_components.checkpoints.checkpoint import CheckpointError
from elmo_components.checkpoints.download import base_name, fetch, is_address
from elmo_components.checkpoints.repository import from_hub

logger = logging.getLogger(__name__)

__all__ = ["ENGLISH", "PUBLISHED", "SHIPPED", "Published", "resolve"]

# what commands take unless told otherwise
ENGLISH = "english"
WEIGHTS = Path(__file__).parent.parent / "weights"
# those in the package; weights/README.md has their cards
SHIPPED = {name: WEIGHTS / f"{name}.safetensors" for name in (ENGLISH, "german", "chinese")}

HDF5_SUFFIXES = (".hdf5", ".h5")


class Published(NamedTuple):
    """
    A checkpoint that AllenNLP hosts.

    # Parameters

    weights, options : `str`
        The addresses of its two files; "" for no options.
    sha256 : `Optional[str]`
        The weights', if known.
    """

    weights: str
    options: str
    sha256: Optional[str] = None


_ALLENNLP = "https://allennlp.s3.amazonaws.com/models/elmo"


def _english(name: str, sha256: Optional[str] = None) -> Published:
    path = f"{_ALLENNLP}/{name}/elmo_{name}"
    return Published(f"{path}_weights.hdf5", f"{path}_options.json", sha256)


# docs/formats.md says where these addresses were found.
PUBLISHED = {
    "small": _english(
        "2x1024_128_2048cnn_1xhighway",
        "747ba97abce8a5f446558369e10bb0f7931437a46867476fdd156f5d7f576229",
    ),
    "medium": _english("2x2048_256_2048cnn_1xhighway"),
    "original": _english("2x4096_512_2048cnn_2xhighway"),
    "original-5.5b": _english("2x4096_512_2048cnn_2xhighway_5.5B"),
    "pubmed": Published(
        f"{_ALLENNLP}/contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway_weights_PubMed_only.hdf5",
        f"{_ALLENNLP}/contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway_options.json",
    ),
    "portuguese": Published(
        f"{_ALLENNLP}/contributed/pt/elmo_pt_weights.hdf5",
        f"{_ALLENNLP}/contributed/pt/elmo_pt_options.json",
    ),
}


def resolve(source: Union[str, os.PathLike], *, options_needed: bool = False) -> Path:
    """
    Returns the local path of a checkpoint, and downloads it if needed. An existing path takes
    precedence over a name. The options of HDF5 weights are downloaded into the same folder.

    # Parameters

    source : `Union[str, os.PathLike]`
        A path, an `https://` or `http://` address, a name in `SHIPPED` or `PUBLISHED`, or a
        repository on the Hugging Face Hub; see `from_hub`.
    options_needed : `bool`
        Whether missing options of HDF5 weights are an error; else they are a warning.

    # Raises

    `FileNotFoundError` for none of these; `CheckpointError` for a failed download; the errors of
    `from_hub`.
    """
    # an address may be too long for a path
    if os.path.exists(source):
        return Path(source)
    name = os.fspath(source)
    if is_address(name):
        return _downloaded(_published_at(name), options_needed)
    if name in PUBLISHED:
        return _downloaded(PUBLISHED[name], options_needed)
    if name in SHIPPED:
        if not SHIPPED[name].exists():
            raise FileNotFoundError(
                f"The checkpoint {name!r} must come with the package, at {SHIPPED[name]}. "
                "Reinstall the package, or give the path of another"
            )
        return SHIPPED[name]
    repository = from_hub(source)
    if repository is not None:
        return repository
    raise FileNotFoundError(
        f"There is no checkpoint at {source}. Give a path, an address, one of the names "
        f"{', '.join(map(repr, [*SHIPPED, *PUBLISHED]))}, or hf://organisation/name for a "
        "repository on the Hugging Face Hub"
    )


def _published_at(address: str) -> Published:
    """Returns the checkpoint at an address, and guesses the address of its options if needed."""
    for published in PUBLISHED.values():
        if published.weights == address:
            return published
    folder, _, name = address.partition("?")[0].rpartition("/")
    if not name.endswith(HDF5_SUFFIXES):
        return Published(address, "")
    stem = name.rpartition(".")[0]
    options = stem.replace("weights", "options") if "weights" in stem else "options"
    return Published(address, f"{folder}/{options}.json")


def _downloaded(published: Published, options_needed: bool) -> Path:
    weights = fetch(published.weights, sha256=published.sha256)
    if published.options:
        try:
            fetch(published.options, folder=weights.parent)
        except CheckpointError as error:
            if options_needed:
                raise CheckpointError(
                    f"The options of {base_name(published.weights)} must be at "
                    f"{published.options}, or be given: {error}"
                ) from error
            logger.warning("The given options are not compared to published ones: %s", error)
    return weights
