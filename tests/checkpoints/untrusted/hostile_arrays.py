"""What HDF5 allows and no weights have: links, filters, other types, shapes and places."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy

__all__ = ["break_arrays"]

CELL = "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell"


def break_arrays(generator: random.Random, path: Path) -> None:
    """Changes one of the arrays in the file at `path`, or adds others, as HDF5 allows it."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(
            lambda name: names.append(name) if isinstance(file[name], h5py.Dataset) else None
        )
        name = generator.choice(names)
        generator.choice(ARRAY_CHANGES)(generator, file, name)


def _replaced(file: h5py.File, name: str, **settings: object) -> h5py.Dataset:
    del file[name]
    return file.create_dataset(name, **settings)


def _other_type(generator: random.Random, file: h5py.File, name: str) -> None:
    array = file[name][...]
    kinds = (
        *("f2", "f8", ">f4", "i4", "u1", "S3", "bool", "c8"),
        *([("a", "f4"), ("b", "i4")], h5py.string_dtype(), h5py.vlen_dtype("f4"), h5py.ref_dtype),
        *(h5py.opaque_dtype(numpy.dtype("M8[s]")), h5py.enum_dtype({"a": 1}), numpy.longdouble),
    )
    kind = generator.choice(kinds)
    target = _replaced(file, name, shape=array.shape, dtype=kind)
    if kind in ("f2", "f8", ">f4"):
        target[...] = array * generator.choice((1.0, 1e300 if kind == "f8" else 1.0))


def _other_shape(generator: random.Random, file: h5py.File, name: str) -> None:
    shape = file[name].shape
    huge = (10**12, *shape[1:])
    shapes = (shape[::-1], (*shape, 1), (1, *shape), shape[1:], (0,) * len(shape), huge)
    chosen = generator.choice(shapes)
    # what is not in chunks is written whole
    chunks = tuple(min(size, 100) for size in chosen) if chosen and all(chosen) else None
    _replaced(file, name, shape=chosen, dtype="f4", chunks=chunks)


def _huge_as_the_options_say(generator: random.Random, file: h5py.File, name: str) -> None:
    """A thousand million cells, of which nothing is stored, and options that ask for them."""
    cells = generator.choice((10**5, 10**7, 10**9))
    path = Path(file.filename).with_name("options.json")
    options = json.loads(path.read_text())
    options["lstm"]["dim"] = cells
    path.write_text(json.dumps(options))
    for direction in ("RNN_0", "RNN_1"):
        group = file[CELL.replace("RNN_0", direction)]
        for part, shape in (("W_0", (4, 4 * cells)), ("B", (4 * cells,)), ("W_P_0", (cells, 2))):
            del group[part]
            chunks = tuple(min(size, 1000) for size in shape)
            packed = generator.choice((None, "gzip"))
            group.create_dataset(part, shape=shape, dtype="f4", chunks=chunks, compression=packed)


def _linked(generator: random.Random, file: h5py.File, name: str) -> None:
    other = Path(file.filename).with_name("elsewhere")
    shutil.copy(file.filename, other)
    del file[name]
    links = (
        h5py.SoftLink(f"/{name}"),
        h5py.SoftLink("/char_embed"),
        h5py.SoftLink("/nowhere"),
        # a whole array, were it followed
        h5py.ExternalLink(str(other), f"/{name}"),
        h5py.ExternalLink("/etc/passwd", "/"),
        h5py.ExternalLink(Path(file.filename).name, "/char_embed"),
    )
    file[name] = generator.choice(links)


def _elsewhere(generator: random.Random, file: h5py.File, name: str) -> None:
    """Numbers that lie in another file, and are whole there."""
    shape, array = file[name].shape, file[name][...]
    other = Path(file.filename).with_name("numbers")
    other.write_bytes(array.astype("<f4").tobytes())
    if generator.random() < 0.5:
        _replaced(
            file, name, shape=shape, dtype="<f4", external=[(str(other), 0, h5py.h5f.UNLIMITED)]
        )
        return
    layout = h5py.VirtualLayout(shape=shape, dtype="f4")
    with h5py.File(other, "w") as source:
        source["a"] = array
    layout[...] = h5py.VirtualSource(str(other), "a", shape=shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def _filtered(generator: random.Random, file: h5py.File, name: str) -> None:
    array = file[name][...]
    filters = (
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf"},
        {"scaleoffset": 3},
    )
    chunks = tuple(max(1, size // 2) for size in array.shape)
    _replaced(file, name, data=array, chunks=chunks, **generator.choice(filters))


def _large_chunks(generator: random.Random, file: h5py.File, name: str) -> None:
    array = file[name][...]
    chunks = tuple(generator.choice((1, 100, 20_000)) for _ in array.shape)
    if numpy.prod(chunks, dtype=float) < 2**29:
        target = _replaced(
            file,
            name,
            shape=array.shape,
            dtype="f4",
            maxshape=(None,) * array.ndim,
            chunks=chunks,
            compression="gzip",
        )
        if numpy.prod(chunks, dtype=float) < 10**6:
            target[...] = array


def _more_things(generator: random.Random, file: h5py.File, name: str) -> None:
    way = generator.randrange(7)
    if way == 0:
        group = file
        for _ in range(generator.choice((5, 20, 300))):
            group = group.create_group("g")
    elif way == 1:
        for number in range(generator.choice((1, 500, 12_000))):
            file.create_group(f"more {number}")
    elif way == 2:
        file["round"] = file
        file["RNN_0/round"] = file["RNN_0"]
    elif way == 3:
        file["more"] = numpy.dtype("f4")
    elif way == 4:
        for number in range(generator.choice((1, 300))):
            file.attrs[f"a{number}"] = "x" * 50
    elif way == 5:
        file[generator.choice((b"\xff\xfe", b"x" * 10_000, b"a;b\n", b".\x1b[0m")) + b"x"] = 1.0
    else:
        # one array under a hundred names
        for number in range(100):
            file[f"CNN/W_cnn_{number + 2}"] = file[name]


def _no_numbers(generator: random.Random, file: h5py.File, name: str) -> None:
    way = generator.randrange(5)
    if way == 0:
        file[name][...] = generator.choice((numpy.nan, numpy.inf, -numpy.inf))
    elif way == 1:
        del file[name]
    elif way == 2:
        _replaced(file, name, data=h5py.Empty("f4"))
    elif way == 3:
        del file[name]
        file.create_group(name)["a"] = 1.0
    else:
        del file[generator.choice(("RNN_0", "RNN_1/RNN", "CNN", "softmax"))]


ARRAY_CHANGES: tuple[Callable[[random.Random, h5py.File, str], None], ...] = (
    *(_other_type, _other_type, _other_shape, _other_shape, _huge_as_the_options_say, _linked),
    *(_linked, _elsewhere, _filtered, _large_chunks, _more_things, _more_things, _no_numbers),
)
