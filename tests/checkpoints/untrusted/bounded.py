"""Runs readers on hostile files in child processes that cannot take more than their bounds."""

import faulthandler
import gc
import json
import os
import resource
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import NamedTuple, Optional

import torch

from elmo_components.checkpoints import CheckpointError, load
from elmo_components.elmo import Elmo

# What an error may take: a gigabyte, and a second of this process, however busy the machine is.
MEMORY = 1 << 30
SECONDS = 1.0
# When a case is ended from without.
CPU_LIMIT, WALL_LIMIT = 10, 120

# What no reader has a reason to do.
FORBIDDEN = [
    "exec",
    "pickle.find_class",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "socket.connect",
    "subprocess.Popen",
    "ctypes.dlopen",
]

STANDARD_LIBRARY = sysconfig.get_path("stdlib")

# The number of the case in which nothing is broken.
WHOLE = -1
# Writes a case of a number into a folder, and returns what is to be read.
Maker = Callable[[int, Path], Path]


class Outcome(NamedTuple):
    """
    How a case ended.

    # Parameters

    case : `int`
        Its number.
    failure : `str`
        What was wrong about it; "" where nothing was.
    message : `str`
        That of the `CheckpointError`; "" where it was read.
    seconds : `float`
        How long the process computed.
    memory : `int`
        How many bytes it took at most, beyond what it had.
    """

    case: int
    failure: str
    message: str
    seconds: float
    memory: int


def run(make: Maker, cases: Sequence[int], folder: Path) -> list[Outcome]:
    """Returns how each case ends, each in a folder of its own that is removed after it."""
    outcomes: list[Outcome] = []
    folder.mkdir(exist_ok=True)
    while len(outcomes) < len(cases):
        found, status = _in_child(make, cases[len(outcomes) :], folder)
        outcomes += found
        if len(outcomes) < len(cases):
            # it died, and the next child goes on after the case that it died of
            how = f"the process died: status {status}, signal {status & 127}"
            outcomes.append(Outcome(cases[len(outcomes)], how, "", 0.0, 0))
    return outcomes


def _in_child(make: Maker, cases: Sequence[int], folder: Path) -> tuple[list[Outcome], int]:
    readable, writable = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        try:
            os.close(readable)
            # what readers import late is imported by then
            _outcome(make, WHOLE, folder / "whole")
            shutil.rmtree(folder / "whole", ignore_errors=True)
            _bind()
            with os.fdopen(writable, "w") as results:
                for case in cases:
                    place = folder / str(case)
                    results.write(json.dumps(_outcome(make, case, place)) + "\n")
                    results.flush()
                    shutil.rmtree(place, ignore_errors=True)
        # whatever is wrong with the test itself is shown, and ends the child
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            # nothing of pytest's runs here
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as results:
        found = [Outcome(*json.loads(line)) for line in results if line.endswith("\n")]
    _, status = os.waitpid(child, 0)
    return found, status


def _bind() -> None:
    torch.set_num_threads(1)
    # what was there before would be gone through after each case
    gc.freeze()
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    # of addresses, so that asking for more is an error at once and takes none of it; half as much
    # again, as some are reserved and never used
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY * 3 // 2,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(kind, signal.SIG_DFL)
    # a crash is an outcome here, and pytest would show where it was
    faulthandler.disable()
    sys.addaudithook(_watch)


_WATCHED: dict[str, object] = {"folder": None, "seen": ""}


def _watch(event: str, arguments: tuple) -> None:
    folder = _WATCHED["folder"]
    if folder is None:
        return
    if event in FORBIDDEN and not (event == "exec" and _is_harmless(arguments[0])):
        _WATCHED["seen"] = f"it did {event} {arguments!r:.80}"
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path, flags = os.path.abspath(os.fsdecode(arguments[0])), arguments[2]
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if writes and not path.startswith(f"{folder}{os.sep}"):
            _WATCHED["seen"] = f"it wrote to {path}"


def _is_harmless(code: object) -> bool:
    if not isinstance(code, CodeType) or code.co_name != "<module>":
        return False
    # Python's own modules, which it imports late; and the name of torch, which torch 1.12 looks up
    # by `eval` as it maps a file
    return code.co_filename.startswith(STANDARD_LIBRARY) or (
        code.co_names == ("torch",) and not any(code.co_consts)
    )


def _outcome(make: Maker, case: int, place: Path) -> Outcome:
    files, temporary = place / "files", place / "temporary"
    files.mkdir(parents=True)
    temporary.mkdir()
    tempfile.tempdir = str(temporary)
    path = make(case, files)
    before = _listing(place)
    gc.collect()
    _forget_peak()
    start_memory = _peak()
    _WATCHED.update(folder=str(place), seen="")
    signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT)
    signal.setitimer(signal.ITIMER_REAL, WALL_LIMIT)
    start = time.process_time()
    failure, message = _attempt(path)
    seconds = time.process_time() - start
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _WATCHED["folder"] = None
    memory = _peak() - start_memory
    if not failure and _WATCHED["seen"]:
        failure = str(_WATCHED["seen"])
    if not failure and _listing(place) != before:
        failure = "it left or changed files"
    # first, since to take so much takes its time
    if not failure and memory > MEMORY:
        failure = f"it took {memory:,} bytes"
    if not failure and seconds > SECONDS:
        failure = f"it took {seconds:.1f} s"
    return Outcome(case, failure, message, seconds, memory)


def _attempt(path: Path) -> tuple[str, str]:
    """Returns what is wrong about an attempt to read `path`, and the message of its error."""
    error = _error_of(path)
    if error is None:
        return "", ""
    if not isinstance(error, CheckpointError):
        return f"it raised {type(error).__name__}: {error!s:.300}", ""
    message = str(error)
    link: Optional[BaseException] = error
    while link is not None:
        if isinstance(link, MemoryError):
            return "it asked for more memory than there may be", message
        link = link.__cause__ or link.__context__
    # what is wrong may stand beside it
    if str(path if path.is_dir() else path.parent) not in message:
        return f"its error does not name the file: {message:.300}", message
    if len(message) > 100_000 or not message.replace("\n", "").isprintable():
        return f"its error cannot be read: {message!r:.300}", message
    return "", message


def _error_of(path: Path) -> Optional[BaseException]:
    # any other than a CheckpointError is a failure, and none may end the child
    try:
        load(path, softmax=True)
        Elmo.from_pretrained(path)
    except Exception as error:  # noqa: BLE001
        return error
    return None


def _listing(place: Path) -> list[tuple[str, int]]:
    return sorted(
        (str(path), path.lstat().st_size) for path in place.rglob("*") if not path.is_dir()
    )


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10
