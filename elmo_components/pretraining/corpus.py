"""A corpus for pre-training: text in shards, one sentence a line, read as a stream."""

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

__all__ = ["epoch_lines", "find_shards", "open_shard", "pack_streams", "read_lines", "write_shards"]

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
        these. Of a folder, hidden files and folders within are passed over.

    # Raises

    `FileNotFoundError` where there is nothing, `ValueError` for a file with another suffix.
    """
    places = [corpus] if isinstance(corpus, (str, os.PathLike)) else corpus
    if not places:
        raise ValueError("A corpus must be a file, a folder, a pattern, or several; found none")
    # the same file may be reached by several ways
    found = {path.resolve(): path for place in places for path in _files_at(os.fspath(place))}
    shards = sorted(found.values())
    unknown = [str(path) for path in shards if path.suffix not in SUFFIXES]
    if unknown:
        raise ValueError(
            f"Files of a corpus must end in one of {', '.join(SUFFIXES)}; found "
            f"{', '.join(unknown)}. A pattern, such as folder/*.txt, chooses among files."
        )
    return shards


def read_lines(shard: Path) -> Iterator[str]:
    """
    Yields the lines of a shard, stripped, but for the blank ones, which end documents.

    No more than a line and a decompressor's buffer is in memory.

    # Raises

    `ValueError` that names file and line where the file is damaged or is not UTF-8.
    """
    number = 0
    try:
        with open_shard(shard) as file:
            # in bytes only \n ends a line, so U+0085 or U+2028 within a sentence does not part it
            for line in file:
                number += 1
                # a byte order mark belongs to no word
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
    """Opens a file to read it as bytes, decompressed where it ends in `.gz` or `.xz`."""
    if shard.suffix == ".gz":
        # a GzipFile is no IO in the type stubs
        return gzip.open(shard, "rb")  # type: ignore[return-value]
    return lzma.open(shard, "rb") if shard.suffix == ".xz" else open(shard, "rb")


def epoch_lines(
    shards: Sequence[Path],
    *,
    epoch: int,
    shuffle_seed: Optional[int] = None,
    buffer_size: int = 1 << 16,
    shards_per_epoch: Optional[int] = None,
) -> Iterator[str]:
    """
    Yields the sentences of an epoch, which depend on the arguments alone: no earlier epoch needs
    to be read.

    # Parameters

    epoch : `int`
        From 0.
    shuffle_seed : `Optional[int]`
        With a seed, each pass over the corpus takes the shards in an order of its own, and the
        sentences go through a buffer from which each is drawn at random. `None` for the order in
        which they stand.
    buffer_size : `int`
        The sentences in the buffer, in memory. A sentence may come any number of places later,
        but at most so many earlier.
    shards_per_epoch : `Optional[int]`
        An epoch is the next so many shards of the pass, which goes over into the next pass.
        `None` for all shards.

    # Raises

    `ValueError` if there is no sentence, and as `read_lines` does.
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
            f"{', '.join(map(str, chosen))}: must hold a sentence; all lines are blank"
        )


def pack_streams(
    sentences: Iterable[Sequence[Step]], *, num_streams: int, unroll_steps: int
) -> Iterator[list[Step]]:
    """
    Yields the cuts of streams in turn: the first of stream 0, of stream 1, ..., then the second.

    A stream that has used up its sentence takes the next one, whoever took the one before
    (bilm-tf, `bilm/data.py`, `_get_batch`). Where bilm-tf drops what is left once the sentences
    run out, here all streams go on to their ends, with shorter and then with empty cuts.

    # Parameters

    sentences : `Iterable[Sequence[Step]]`
        Each the steps that it is for a language model: inputs with targets.
    num_streams : `int`
        How many streams there are.
    unroll_steps : `int`
        The steps in a cut.
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
    Yields tokenised sentences and writes them on the way, a line each with a space between tokens,
    to gzip files in turn, so that each file is a sample of the whole; one file has all of them in
    their order. The files are there once all sentences are taken.
    """
    temporary = [path.with_name(f".{path.name}.tmp") for path in paths]
    with ExitStack() as on_failure:
        for path in temporary:
            on_failure.callback(path.unlink, missing_ok=True)
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
        for path, wanted in zip(temporary, paths):
            os.replace(path, wanted)
        on_failure.pop_all()


def _files_at(place: str) -> list[Path]:
    if os.path.isfile(place):
        return [Path(place)]
    if os.path.isdir(place):
        files = [path for path in Path(place).iterdir() if path.is_file()]
        files = [path for path in files if not path.name.startswith(".")]
        if not files:
            raise FileNotFoundError(f"No file of a corpus is in the folder {place}")
        return files
    files = [path for found in glob(place, recursive=True) for path in _files_at(found)]
    if not files:
        raise FileNotFoundError(f"No file or folder of a corpus is at {place}, nor matches it")
    return files


def _generator(seed: int, purpose: str, number: int) -> torch.Generator:
    """Returns a generator whose numbers have nothing to do with those of another number or seed."""
    digest = hashlib.sha256(f"{seed} {purpose} {number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _shards_at(shards: Sequence[Path], places: range, seed: Optional[int]) -> list[Path]:
    """Returns the shards at places of the endless row of passes."""
    chosen = []
    for place in places:
        number, index = divmod(place, len(shards))
        if seed is not None:
            generator = _generator(seed, "shards", number)
            index = int(torch.randperm(len(shards), generator=generator)[index])
        chosen.append(shards[index])
    return chosen


def _shuffled(lines: Iterator[str], size: int, generator: torch.Generator) -> Iterator[str]:
    buffer = list(islice(lines, size))
    while block := list(islice(lines, DRAWS)):
        # one draw for each sentence would take longer than all the rest
        places = torch.randint(size, (len(block),), generator=generator).tolist()
        for place, line in zip(places, block):
            yield buffer[place]
            buffer[place] = line
    for place in torch.randperm(len(buffer), generator=generator).tolist():
        yield buffer[place]
