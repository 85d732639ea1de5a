"""Archives, zips and pickles, broken in a way that the number of the case decides."""

import gzip
import io
import json
import pickle
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Optional

from tests.checkpoints.untrusted.bounded import WHOLE
from tests.checkpoints.untrusted.hostile_models import (
    archive_members,
    many_langs_files,
    packed,
    published_files,
)
from tests.checkpoints.untrusted.mutations import broken_bytes, broken_json

__all__ = ["broken_archive", "broken_many_langs", "broken_zip"]


class _Evil:
    """What would run a command if it were unpickled by Python's own rules."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable, tuple]:
        return self.function, self.arguments


def _evil_pickles() -> list[bytes]:
    import builtins
    import os
    import subprocess

    calls = [
        _Evil(os.system, "true"),
        _Evil(subprocess.call, ["true"]),
        _Evil(builtins.eval, "__import__('os').system('true')"),
        _Evil(builtins.exec, "import os"),
        _Evil(builtins.open, "written", "w"),
        {"char_emb_layer.embedding.weight": _Evil(os.getcwd)},
    ]
    return [pickle.dumps(call, protocol) for call in calls for protocol in (0, 2, 4)]


# Programs of a pickle that no encoder writes.
PROGRAMS = [
    *_evil_pickles(),
    # lists in lists, tuples of twice the last one: a thousand million million of them
    b"]" * 100_000 + b"a" * 99_999 + b".",
    b"\x80\x02" + b"(" * 200_000 + b"t" * 200_000 + b".",
    b"\x80\x02)" + b"\x86".join([b"q\0h\0"] * 60) + b"\x86.",
    b"\x80\x02}" + b"q\0h\0s" * 1000 + b".",
    b"\x80\x02}q\0(h\0h\0u.",
    b"\x80\x02]q\0h\0a.",
    # lengths that are not there
    *(b"\x80\x04" + code + b"\xff" * 8 + b"." for code in (b"\x8d", b"\x8e", b"\x96", b"\x95")),
    *(
        b"\x80\x02" + code + b"\xff\xff\xff\x7f" + b"."
        for code in (b"X", b"T", b"B", b"\x8b", b"r")
    ),
    b"I" + b"9" * 100_000 + b"\n.",
    b"L" + b"9" * 100_000 + b"L\n.",
    b"F1e400\n.",
    b"V\\ud800\n.",
    b"S'\\x00\n.",
    b"cos\nsystem\n(S'true'\ntR.",
    b"(ios\nsystem\n.",
    b"(cos\nsystem\nS'true'\no.",
    b"cbuiltins\ngetattr\n.",
    b"\x80\x02\x82\x01.",
    b"Pname\n.",
    b"\x80\x02U\x04nameQ.",
    b"0.",
    b".",
    b"",
    b"g5\n.",
    b"(((.",
    b"}}.",
    b"\x80\xff.",
]

# What tars can hold beside files.
KINDS = (
    *(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE),
    *(tarfile.DIRTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, b"9"),
)
NAMES = (
    *("../escaped", "/escaped", "vocabulary/../../escaped", "a/../weights.th", ".", "", "\udcff"),
    *("weights.th", "./weights.th", "config.json", "vocabulary", "x" * 300, "C:\\escaped", "a\nb"),
)


def broken_archive(case: int, folder: Path) -> Path:
    """Writes an AllenNLP archive, or the folder of a training."""
    generator = random.Random(f"archive {case}")
    members = archive_members(legacy=generator.random() < 0.5)
    path = folder / "model.tar.gz"
    if case == WHOLE:
        path.write_bytes(packed(members))
        return path
    if generator.random() < 0.6:
        members = _with_broken_member(generator, members)
        if generator.random() < 0.5:
            for name, data in members.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_bytes(data)
            return folder
        path.write_bytes(packed(members))
        return path
    way = generator.choice((_broken_tar, _broken_tar, _broken_header, _broken_gzip))
    path.write_bytes(way(generator, members))
    return path


def _with_broken_member(generator: random.Random, members: dict[str, bytes]) -> dict[str, bytes]:
    name = generator.choice(("config.json", *["weights.th"] * 4))
    data = members[name]
    if name.endswith(".json"):
        return {**members, name: broken_json(generator, json.loads(data))}
    return {**members, name: _broken_weights(generator, data)}


def _broken_weights(generator: random.Random, data: bytes) -> bytes:
    way = generator.random()
    if way < 0.2:
        return broken_bytes(generator, data)
    program = generator.choice(PROGRAMS) if way < 0.5 else None
    if not data.startswith(b"PK"):
        # the state dict's pickle comes after three short ones, and before its storages' keys
        ends = [place for place in range(len(data)) if data[place : place + 2] == b".\x80"]
        start, end = ends[2] + 1, ends[3] + 1
        part = data[start:end] if program is None else program
        return data[:start] + broken_bytes(generator, part) + data[end:]
    return _rezipped(
        data,
        lambda name, contents: (
            contents
            if not name.endswith("data.pkl")
            else broken_bytes(generator, contents)
            if program is None
            else program
        ),
    )


def _rezipped(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """Returns a zip with changed members and whole sums."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as archive:
        for member in source.infolist():
            archive.writestr(member, change(member.filename, source.read(member)))
    return target.getvalue()


