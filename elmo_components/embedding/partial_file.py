"""The SQLite file of an unfinished run. Committed vectors survive a kill at any moment."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy

from elmo_components.alphabet import shown

__all__ = ["MAX_BYTES", "PartialFile", "Progress", "open_partial"]

# SQLite's default limit for a row is 10^9 bytes.
MAX_BYTES = 950_000_000


@dataclass(frozen=True)
class Progress:
    """The progress of a run."""

    # the number of records that were read, and their digest
    records: int = 0
    digest: str = ""
    # whether the input has no more records, and whether the output only has to be renamed
    at_end: bool = False
    is_packed: bool = False
    # the number of sentences that were reported and left out
    failures: int = 0


class PartialFile:
    """The settings, the progress and the vectors of a run. `open_partial` returns one."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        settings: Mapping[str, Any],
        *,
        agrees: Callable[[str, Any, Any], bool],
        restart: bool,
    ) -> None:
        self.path = path
        self.progress = Progress()
        self._connection = connection
        # fails at once where another process has the file open
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("CREATE TABLE IF NOT EXISTS run (settings TEXT, progress TEXT)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS sentences (line INTEGER, text TEXT, vectors BLOB)"
        )
        now = before = json.loads(json.dumps(settings))
        for old_settings, progress in connection.execute("SELECT settings, progress FROM run"):
            before, self.progress = json.loads(old_settings), Progress(**json.loads(progress))
        differences = [
            f"{name} was {shown(before.get(name))} and is {shown(now.get(name))}"
            for name in {**before, **now}
            if not agrees(name, before.get(name), now.get(name))
        ]
        # without records there is nothing to lose
        if differences and self.progress.records and not restart:
            raise ValueError(
                f"{path} is an unfinished run with other settings: {'; '.join(differences)}. Use "
                "the same settings to resume it, or --force to start again"
            )
        connection.execute("DELETE FROM run")
        connection.execute("INSERT INTO run VALUES (?, '')", (json.dumps(now),))
        if differences:
            self.restart()
        else:
            self.commit(self.progress)

    def append(self, line: int, text: Optional[str], vectors: numpy.ndarray) -> None:
        """Adds a sentence's vectors to the part that is committed next."""
        self._connection.execute(
            "INSERT INTO sentences VALUES (?, ?, ?)", (line, text, vectors.tobytes())
        )

    def commit(self, progress: Progress) -> None:
        """Stores the appended vectors and `progress` permanently."""
        self._connection.execute("UPDATE run SET progress = ?", (json.dumps(asdict(progress)),))
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN EXCLUSIVE")
        self.progress = progress

    def sentences(self) -> Iterator[tuple[int, Optional[str], bytes]]:
        """Returns the line, the text and the vectors of each sentence in order."""
        return self._connection.execute("SELECT line, text, vectors FROM sentences ORDER BY rowid")

    def restart(self) -> None:
        """Deletes all sentences and the progress."""
        self._connection.execute("DELETE FROM sentences")
        self.commit(Progress())

    def remove(self) -> None:
        """Closes and deletes the file."""
        self._connection.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def open_partial(
    path: Path,
    settings: Mapping[str, Any],
    *,
    agrees: Callable[[str, Any, Any], bool],
    restart: bool = False,
) -> Iterator[PartialFile]:
    """
    Opens or creates the file of an unfinished run; no other process can open it meanwhile.

    # Parameters

    settings : `Mapping[str, Any]`
        All settings that change the output, as JSON.
    agrees : `Callable[[str, Any, Any], bool]`
        Returns whether a run can resume, given a setting's name, its old and its new value.
    restart : `bool`
        Whether a run with other settings is deleted.

    # Raises

    `ValueError` if another process uses the file or the settings differ, and `OSError` if the file
    cannot be read or written.
    """
    try:
        # no isolation level, so that no transaction is implicit
        with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            # blobs are larger than the default page of 4 kB
            connection.execute("PRAGMA page_size = 32768")
            yield PartialFile(path, connection, settings, agrees=agrees, restart=restart)
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise ValueError(f"Another process is writing {path}. Wait for its end") from error
        raise OSError(
            f"{path}: {error}. Free disk space or check the file; the same command resumes"
        ) from error
