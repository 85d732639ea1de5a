"""Converts a biLM from any format that can be read to one that can be written."""

import argparse
import os
from pathlib import Path
from typing import Optional, Union

import torch

from elmo_components import checkpoints
from elmo_components.alphabet import CODE_POINTS
from elmo_components.checkpoints import bilm_tf
from elmo_components.checkpoints.allennlp import archive as allennlp_archive
from elmo_components.checkpoints.checkpoint import check_agreement
from elmo_components.checkpoints.names import PUBLISHED, SHIPPED, resolve
from elmo_components.checkpoints.native import SUFFIX
from elmo_components.config import CharCnnConfig

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "convert", "run"]

DESCRIPTION = "Convert a biLM from one format to another, or take it out of a model's archive."
EXAMPLES = f"""examples:
  elmo convert small elmo-small{SUFFIX} --float16
  elmo convert output/bilm/model.tar.gz output/bilm{SUFFIX}
  elmo convert 179.zip elmo-of-many-langs --folder-format many_langs"""

# Suffixes of formats that can only be read. No folder is created with such a name.
READ_ONLY = (".hdf5", ".h5", ".gz", ".zip", ".pkl", ".th")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to a parser."""
    names = ", ".join([*SHIPPED, *PUBLISHED])
    parser.add_argument(
        "source",
        help="a checkpoint in any known format, a model.tar.gz or the folder of a training; its "
        f"address; or one of {names}",
    )
    parser.add_argument(
        "destination",
        help=f"a {SUFFIX} file; or a folder for {', '.join(bilm_tf.FILES)}",
    )
    parser.add_argument(
        "--folder-format",
        choices=checkpoints.FOLDER_FORMATS,
        default="bilm_tf",
        help="the files of a folder: bilm-tf's or ELMoForManyLangs'",
    )
    parser.add_argument(
        "--without-softmax", action="store_true", help="leave out the layer that predicts words"
    )
    parser.add_argument(
        "--float16", action="store_true", help=f"round the numbers to halve a {SUFFIX} file"
    )
    parser.add_argument("--force", action="store_true", help="replace existing files")
    parser.add_argument(
        "--options", help="the path or address of an options.json, for a source without one"
    )
    parser.add_argument(
        "--part", help="which biLM of an archive with several; an error lists their names"
    )


def run(arguments: argparse.Namespace) -> None:
    """Converts and prints a report."""
    print(
        convert(
            arguments.source,
            Path(arguments.destination),
            with_softmax=not arguments.without_softmax,
            dtype=torch.float16 if arguments.float16 else torch.float32,
            folder_format=arguments.folder_format,
            force=arguments.force,
            options=arguments.options,
            part=arguments.part,
        )
    )


def convert(
    source: Union[str, os.PathLike],
    destination: Path,
    *,
    with_softmax: bool = True,
    dtype: torch.dtype = torch.float32,
    folder_format: str = "bilm_tf",
    force: bool = False,
    options: Optional[str] = None,
    part: Optional[str] = None,
) -> str:
    """
    Writes the biLM of a checkpoint or an archive in another format and returns a report.

    # Parameters

    source, destination, dtype, folder_format
        See `checkpoints.load` and `checkpoints.save`.
    with_softmax : `bool`
        Whether to write a language model's softmax and vocabulary too, unless it is tied or
        adaptive.
    options : `Optional[str]`
        The path or address of the `options.json` of a source without one.
    part : `Optional[str]`
        The name of one biLM of an AllenNLP archive with several.

    # Raises

    `ValueError` or `FileNotFoundError` for a source that cannot be read, a destination that cannot
    be written, and a biLM that the other format cannot store.
    """
    _check_destination(destination, dtype, force, folder_format)
    config = None if options is None else checkpoints.read_options(options)
    path = resolve(source, options_needed=config is None)
    is_archive = allennlp_archive.matches(path)
    if part is None:
        checkpoint = checkpoints.load(path, config, softmax=with_softmax)
    elif is_archive:
        checkpoint = allennlp_archive.load(path, config, softmax=with_softmax, part=part)
        if config is not None:
            check_agreement(checkpoint.config, config, path)
    else:
        raise ValueError(f"--part is for an AllenNLP archive; found {path}")
    lost = ""
    if destination.suffix != SUFFIX and folder_format == "bilm_tf":
        lost = " and ".join(_nonstandard_features(checkpoint.config.char_cnn))
    if lost and not is_archive:
        raise ValueError(
            f"{destination} cannot hold {lost}: bilm-tf and AllenNLP would read other words. Use a "
            f"destination that ends in {SUFFIX}, or another --folder-format"
        )
    checkpoints.save(checkpoint, destination, dtype=dtype, folder_format=folder_format)
    number = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    words = checkpoint.num_words
    softmax = f"a softmax of {words:,} words" if words else "no softmax"
    report = f"{number:,} numbers, with {softmax}, in {destination}"
    return f"{report}\nOnly elmo_components reads its {lost}" if lost else report


def _check_destination(
    destination: Path, dtype: torch.dtype, force: bool, folder_format: str
) -> None:
    """Raises `ValueError` for a destination that cannot be written, before anything is computed."""
    is_file = destination.suffix == SUFFIX
    wanted = f"The destination must be a file that ends in {SUFFIX} or a folder; found"
    if destination.suffix in READ_ONLY:
        raise ValueError(f"{wanted} {destination}. {destination.suffix} files can only be read")
    if dtype != torch.float32 and not is_file:
        raise ValueError(
            f"A destination of {dtype} must end in {SUFFIX}; found {destination}. Other formats "
            "hold float32"
        )
    if destination.exists() and destination.is_dir() == is_file:
        raise ValueError(f"{wanted} {destination}, which is a {'folder' if is_file else 'file'}")
    if not is_file:
        checkpoints.check_folder(destination, folder_format)
    names = checkpoints.FOLDER_FORMATS[folder_format].FILES
    files = [destination] if is_file else [destination / name for name in names]
    existing = ", ".join(str(path) for path in files if path.exists())
    if existing and not force:
        raise ValueError(f"There is already {existing}. Use --force to replace it")


def _nonstandard_features(config: CharCnnConfig) -> list[str]:
    """Returns the features of a biLM that bilm-tf and AllenNLP do not have."""
    found = []
    if config.alphabet:
        found.append(f"alphabet of {len(config.alphabet):,} characters")
    if config.units == CODE_POINTS:
        found.append("words as code points")
    if config.words:
        found.append(f"table of {config.num_words:,} words")
    return found
