"""
Tests that no broken file does more than raise a `CheckpointError`.

`ELMO_HOSTILE_CASES=5000 pytest tests/checkpoints/untrusted/hostile_test.py` runs so many cases of
each format.
"""

import faulthandler
import io
import json
import os
import random
import resource
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from elmo_components.checkpoints import CheckpointError, load
from tests.checkpoints.untrusted.hostile_models import (
    archive_members,
    many_langs_files,
    native_file,
    packed,
    published_files,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork and limits of memory")

CASES = int(os.environ.get("ELMO_HOSTILE_CASES", "60"))
MEMORY = 1 << 30
FORBIDDEN = (
    *("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"),
    *("pickle.find_class", "socket.connect"),
)
EDGES = (0, 1, 7, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)
JSON = ("null", "-1", "1e400", "[]", "{}", '"\\ud800"', "9" * 400, "1000000000000", "[" * 10**5)

Files = dict[str, bytes]


def broken(generator: random.Random, data: bytes) -> bytes:
    """Returns data with one to four changes: bits, numbers, a part removed, doubled or added."""
    for _ in range(generator.choice((1, 1, 2, 4))):
        # headers come first
        place = generator.randrange(max(1, generator.choice((len(data), min(600, len(data))))))
        size = generator.choice((1, 2, 4, 8))
        number = generator.choice((*EDGES, len(data), generator.getrandbits(64)))
        part = data[place : place + generator.randrange(1, 300)]
        data = generator.choice(
            (
                data[:place] + bytes([generator.randrange(256)]) + data[place + 1 :],
                data[:place]
                + (number % (1 << 8 * size)).to_bytes(size, "little")
                + data[place + size :],
                data[:place],
                data[:place] + data[place + len(part) :],
                data[:place] + part + data[place:],
                data + part,
            )
        )
    return data


def broken_json(generator: random.Random, data: bytes) -> bytes:
    """Returns JSON with one value changed, or broken bytes."""
    text = json.dumps(json.loads(data), indent=0)
    lines = text.split("\n")
    place = generator.randrange(len(lines))
    key, colon, value = lines[place].rpartition(": ")
    comma = "," * value.endswith(",")
    lines[place] = key + colon + generator.choice(JSON) + comma
    return generator.choice(("\n".join(lines).encode(), broken(generator, data)))


def with_broken_file(generator: random.Random, files: Files) -> Files:
    name = generator.choice([*files])
    change = broken_json if name.endswith(".json") else broken
    return {**files, name: change(generator, files[name])}


def zipped(files: Files) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return data.getvalue()


def made(
    generator: random.Random, files: Files, folder: Path, name: str, pack: Callable[[Files], bytes]
) -> Path:
    """Writes a broken file into a folder or into an archive, or breaks the archive itself."""
    way = generator.randrange(3)
    if way == 0:
        (folder / name).write_bytes(broken(generator, pack(files)))
        return folder / name
    files = with_broken_file(generator, files)
    if way == 1:
        (folder / name).write_bytes(pack(files))
        return folder / name
    for member, data in files.items():
        (folder / member).parent.mkdir(exist_ok=True)
        (folder / member).write_bytes(data)
    return folder


def native(generator: random.Random, folder: Path) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(broken(generator, native_file()))
    return path


FORMATS: dict[str, Callable[[random.Random, Path], Path]] = {
    "native": native,
    "published": lambda generator, folder: made(
        generator, published_files(), folder, "model.zip", zipped
    ),
    "many_langs": lambda generator, folder: made(
        generator, many_langs_files(), folder, "model.zip", zipped
    ),
    "archive": lambda generator, folder: made(
        generator,
        archive_members(legacy=generator.random() < 0.5),
        folder,
        "model.tar.gz",
        packed,
    ),
}


def watch(folder: Path) -> list[str]:
    """Returns a list in which the forbidden things that this process does will be noted."""
    seen: list[str] = []

    def hook(event: str, arguments: tuple) -> None:
        if event in FORBIDDEN:
            seen.append(f"{event} {arguments!r:.80}")
        elif event == "open" and isinstance(arguments[0], str) and isinstance(arguments[2], int):
            writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not os.path.abspath(arguments[0]).startswith(str(folder)):
                seen.append(f"wrote {arguments[0]}")

    sys.addaudithook(hook)
    return seen


def run(make: Callable[[random.Random, Path], Path], name: str, folder: Path) -> None:
    """Runs all cases in this process, which ends here with the status 0 if none did harm."""
    faulthandler.disable()
    torch.set_num_threads(1)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY,) * 2)
    tempfile.tempdir = str(folder)
    seen, refused = watch(folder), 0
    for case in range(CASES):
        place = folder / str(case)
        place.mkdir()
        path = make(random.Random(f"{name} {case}"), place)
        print(f"case {case}", end=": ", file=sys.stderr, flush=True)
        try:
            load(path, softmax=True)
        except CheckpointError as error:
            refused += 1
            assert str(place) in str(error) and len(str(error)) < 100_000, error
            cause = error.__cause__ or error.__context__
            assert not isinstance(cause, MemoryError), error
        assert not seen, seen
        assert {entry.name for entry in folder.iterdir()} == {str(n) for n in range(case + 1)}
    # what breaks nothing shows nothing
    assert refused > CASES / 4, refused


@pytest.mark.parametrize("name", FORMATS)
def test_a_broken_file_is_read_or_refused_and_does_no_harm(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    child = os.fork()
    if child == 0:
        try:
            run(FORMATS[name], name, tmp_path)
            os._exit(0)
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0, capfd.readouterr().err[-2000:]
