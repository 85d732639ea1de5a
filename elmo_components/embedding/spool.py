"""
What a run has done so far, on disk, so that one that is killed goes on where it stopped.

A spool is a folder: `run.json` with the settings, `vectors.bin` and `sentences.jsonl`, which grow,
and `journal.jsonl`, whose last whole line says how far they count. What was written after it is cut
off when the spool is opened again.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Callable, Optional

import numpy

__all__ = ["Progress", "Spool", "holds_run"]

RUN, JOURNAL, LOCK = "run.json", "journal.jsonl", "lock"
VECTORS, SENTENCES = "vectors.bin", "sentences.jsonl"
WORDS, OUTPUT = "words.safetensors", "output"
# In the order in which they go once the output is in its place: large ones first, and the journal,
# which says that it is, only when there is no run any more.
FILES = (VECTORS, SENTENCES, WORDS, OUTPUT, RUN, JOURNAL, LOCK)

# How much of a setting an error shows.
MAX_SHOWN = 60


@dataclass(frozen=True)
class Progress:
    """
    How far a run is.

    # Parameters

    records : `int`
        Of the input, read.
    digest : `str`
        Of these records.
    at_end : `bool`
        Whether the input has no more.
    is_packed : `bool`
        Whether the output is whole, and needs only to take its place.
    sentences : `int`
        Embedded.
    failures : `int`
        Sentences that were reported and left out.
    engines : `List`
        See `kernels.products.choices`.
    """

    records: int = 0
    digest: str = ""
    at_end: bool = False
    is_packed: bool = False
    sentences: int = 0
    failures: int = 0
    engines: list = field(default_factory=list)


class Spool:
    """
    The folder of a run, which no other process may open meanwhile.

    A commit is safe against the end of the process at any moment and, as far as the disk keeps what
    it has confirmed, against the end of the machine.

    # Parameters

    folder : `Path`
        It is made where it is missing.
    settings : `Mapping[str, Any]`
        All that decides what is written, as JSON can hold it.
    agrees : `Callable[[str, Any, Any], bool]`
        Says of a setting's name, and its values then and now, whether the run may go on.
    restart : `bool`
        Whether a run with other settings is thrown away.

    # Raises

    `ValueError` where another process has the spool open, or the settings do not agree.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        agrees: Callable[[str, Any, Any], bool],
        restart: bool = False,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / LOCK)
        try:
            before = self._settings()
            differences = [] if before is None else _differences(before, settings, agrees)
            # nothing is lost of a run that has done nothing
            if differences and not restart and self._last_commit()[0].records:
                raise ValueError(
                    f"{folder} holds a run with other settings, which must be the same to go on: "
                    f"{'; '.join(differences)}. --force throws that run away"
                )
            if before is None or differences:
                self._clear()
            # where they agree without being the same, the new ones hold from now on
            self._write_settings(settings)
            self._open()
        except BaseException:
            self._lock.close()
            raise

    @property
    def output(self) -> Path:
        """Where the output is made, before it takes its place."""
        return self.folder / OUTPUT

    def words(self, save: Callable[[Path], None]) -> Path:
        """Returns the file of a vocabulary's vectors, which `save` writes where it is missing."""
        path, temporary = self.folder / WORDS, self.folder / f".{WORDS}"
        if not path.exists():
            save(temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        return path

    def append(self, line: int, text: Optional[str], vectors: numpy.ndarray) -> None:
        """Adds a sentence's vectors, to be committed."""
        self._sentences.write(json.dumps([line, text, vectors.shape]).encode() + b"\n")
        self._vectors.write(vectors.tobytes())

    def commit(self, progress: Progress) -> None:
        """Makes all that was appended, and `progress`, outlast this process."""
        for file in (self._vectors, self._sentences):
            _sync(file)
        sizes = [self._vectors.tell(), self._sentences.tell()]
        self._journal.write(json.dumps({**asdict(progress), "sizes": sizes}).encode() + b"\n")
        _sync(self._journal)
        self.progress = progress

    def entries(self, dtype: numpy.dtype) -> Iterator[tuple[int, Optional[str], numpy.ndarray]]:
        """Yields the line, the text and the vectors of each sentence committed."""
        paths = self.folder / SENTENCES, self.folder / VECTORS
        with open(paths[0], "rb") as sentences, open(paths[1], "rb") as file:
            for sentence in sentences:
                line, text, shape = json.loads(sentence)
                data = file.read(int(numpy.prod(shape, dtype=numpy.int64)) * dtype.itemsize)
                yield line, text, numpy.frombuffer(data, dtype=dtype).reshape(shape)

    def restart(self) -> None:
        """Throws away all that was committed."""
        settings = self._settings()
        assert settings is not None
        self._close_files()
        self._clear()
        self._write_settings(settings)
        self._open()

    def finish(self, destination: Path, progress: Progress) -> None:
        """Puts the output, which is whole, in its place, and ends the run without a trace."""
        if self.output.exists():
            with open(self.output, "rb") as file:
                os.fsync(file.fileno())
            # from here on it is never made again
            self.commit(replace(progress, is_packed=True))
            os.replace(self.output, destination)
            _sync_folder(destination.parent)
        self._close_files()
        for name in FILES:
            (self.folder / name).unlink(missing_ok=True)
        self._lock.close()
        for left in self.folder.glob(".*"):
            left.unlink()
        # files of others stay
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def close(self) -> None:
        """Leaves the run as it is on disk, to be gone on with."""
        self._close_files()
        self._lock.close()

    def _settings(self) -> Optional[dict[str, Any]]:
        path = self.folder / RUN
        return json.loads(path.read_bytes()) if path.exists() else None

    def _write_settings(self, settings: Mapping[str, Any]) -> None:
        temporary = self.folder / f".{RUN}"
        with open(temporary, "wb") as file:
            file.write(json.dumps(settings, indent=1).encode())
            _sync(file)
        os.replace(temporary, self.folder / RUN)
        _sync_folder(self.folder)

    def _clear(self) -> None:
        # without it there is no run
        (self.folder / RUN).unlink(missing_ok=True)
        for name in FILES:
            if name != LOCK:
                (self.folder / name).unlink(missing_ok=True)

    def _open(self) -> None:
        """Opens the files where the last commit left them."""
        for name in (VECTORS, SENTENCES, JOURNAL):
            (self.folder / name).touch()
        _sync_folder(self.folder)
        self.progress, sizes, length = self._last_commit()
        self._vectors: IO[bytes] = _cut(self.folder / VECTORS, sizes[0])
        self._sentences: IO[bytes] = _cut(self.folder / SENTENCES, sizes[1])
        self._journal: IO[bytes] = _cut(self.folder / JOURNAL, length)

    def _last_commit(self) -> tuple[Progress, list[int], int]:
        """Returns the last progress that holds, the sizes that go with it, and the journal's."""
        paths = [self.folder / name for name in (VECTORS, SENTENCES)]
        found = [path.stat().st_size if path.exists() else 0 for path in paths]
        progress, sizes, length = Progress(), [0, 0], 0
        if not (self.folder / JOURNAL).exists():
            return progress, sizes, length
        end = 0
        with open(self.folder / JOURNAL, "rb") as journal:
            for line in journal:
                end += len(line)
                try:
                    values = json.loads(line)
                    line_sizes = values.pop("sizes")
                    line_progress = Progress(**values)
                except (ValueError, TypeError, KeyError, AttributeError):
                    # torn as the machine stopped, as may be what comes after it
                    break
                # of a packed run the large files may be gone
                is_there = all(size <= there for size, there in zip(line_sizes, found))
                if line.endswith(b"\n") and (is_there or line_progress.is_packed):
                    progress, sizes, length = line_progress, line_sizes, end
        return progress, sizes, length

    def _close_files(self) -> None:
        for file in (self._vectors, self._sentences, self._journal):
            file.close()


def holds_run(folder: Path) -> bool:
    """Whether a folder holds a run that is not at its end."""
    return (folder / RUN).exists()


def _locked(path: Path) -> IO[bytes]:
    """Returns a file that is locked until it is closed, or its process ends in any way."""
    # not on Windows
    import fcntl

    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise ValueError(
            f"Another process is at work in {path.parent}: wait for its end"
        ) from error
    return file


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], agrees: Callable[[str, Any, Any], bool]
) -> list[str]:
    return [
        f"{name} was {_brief(before.get(name))}, and is {_brief(now.get(name))}"
        for name in {**before, **now}
        if not agrees(name, before.get(name), now.get(name))
    ]


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _cut(path: Path, size: int) -> IO[bytes]:
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