def _broken_tar(generator: random.Random, members: dict[str, bytes]) -> bytes:
    entries = []
    for name, data in members.items():
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        entries.append((entry, data))
    for _ in range(generator.choice((1, 1, 2))):
        more = tarfile.TarInfo(generator.choice(NAMES))
        more.type = generator.choice((tarfile.REGTYPE, tarfile.REGTYPE, *KINDS))
        more.linkname = generator.choice(("/etc/passwd", "../..", "weights.th", "vocabulary", ""))
        contents = b"x" * generator.choice((0, 10, 5000)) if more.isreg() else b""
        more.size = len(contents)
        if generator.random() < 0.3:
            more.pax_headers = generator.choice(
                (
                    {"size": "99999999999999"},
                    {"size": "-1"},
                    {"path": "../../escaped"},
                    {"GNU.sparse.size": "1000000000000", "GNU.sparse.map": "0,1"},
                    {"linkpath": "/etc"},
                    {"mtime": "nan", "uid": "x"},
                )
            )
        entries.insert(generator.randrange(len(entries) + 1), (more, contents))
    if generator.random() < 0.1:
        entries += [(tarfile.TarInfo(f"vocabulary/{number}.txt"), b"") for number in range(5000)]
    data = io.BytesIO()
    with tarfile.open(
        fileobj=data,
        mode="w",
        format=tarfile.PAX_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
    ) as archive:
        for entry, contents in entries:
            archive.addfile(entry, io.BytesIO(contents))
    return gzip.compress(data.getvalue())


def _broken_header(generator: random.Random, members: dict[str, bytes]) -> bytes:
    data = bytearray(gzip.decompress(packed(members)))
    headers = [place for place in range(0, len(data), 512) if data[place + 257 :][:5] == b"ustar"]
    start = generator.choice(headers)
    header = bytearray(broken_bytes(generator, bytes(data[start : start + 512])).ljust(512, b"\0"))
    size = generator.choice((None, b"77777777777\0", b"\x80" + b"\xff" * 11, b"-0000000001\0"))
    if size is not None:
        header[124:136] = size
    # a whole sum, so that the rest is looked at
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    data[start : start + 512] = header[:512]
    return gzip.compress(bytes(data))


def _broken_gzip(generator: random.Random, members: dict[str, bytes]) -> bytes:
    data = packed(members)
    way = generator.randrange(4)
    if way == 0:
        return broken_bytes(generator, data)
    if way == 1:
        return data + generator.choice((b"x" * 50, gzip.compress(b"more"), data))
    name = None if way == 2 else "weights.th"
    return _tar_bomb(tuple(members.items()), name, generator.choice((90_000_000, 10_000_000)))


@cache
def _tar_bomb(members: tuple[tuple[str, bytes], ...], name: Optional[str], size: int) -> bytes:
    if name is None:
        # zeros end a tar, and there is no end to them
        data = gzip.decompress(packed(dict(members))) + bytes(size)
    else:
        entry = tarfile.TarInfo(name)
        entry.size = size
        data = entry.tobuf() + bytes(size)
    return gzip.compress(data, compresslevel=1)


