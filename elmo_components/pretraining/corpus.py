"""A corpus for pre-training: shards of text with one sentence a line, read as a stream."""

import gzip
import hashlib
import lzma
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from glob import glob
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Optional, TypeVar, Union

import torch

from elmo_components.checkpoints.atomic import atomic_write

__all__ = [
    "decompressed",
    "epoch_lines",
    "find_shards",
    "open_shard",
    "pack_streams",
    "read_lines",
    "write_shards",
]

SUFFIXES = (".txt", ".gz", ".xz")

# How many random numbers are drawn at once.
DRAWS = 4096

PathLike = Union[str, "os.PathLike[str]"]
Step = TypeVar("Step")


def find_shards(corpus: Union[PathLike, Sequence[PathLike]]) -> list[Path]:
    """
    Returns the files of a corpus, sorted, each once.

    # Parameters

    corpus : `Union[PathLike, Sequence[PathLike]]`
        A file (`.txt`, `.gz` or `.xz`), a folder of such files, a glob pattern, or several of
        these. Hidden files and subfolders of a folder are ignored.

    # Raises

    `FileNotFoundError` for a place without files, `ValueError` for a file with another suffix.
    """
    places = [corpus] if isinstance(corpus, (str, os.PathLike)) else corpus
    if not places:
        raise ValueError("A corpus must be a file, a folder, a pattern, or several; found none")
    # several places may have the same file
    found = {path.resolve(): path for place in places for path in _files_at(os.fspath(place))}
    shards = sorted(found.values())
    unknown = [str(path) for path in shards if path.suffix not in SUFFIXES]
    if unknown:
        raise ValueError(
            f"Files of a corpus must end in one of {', '.join(SUFFIXES)}; found "
            f"{', '.join(unknown)}. Select files with a pattern such as folder/*.txt"
        )
    return shards


def read_lines(shard: Path) -> Iterator[str]:
    """
    Yields the lines of a shard, stripped, without blank lines.

    Only a line and a decompressor's buffer are in memory.

    # Raises

    `ValueError` with file and line if the file is damaged or is not UTF-8.
    """
    number = 0
    try:
        with open_shard(shard) as file:
            # in bytes only \n ends a line; U+0085 and U+2028 do not split a sentence
            for line in file:
                number += 1
                # a byte order mark is no part of a word
                text = line.decode("utf-8").lstrip("\ufeff").strip()
                if text:
                    yield text
    except UnicodeDecodeError as error:
        raise ValueError(f"{shard}, line {number}: must be UTF-8; {error}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(
            f"{shard}, after line {number}: the compressed file is damaged; {error}"
        ) from error


def open_shard(shard: Path) -> IO[bytes]:
    """Opens a file to read bytes; decompresses `.gz` and `.xz`."""
    return decompressed(shard, shard.suffix)


def decompressed(file: Union[Path, IO[bytes]], suffix: str) -> IO[bytes]:
    """Returns the contents of a path or an open file whose name has this suffix."""
    if suffix == ".gz":
        # a GzipFile is no IO in the type stubs
        return gzip.open(file, "rb")  # type: ignore[return-value]
    if suffix == ".xz":
        return lzma.open(file, "rb")
    return open(file, "rb") if isinstance(file, Path) else file


def epoch_lines(
    shards: Sequence[Path],
    *,
    epoch: int,
    shuffle_seed: Optional[int] = None,
    buffer_size: int = 1 << 16,
    shards_per_epoch: Optional[int] = None,
) -> Iterator[str]:
    """
    Yields the sentences of an epoch. They depend only on the arguments, not on earlier epochs.

    # Parameters

    epoch : `int`
        From 0.
    shuffle_seed : `Optional[int]`
        With a seed, each pass over the corpus has its own random order of shards, and sentences
        are drawn at random from a buffer. `None` for the order of the files.
    buffer_size : `int`
        The number of sentences in the buffer. A sentence may move by any number of places towards
        the end, but at most by this number towards the start.
    shards_per_epoch : `Optional[int]`
        An epoch is the next so many shards; it may go on into the next pass. `None` for all.

    # Raises

    `ValueError` if there is no sentence, or as `read_lines` does.
    """
    number = len(shards) if shards_per_epoch is None else shards_per_epoch
    chosen = _shards_at(shards, range(epoch * number, (epoch + 1) * number), shuffle_seed)
    lines: Iterator[str] = (line for shard in chosen for line in read_lines(shard))
    if shuffle_seed is not None:
        lines = _shuffled(lines, buffer_size, _generator(shuffle_seed, "sentences", epoch))
    empty = True
    for line in lines:
        empty = False
        yield line
    if empty:
        raise ValueError(
            f"{', '.join(map(str, chosen))}: all lines are blank. Give files with sentences"
        )


