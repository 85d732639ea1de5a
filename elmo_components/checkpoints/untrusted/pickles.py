"""
Tensors out of what `torch.save` writes of a state dict, in both its forms, without executing
anything: a pickle is a program, of which no more is done here than to put tensors into a dict.

Before torch 1.6 a file was, one after the other, the pickles of a magic number, a version and the
machine's sizes; that of the state dict; that of its storages' keys; and of each storage its length
in 8 bytes and its numbers. Since then it is a zip whose member `data.pkl` is the state dict's and
`data/<key>` a storage.
"""

import zipfile
from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple, Optional

import torch

from elmo_components.checkpoints.checkpoint import listed
from elmo_components.checkpoints.untrusted.pickle_program import Call, Global, Stored, unpickled
from elmo_components.checkpoints.untrusted.zips import is_zip, opened_zip

__all__ = ["read_chosen_tensors", "read_tensors"]

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

# In bytes: a tensor takes about 250 of a pickle.
MAX_PICKLE = 1 << 18
# That of the storages' keys, of which each takes about 20.
MAX_KEYS = 1 << 15
# Those that come before that of the state dict.
MAX_HEADER = 1 << 12
# The length that comes before a storage's numbers.
LENGTH_BYTES = 8

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    # in whole models, to be passed over
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
}
READ = (torch.float32, torch.float64, torch.float16)


class _Storage(NamedTuple):
    """Where numbers are: the key of a file's part, their type and how many the whole part has."""

    key: str
    dtype: torch.dtype
    size: int