def broken_many_langs(case: int, folder: Path) -> Path:
    """Writes a folder or a zip of ELMoForManyLangs."""
    generator = random.Random(f"many_langs {case}")
    files = dict(many_langs_files())
    if case != WHOLE and generator.random() < 0.75:
        name = generator.choice([*files, "encoder.pkl", "token_embedder.pkl"])
        if name.endswith(".json"):
            files[name] = broken_json(generator, json.loads(files[name]))
        elif name.endswith(".dic"):
            files[name] = _broken_dictionary(generator, files[name])
        else:
            files[name] = _broken_weights(generator, files[name])
        if generator.random() < 0.6:
            for name, data in files.items():
                (folder / name).write_bytes(data)
            return folder
        way: Callable[[random.Random, dict[str, bytes]], bytes] = _zipped
    else:
        way = _zipped if case == WHOLE else _hostile_zip
    path = folder / "model.zip"
    path.write_bytes(way(generator, files))
    return path


def _broken_dictionary(generator: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    way = generator.randrange(7)
    place = generator.randrange(len(lines))
    if way == 0:
        return broken_bytes(generator, data)
    if way == 1:
        lines[place] = generator.choice((b"", b"\t", b"a\t-1", b"a\t1\t2", b"a\t1e3", b"\xff\t1"))
    elif way == 2:
        lines[place] = b"a\t" + b"9" * generator.choice((9, 20, 100_000))
    elif way == 3:
        lines.insert(place, lines[place])
    elif way == 4:
        del lines[place]
    elif way == 5:
        lines[place] = "a\t\u0663".encode()
    else:
        lines += [b"%d\t%d" % (number, number + len(lines)) for number in range(200_000)]
    return b"\n".join(lines)


def broken_zip(case: int, folder: Path) -> Path:
    """Writes a zip of the published format, as NLPL has them."""
    generator = random.Random(f"zip {case}")
    files = dict(published_files())
    files["model.hdf5"] = files.pop("weights.hdf5")
    path = folder / "model.zip"
    path.write_bytes((_zipped if case == WHOLE else _hostile_zip)(generator, files))
    return path


@cache
def _zip_bomb(files: tuple[tuple[str, bytes], ...], name: str, letter: bytes) -> bytes:
    # forty million bytes in forty thousand
    return _zipped(random.Random(), {**dict(files), name: letter * 40_000_000})


@cache
def _crowded_zip(files: tuple[tuple[str, bytes], ...]) -> bytes:
    crowd = {f"more {number}": b"" for number in range(20_000)}
    return _zipped(random.Random(), {**crowd, **dict(files)})


def _zipped(generator: random.Random, files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return data.getvalue()


def _hostile_zip(generator: random.Random, files: dict[str, bytes]) -> bytes:
    name = generator.choice(list(files))
    way = generator.randrange(8)
    if way == 0:
        return broken_bytes(generator, _zipped(generator, files))
    if way == 1:
        escaping = generator.choice(("../escaped", "/escaped", "a/../../escaped", "..\\escaped"))
        return _zipped(generator, {**files, escaping: b"x"})
    if way == 2:
        return _zip_bomb(tuple(files.items()), name, generator.choice((b"\0", b"[")))
    if way == 3:
        return _crowded_zip(tuple(files.items()))
    if way == 4:
        data = bytearray(_zipped(generator, files))
        place = data.rindex(b"PK\x01\x02")
        # flags, method, sums, sizes, places: of the last member in the directory
        field = generator.choice((8, 10, 16, 20, 24, 28, 42))
        data[place + field : place + field + 2] = generator.choice(
            (b"\xff\xff", b"\1\0", b"\x0e\0")
        )
        return bytes(data)
    if way == 5:
        data = bytearray(_zipped(generator, files))
        place = data.rindex(b"PK\x05\x06")
        value = generator.choice((0, 0xFFFFFFFF, 1 << 20, len(data)))
        offset = generator.choice((12, 16))
        data[place + offset : place + offset + 4] = struct.pack("<I", value)
        return bytes(data)
    if way == 6:
        return _zipped(generator, {key: data for key, data in files.items() if key != name})
    method = generator.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for key, contents in files.items():
            archive.writestr(key, contents)
            if key == name and generator.random() < 0.5:
                archive.writestr(key + "/" if generator.random() < 0.5 else key.upper(), contents)
    return data.getvalue()