def pack_streams(
    sentences: Iterable[Sequence[Step]], *, num_streams: int, unroll_steps: int
) -> Iterator[list[Step]]:
    """
    Yields chunks of streams in turn: the first of stream 0, of stream 1, ..., then the second ones.

    A stream that needs steps takes the next sentence (bilm-tf, `bilm/data.py`, `_get_batch`). After
    the last sentence bilm-tf drops the rest of all streams; here the streams end with shorter and
    then empty chunks.

    # Parameters

    sentences : `Iterable[Sequence[Step]]`
        Each a sequence of steps: inputs with targets.
    num_streams : `int`
        The number of streams.
    unroll_steps : `int`
        The number of steps in a chunk.
    """
    left = iter(sentences)
    streams: list[list[Step]] = [[] for _ in range(num_streams)]
    while True:
        for stream in streams:
            while len(stream) < unroll_steps:
                sentence = next(left, None)
                if sentence is None:
                    break
                stream.extend(sentence)
        if not any(streams):
            return
        for row, stream in enumerate(streams):
            yield stream[:unroll_steps]
            streams[row] = stream[unroll_steps:]


def write_shards(
    sentences: Iterable[Sequence[str]], paths: Sequence[Path]
) -> Iterator[Sequence[str]]:
    """
    Writes tokenised sentences to gzip files in turn, and yields each.

    A line is a sentence, with a space between tokens. Each file is a sample of the corpus; a single
    file has all sentences in order. The files appear after the last sentence.
    """
    with ExitStack() as on_exit:
        temporary = [on_exit.enter_context(atomic_write(path)) for path in paths]
        with ExitStack() as open_files:
            files = [
                # without a name and a time in it, the same text gives the same file
                open_files.enter_context(
                    gzip.GzipFile(
                        "", "wb", fileobj=open_files.enter_context(open(path, "wb")), mtime=0
                    )
                )
                for path in temporary
            ]
            for words, file in zip(sentences, cycle(files)):
                file.write(f"{' '.join(words)}\n".encode())
                yield words


def _files_at(place: str) -> list[Path]:
    if os.path.isfile(place):
        return [Path(place)]
    if os.path.isdir(place):
        files = _files_in(place)
        if not files:
            raise FileNotFoundError(f"The folder {place} has no files. Give a folder with text")
        return files
    files = []
    for found in glob(place, recursive=True):
        files += _files_in(found) if os.path.isdir(found) else [Path(found)]
    if not files:
        raise FileNotFoundError(f"No file or folder matches {place}. Check the path")
    return files


def _files_in(folder: str) -> list[Path]:
    files = (path for path in Path(folder).iterdir() if path.is_file())
    return [path for path in files if not path.name.startswith(".")]


def _generator(seed: int, purpose: str, number: int) -> torch.Generator:
    """Returns a generator that is independent of those for other arguments."""
    digest = hashlib.sha256(f"{seed} {purpose} {number}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:7], "big"))


def _shards_at(shards: Sequence[Path], places: range, seed: Optional[int]) -> list[Path]:
    """Returns the shards at places in an endless sequence of passes."""
    chosen = []
    for place in places:
        number, index = divmod(place, len(shards))
        if seed is not None:
            generator = _generator(seed, "shards", number)
            index = int(torch.randperm(len(shards), generator=generator, device="cpu")[index])
        chosen.append(shards[index])
    return chosen


def _shuffled(lines: Iterator[str], size: int, generator: torch.Generator) -> Iterator[str]:
    buffer = list(islice(lines, size))
    while block := list(islice(lines, DRAWS)):
        # one draw a sentence would be slow
        places = torch.randint(size, (len(block),), generator=generator, device="cpu").tolist()
        for place, line in zip(places, block):
            yield buffer[place]
            buffer[place] = line
    for place in torch.randperm(len(buffer), generator=generator, device="cpu").tolist():
        yield buffer[place]
