"""Does the work of one partition: its output appears whole, or an error says what is wrong."""

import hashlib
import os
import resource
import socket
import sys
import time
from dataclasses import dataclass
from typing import Optional
from uuid import uuid4

from elmo_components.checkpoints.disk import is_disk_full
from elmo_components.corpora.partitions import Partition, Reading
from elmo_components.corpora.places import Place
from elmo_components.corpora.work import Work
from elmo_components.embedding.intake import Intake
from elmo_components.embedding.settings import EmbedSettings
from elmo_components.embedding.writers import PARQUET

__all__ = ["TEMPORARY", "PartitionJob", "Result"]

# The folder within the output's of what is not finished.
TEMPORARY = "_temporary"
# The end of the names of the files that workers leave there when they die.
STARTED = ".started"
# A partition that kills so many workers and one more has failed.
MAX_DEATHS = 3
# The most sentences of a partition that are reported one by one.
MAX_MESSAGES = 20


@dataclass(frozen=True)
class Result:
    """
    What became of a partition.

    # Parameters

    output : `str`
        The partition's output.
    sentences, left_out
        The numbers of sentences written, and of those that cannot be read and are left out.
    messages : `tuple[str, ...]`
        Why these are left out, of the first ones.
    size : `int`
        The output's size in bytes.
    seconds : `float`
        The time from start to end.
    worker : `str`
        The machine and the process.
    peak_memory : `int`
        The most memory that the process has had so far, in bytes.
    deaths : `int`
        How many workers have died with this partition.
    error : `str`
        Why there is no output; empty where there is one.
    is_disk_full : `bool`
        Whether the error is that the disk is full.
    """

    output: str
    sentences: int = 0
    left_out: int = 0
    messages: tuple[str, ...] = ()
    size: int = 0
    seconds: float = 0.0
    worker: str = ""
    peak_memory: int = 0
    deaths: int = 0
    error: str = ""
    is_disk_full: bool = False

    def __str__(self) -> str:
        where = f"worker {self.worker}, peak memory {self.peak_memory / 1e6:,.0f} MB"
        workers = "1 worker" if self.deaths == 1 else f"{self.deaths} workers"
        again = f"; done again after the death of {workers}" if self.deaths else ""
        if self.error:
            return f"FAILED {self.output}: {self.error}; {where}{again}"
        left_out = f", {self.left_out:,} left out" if self.left_out else ""
        return (
            f"{self.output}: {self.sentences:,} sentences{left_out}, {self.size / 1e6:,.1f} MB in "
            f"{self.seconds:,.1f} s; {where}{again}"
        )


@dataclass(frozen=True)
class PartitionJob:
    """
    What is the same for all partitions of a job.

    # Parameters

    folder : `Place`
        The folder of the outputs.
    reading : `Reading`
        How sentences are read.
    settings : `EmbedSettings`
        Which sentences are errors.
    """

    folder: Place
    reading: Reading
    settings: EmbedSettings

    def run(self, partition: Partition, work: Work) -> Result:
        """Writes a partition's output, and returns what became of it; errors of data included."""
        from pyarrow import ArrowException

        start = time.monotonic()
        attempts = self.folder.joined(TEMPORARY, _digest(partition.output))
        messages: list[str] = []

        def report(message: str) -> None:
            if len(messages) < MAX_MESSAGES:
                messages.append(message)

        source = self.reading.of(partition.source.path)
        intake = Intake(source, self.settings, PARQUET, 0, report)
        sentences = size = deaths = 0
        disk_full = False
        failure: Optional[str] = None
        try:
            deaths = sum(1 for file, _ in attempts.files() if file.path.endswith(STARTED))
            if deaths > MAX_DEATHS:
                raise ValueError(
                    f"{partition.source}: {deaths} workers died with it, perhaps of too much "
                    "memory. Divide it, or give workers more memory"
                )
            attempts.system.create_dir(attempts.path, recursive=True)
            # the name says who was at work, should its process be killed
            name = f"{_worker()}-{uuid4().hex[:8]}"
            attempts.joined(f"{name}{STARTED}").write(b"")
            temporary = attempts.joined(f"{name}.parquet")
            with temporary.system.open_output_stream(temporary.path, compression=None) as sink:
                records = partition.records(self.reading)
                sentences = work.write(records, intake, sink, number=partition.first_record)
            size = _commit(temporary, self.folder.joined(*partition.output.split("/")))
        except (ValueError, OSError, ArrowException) as error:
            disk_full = is_disk_full(error)
            failure = " ".join(str(error).split()) or type(error).__name__
        finally:
            _remove(attempts)
        return Result(
            partition.output,
            0 if failure else sentences,
            intake.failures,
            tuple(messages),
            size,
            time.monotonic() - start,
            _worker(),
            _peak_memory(),
            deaths,
            failure or "",
            disk_full,
        )


def _commit(temporary: Place, target: Place) -> int:
    """Moves a finished file to where it belongs, and returns its size."""
    size = temporary.system.get_file_info(temporary.path).size
    if temporary.is_local:
        # a power cut must leave no empty file under a finished one's name
        with open(temporary.path, "rb+") as file:
            os.fsync(file.fileno())
    temporary.system.create_dir(target.path.rpartition("/")[0], recursive=True)
    temporary.system.move(temporary.path, target.path)
    return size


def _remove(folder: Place) -> None:
    try:
        folder.remove()
    except OSError:
        # the next start, or the end of the job, removes it
        return


def _digest(output: str) -> str:
    # an output may have folders, and a name of any length
    return hashlib.sha256(output.encode()).hexdigest()[:16]


def _worker() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _peak_memory() -> int:
    """Returns the process's largest resident size so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB
    return peak if sys.platform == "darwin" else peak * 1024
