"""Our own format and the published one, broken in a way that the number of the case decides."""

import gzip
import json
import os
import random
import struct
from functools import cache
from pathlib import Path

import h5py

from tests.checkpoints.untrusted.bounded import WHOLE
from tests.checkpoints.untrusted.hostile_arrays import break_arrays
from tests.checkpoints.untrusted.hostile_models import native_file, published_files
from tests.checkpoints.untrusted.mutations import broken_bytes, broken_json

__all__ = ["broken_native", "broken_published"]


def broken_native(case: int, folder: Path) -> Path:
    """Writes a `.safetensors` file of ours."""
    generator, data = random.Random(f"native {case}"), native_file()
    path = folder / "model.safetensors"
    if case != WHOLE:
        way = generator.choice((_broken_header, _broken_header, _broken_metadata, broken_bytes))
        data = way(generator, data)
    path.write_bytes(data)
    return path


def _split(data: bytes) -> tuple[dict, bytes]:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _joined(header: bytes, rest: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + rest


def _broken_header(generator: random.Random, data: bytes) -> bytes:
    header, rest = _split(data)
    name = generator.choice([name for name in header if name != "__metadata__"])
    other = generator.choice([name for name in header if name != "__metadata__"])
    entry = header[name]
    way = generator.randrange(9)
    if way == 0:
        entry["dtype"] = generator.choice(
            ["F64", "F16", "BF16", "I8", "I64", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "C64"]
        )
    elif way == 1:
        entry["shape"] = generator.choice(
            ([], [0], [1 << 40], [1 << 62, 4], [-1], entry["shape"][::-1], [*entry["shape"], 1])
        )
    elif way == 2:
        entry["data_offsets"] = header[other]["data_offsets"]
    elif way == 3:
        del header[name]
    elif way == 4:
        header[generator.choice(("more", "softmax.weights", "../x", "\ud800"))] = entry
    elif way == 5:
        place = entry["data_offsets"][0]
        number = generator.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f"))
        rest = rest[:place] + number + rest[place + 4 :]
    elif way == 6:
        # as many bytes, in other numbers or places
        header[name], header[other] = header[other], entry
    elif way == 7:
        return (
            struct.pack("<Q", generator.choice((0, 1 << 20, 99 << 20, 1 << 40, 1 << 63))) + data[8:]
        )
    else:
        return _joined(broken_json(generator, header), rest)
    return _joined(json.dumps(header).encode("utf-8", "surrogatepass"), rest)


def _broken_metadata(generator: random.Random, data: bytes) -> bytes:
    header, rest = _split(data)
    metadata = header["__metadata__"]
    key = generator.choice(("options", "options", "options", "vocabulary"))
    text = broken_json(generator, json.loads(metadata[key])).decode("utf-8", "replace")
    metadata[key] = text.encode("utf-8", "replace").decode()
    return _joined(json.dumps(header).encode(), rest)


def broken_published(case: int, folder: Path) -> Path:
    """Writes a folder of `options.json`, `weights.hdf5` and `vocab.txt`, one of them broken."""
    generator = random.Random(f"published {case}")
    for name, data in published_files().items():
        (folder / name).write_bytes(data)
    if case == WHOLE:
        return folder
    weights = folder / "weights.hdf5"
    if generator.random() < 0.2:
        _in_newest_form(weights)
    way = generator.choice(
        (*[_broken_weights] * 4, *[_hostile_arrays] * 4, _broken_options, _broken_words)
    )
    way(generator, folder)
    return generator.choice((folder, folder, weights if weights.is_file() else folder))


def _in_newest_form(weights: Path) -> None:
    newer = weights.with_name("newer")
    with h5py.File(weights, "r") as source, h5py.File(newer, "w", libver="latest") as target:
        for name in source:
            source.copy(name, target)
    newer.replace(weights)


def _broken_weights(generator: random.Random, folder: Path) -> None:
    path = folder / "weights.hdf5"
    path.write_bytes(broken_bytes(generator, path.read_bytes()))


def _hostile_arrays(generator: random.Random, folder: Path) -> None:
    break_arrays(generator, folder / "weights.hdf5")
    if generator.random() < 0.2:
        _broken_weights(generator, folder)


def _broken_options(generator: random.Random, folder: Path) -> None:
    path = folder / "options.json"
    path.write_bytes(broken_json(generator, json.loads(path.read_text())))


def _broken_words(generator: random.Random, folder: Path) -> None:
    path = folder / "vocab.txt"
    data, packed = path.read_bytes(), folder / "vocab.txt.gz"
    way = generator.randrange(9)
    if way == 0:
        path.write_bytes(broken_bytes(generator, data))
    elif way == 1:
        path.write_bytes(
            data + generator.choice((b"\xff\xfe\n", b"\n" * 100_000, b"\0", b"x" * 10**6))
        )
    elif way == 2:
        path.unlink()
        packed.write_bytes(broken_bytes(generator, gzip.compress(data)))
    elif way == 3:
        path.unlink()
        packed.write_bytes(_bomb(generator.choice((b"\n", b"a\n", b"aa\n", b"\0", b"word "))))
    elif way == 4:
        path.unlink()
        path.mkdir()
    elif way == 5:
        path.unlink()
        path.symlink_to(generator.choice(("/dev/zero", "/dev/null", "vocab.txt", "/nowhere")))
    elif way == 6:
        path.unlink()
        os.mkfifo(path)
    elif way == 7:
        path.unlink()
        (folder / "a-vocab.txt").write_bytes(data)
        (folder / "b-vocab.txt").write_bytes(data)
    else:
        path.write_bytes(b"")


@cache
def _bomb(part: bytes) -> bytes:
    return gzip.compress(part * (100_000_000 // len(part)), compresslevel=1)