class _View(NamedTuple):
    """A tensor: a storage, and what of it."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_Views = dict[str, _View]


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """
    Returns the tensors in the file at `path`, as float32.

    # Parameters

    shapes : `Mapping[str, tuple[int, ...]]`
        The names and shapes that it must have. They are compared before any number is read.

    # Raises

    `ValueError` for a file that is broken, that asks for anything but tensors of floating-point
    numbers, or whose tensors have other names or shapes; the last lists them all.
    """
    return _read(path, partial(_views, shapes=shapes))


def read_chosen_tensors(
    path: Path, choose: Callable[[Mapping[str, tuple[int, ...]]], Collection[str]]
) -> dict[str, torch.Tensor]:
    """
    Returns some tensors of a whole model in the file at `path`, as float32; the others are not
    read.

    # Parameters

    choose : `Callable[[Mapping[str, tuple[int, ...]]], Collection[str]]`
        Returns the names of the wanted ones, given the names and shapes of all that hold
        floating-point numbers.

    # Raises

    `ValueError` for a file that is broken, and for what `choose` raises.
    """
    return _read(path, partial(_chosen, choose=choose))


def _read(path: Path, select: Callable[[object], _Views]) -> dict[str, torch.Tensor]:
    size = path.stat().st_size
    if is_zip(path):
        with opened_zip(path) as archive:
            return _read_zip(archive, size, select)
    with path.open("rb") as file:
        return _read_legacy(file, size, select)


def _read_legacy(
    file: IO[bytes], size: int, select: Callable[[object], _Views]
) -> dict[str, torch.Tensor]:
    if unpickled(file, limit=MAX_HEADER) != MAGIC:
        raise ValueError("It does not begin as a file of torch's")
    if unpickled(file, limit=MAX_HEADER) != VERSION:
        raise ValueError(f"It must be of torch's version {VERSION} of such files")
    machine = unpickled(file, limit=MAX_HEADER)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("It must come from a machine that begins numbers with their lowest byte")
    state = unpickled(file, limit=MAX_PICKLE)
    views = select(state)
    keys = unpickled(file, limit=MAX_KEYS)
    held: dict[str, _Storage] = {}
    for view in _all_views(state).values():
        if held.setdefault(view.storage.key, view.storage) != view.storage:
            raise ValueError(f"Its tensors disagree on the storage {view.storage.key}")
    wanted = {view.storage.key for view in views.values()}
    if (
        not isinstance(keys, list)
        or not all(type(key) is str for key in keys)
        or sorted(keys) != sorted(held)
    ):
        raise ValueError("Its list of storages is not that of its tensors")
    storages = {}
    for key in keys:
        storage = held[key]
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        left = size - file.tell()
        if length != storage.size or left < _num_bytes(storage):
            raise ValueError(
                f"The storage {key} must have {storage.size:,} numbers, as its tensors say; found "
                f"{length:,}, and {left:,} bytes in the rest of the file"
            )
        if key in wanted:
            storages[key] = _read_storage(file, storage)
        else:
            file.seek(_num_bytes(storage), 1)
    if file.read(1):
        raise ValueError("It has more bytes than its tensors")
    return _tensors(views, storages)


def _read_zip(
    archive: zipfile.ZipFile, size: int, select: Callable[[object], _Views]
) -> dict[str, torch.Tensor]:
    members = {member.filename: member for member in archive.infolist()}
    names = [name for name in members if name.endswith("/data.pkl")]
    if len(names) != 1 or members[names[0]].file_size > MAX_PICKLE:
        raise ValueError(
            f"It must be a zip with one member data.pkl, of at most {MAX_PICKLE:,} bytes"
        )
    folder = names[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("It must come from a machine that begins numbers with their lowest byte")
    with archive.open(names[0]) as file:
        views = select(unpickled(file, limit=MAX_PICKLE))
    needed = {view.storage for view in views.values()}
    if sum(_num_bytes(storage) for storage in needed) > size:
        raise ValueError("It must be as large as its tensors, and ends before")
    storages = {}
    for storage in needed:
        member = members.get(f"{folder}data/{storage.key}")
        # torch stores numbers as they are, so that none can take more than the file
        if (
            member is None
            or member.compress_type != zipfile.ZIP_STORED
            or not member.file_size == member.compress_size == _num_bytes(storage)
        ):
            raise ValueError(
                f"The storage {storage.key} must be there, with {_num_bytes(storage):,} bytes, as "
                "they are"
            )
        with archive.open(member) as file:
            storages[storage.key] = _read_storage(file, storage)
    return _tensors(views, storages)


def _views(state: object, shapes: Mapping[str, tuple[int, ...]]) -> _Views:
    """Returns the tensors of a state dict, which have the names and the shapes that are wanted."""
    if not isinstance(state, dict):
        raise ValueError(f"It must hold a dict of tensors; found {type(state).__name__}")
    floating = _floating(state)
    found = {name: floating.get(name) for name in state if name in shapes}
    problems = [f"{name} is missing" for name in shapes if name not in found]
    problems += [f"{str(name)[:100]} is not a part of it" for name in state if name not in shapes]
    problems += [
        f"{name} must be a tensor of floating-point numbers" for name in found if not found[name]
    ]
    views = {name: view for name, view in found.items() if view}
    problems += [
        f"{name} is of shape {view.shape}, not {shapes[name]}"
        for name, view in views.items()
        if view.shape != shapes[name]
    ]
    if problems:
        raise ValueError(listed(problems))
    return _checked(views)


def _chosen(
    state: object, choose: Callable[[Mapping[str, tuple[int, ...]]], Collection[str]]
) -> _Views:
    views = _floating(state)
    names = choose({name: view.shape for name, view in views.items()})
    return _checked({name: views[name] for name in names})


def _floating(state: object) -> _Views:
    return {name: view for name, view in _all_views(state).items() if view.storage.dtype in READ}


def _all_views(state: object) -> _Views:
    """Returns all tensors of a state dict, of whatever numbers."""
    if not isinstance(state, dict):
        raise ValueError(f"It must hold a dict of tensors; found {type(state).__name__}")
    found = {name: _view(value) for name, value in state.items()}
    return {name: view for name, view in found.items() if view is not None and type(name) is str}


def _checked(views: _Views) -> _Views:
    beyond = [f"{name} lies beyond its storage" for name in views if not _fits(views[name])]
    if beyond:
        raise ValueError("; ".join(beyond))
    storages = {view.storage for view in views.values()}
    if len({storage.key for storage in storages}) != len(storages) or (
        sum(prod(view.shape) for view in views.values()) > sum(storage.size for storage in storages)
    ):
        raise ValueError("Its tensors share their numbers")
    return views


def _view(value: object) -> Optional[_View]:
    arguments: Any = value
    if isinstance(value, Call) and value.function == Global("torch._utils", "_rebuild_parameter"):
        arguments = value.arguments[0] if value.arguments else None
    if not isinstance(arguments, Call) or arguments.function not in (
        Global("torch._utils", "_rebuild_tensor"),
        Global("torch._utils", "_rebuild_tensor_v2"),
    ):
        return None
    # more say what training needs
    parts: tuple[Any, ...] = (*arguments.arguments, None, None, None, None)[:4]
    stored, offset, shape, strides = parts
    if not isinstance(shape, tuple) or not isinstance(strides, tuple):
        return None
    storage = _storage(stored)
    are_sizes = all(type(number) is int and number >= 0 for number in (offset, *shape, *strides))
    return _View(storage, offset, shape, strides) if storage is not None and are_sizes else None


def _storage(value: object) -> Optional[_Storage]:
    if not isinstance(value, Stored) or not isinstance(value.identity, tuple):
        return None
    # the last is a view of a storage, which no state dict has had since torch 0.4
    kind, storage_type, key, _, size, view = (*value.identity, None, None, None, None, None, None)[
        :6
    ]
    if (
        kind != "storage"
        or not isinstance(storage_type, Global)
        or storage_type.module != "torch"
        or storage_type.name not in DTYPES
        or not isinstance(key, str)
        or type(size) is not int
        or size < 0
        or view is not None
    ):
        return None
    return _Storage(key, DTYPES[storage_type.name], size)


def _fits(view: _View) -> bool:
    if len(view.shape) != len(view.strides):
        return False
    last = view.offset + sum((size - 1) * step for size, step in zip(view.shape, view.strides))
    return 0 in view.shape or last < view.storage.size


def _num_bytes(storage: _Storage) -> int:
    return storage.size * torch.empty(0, dtype=storage.dtype).element_size()


def _read_storage(file: IO[bytes], storage: _Storage) -> torch.Tensor:
    # (size,)
    numbers = torch.empty(storage.size, dtype=storage.dtype)
    # a bytearray would be there beside it
    array: Any = numbers.numpy()
    buffer = memoryview(array).cast("B") if storage.size else memoryview(bytearray())
    read = 0
    while read < len(buffer):
        count = file.readinto(buffer[read:])  # type: ignore[attr-defined]
        if not count:
            raise ValueError(f"The storage {storage.key} ends too early")
        read += count
    return numbers.float()


def _tensors(views: _Views, storages: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name: storages[view.storage.key]
        .as_strided(view.shape, view.strides, view.offset)
        .contiguous()
        for name, view in views.items()
    }
