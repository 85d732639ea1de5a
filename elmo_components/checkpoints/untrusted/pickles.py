"""
Reads tensors from files that `torch.save` wrote, without executing or trusting them.

`torch.load` allocates what a file declares and reads the whole model, in some versions past the
end of a storage. So the index of tensors is unpickled here, by an unpickler that knows a few
opcodes and calls a few functions of this module, and storages are read as bytes. Both layouts
are read: the zip of torch 1.6 and later, and the older one, which has a header of three pickles,
the pickle of a state dict, that of its storages' keys, and each storage after its length.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterable
from math import prod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Optional

import torch

from elmo_components.alphabet import shown
from elmo_components.checkpoints.untrusted.zips import is_zip, open_zip

__all__ = ["TensorFile"]

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
# In bytes: 16,000 tensors, each of which takes about 250.
MAX_PICKLE = 4 << 20
LENGTH_BYTES = 8
# torch counts numbers in int64 and axes up to 64
MAX_NUMBERS = 1 << 62
MAX_AXES = 64

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}

# Neither those that make objects of a named class nor those that allocate a declared size.
OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BINFLOAT, pickle.LONG1),
    *(pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINSTRING, pickle.SHORT_BINSTRING),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT),
    *(pickle.BINGET, pickle.LONG_BINGET, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BINPERSID),
)
_PICKLE_ERRORS = (
    *(pickle.UnpicklingError, struct.error, AttributeError, EOFError, LookupError),
    *(OverflowError, RecursionError, TypeError, ValueError),
)


class _Storage(NamedTuple):
    key: str
    dtype: torch.dtype
    size: int

    @property
    def num_bytes(self) -> int:
        return self.size * torch.empty(0, dtype=self.dtype, device="cpu").element_size()


class _View(NamedTuple):
    """A tensor: a part of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class TensorFile:
    """
    The tensors in a file of a state dict. Only its index is read at first.

    # Parameters

    shapes : `dict[str, tuple[int, ...]]`
        The shape of each tensor of floating-point numbers.

    # Raises

    `ValueError` for a broken file, and for one that declares more than it holds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_zip = is_zip(path)
        # of each storage in the older layout, where it begins
        self._places: dict[str, int] = {}
        state = self._zip_index() if self._is_zip else self._legacy_index()
        if not isinstance(state, dict):
            raise ValueError(f"It must hold a dict of tensors; found {type(state).__name__}")
        self._views = {
            name: value
            for name, value in state.items()
            if isinstance(value, _View)
            and isinstance(name, str)
            and value.storage.dtype.is_floating_point
        }
        self.names = [str(name) for name in state]
        self.shapes = {name: view.shape for name, view in self._views.items()}

    def read(self, names: Iterable[str]) -> dict[str, torch.Tensor]:
        """
        Returns tensors as float32.

        # Raises

        `ValueError` for a file that ends too early.
        """
        views = {name: self._views[name] for name in names}
        distinct = set(views.values())
        storages = {view.storage for view in distinct}
        # else a small storage could fill any memory
        if sum(prod(view.shape) for view in distinct) > sum(storage.size for storage in storages):
            raise ValueError("Its tensors must not overlap")
        read = self._read_zip if self._is_zip else self._read_legacy
        numbers = read(storages)
        tensors = {
            view: numbers[view.storage]
            .as_strided(view.shape, view.strides, view.offset)
            .contiguous()
            for view in distinct
        }
        return {name: tensors[view] for name, view in views.items()}

    def _zip_index(self) -> object:
        with open_zip(self._path) as archive:
            members = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(members) != 1:
                raise ValueError("It must be a zip with one member data.pkl")
            self._folder = members[0].removesuffix("data.pkl")
            if f"{self._folder}byteorder" in archive.namelist():
                with archive.open(f"{self._folder}byteorder") as file:
                    _check_byte_order(file.read(len("little")) == b"little")
            with archive.open(members[0]) as file:
                return _Unpickler(file.read(MAX_PICKLE)).load_next()

    def _legacy_index(self) -> object:
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            unpickler = _Unpickler(file.read(MAX_PICKLE))
            if unpickler.load_next() != MAGIC or unpickler.load_next() != VERSION:
                raise ValueError("It is not a file that torch.save wrote")
            machine = unpickler.load_next()
            _check_byte_order(isinstance(machine, dict) and machine.get("little_endian") is True)
            state, keys = unpickler.load_next(), unpickler.load_next()
            place = unpickler.position
            if (
                not isinstance(keys, list)
                or not all(isinstance(key, str) for key in keys)
                or sorted(keys) != sorted(unpickler.storages)
            ):
                raise ValueError("Its list of storages must be that of its tensors")
            for key in keys:
                storage = unpickler.storages[key]
                file.seek(place)
                length = int.from_bytes(file.read(LENGTH_BYTES), "little")
                self._places[key] = place + LENGTH_BYTES
                place += LENGTH_BYTES + storage.num_bytes
                if length != storage.size or place > size:
                    raise ValueError(
                        f"The storage {shown(key)} must have {storage.size:,} numbers; found "
                        f"{length:,} in a file of {size:,} bytes"
                    )
        if place != size:
            raise ValueError("It must end with its last storage")
        return state

    def _read_zip(self, storages: Iterable[_Storage]) -> dict[_Storage, torch.Tensor]:
        found = {}
        with open_zip(self._path) as archive:
            for storage in storages:
                member = archive.getinfo(f"{self._folder}data/{storage.key}")
                # torch compresses nothing, so no storage is larger than the file
                if (
                    member.compress_type != zipfile.ZIP_STORED
                    or not member.file_size == member.compress_size == storage.num_bytes
                ):
                    raise ValueError(
                        f"The storage {shown(storage.key)} must have {storage.num_bytes:,} bytes, "
                        "not compressed"
                    )
                found[storage] = _numbers(archive.read(member), storage)
        return found

    def _read_legacy(self, storages: Iterable[_Storage]) -> dict[_Storage, torch.Tensor]:
        found = {}
        with self._path.open("rb") as file:
            for storage in storages:
                file.seek(self._places[storage.key])
                found[storage] = _numbers(file.read(storage.num_bytes), storage)
        return found


def _check_byte_order(is_little: bool) -> None:
    if not is_little:
        raise ValueError("Its numbers must be little-endian")


def _numbers(data: bytes, storage: _Storage) -> torch.Tensor:
    if len(data) != storage.num_bytes:
        raise ValueError(f"The storage {shown(storage.key)} ends too early")
    if not data:
        return torch.empty(0, device="cpu")
    # (size,)
    return torch.frombuffer(bytearray(data), dtype=storage.dtype).float()


# the one in C allocates a memo of any declared size
class _Unpickler(pickle._Unpickler):
    """Unpickles a state dict whose tensors become `_View`s, and unknown objects `None`."""

    stack: list[Any]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = {
        code[0]: pickle._Unpickler.dispatch[code[0]] for code in OPCODES
    }

    def __init__(self, data: bytes) -> None:
        self._buffer = io.BytesIO(data)
        # strings of Python 2 have no encoding
        super().__init__(self._buffer, encoding="latin1")
        self.storages: dict[str, _Storage] = {}

    @property
    def position(self) -> int:
        """Where the last pickle ended."""
        return self._buffer.tell()

    def load_next(self) -> Any:
        """
        # Raises

        `ValueError` for a pickle that is broken or asks for more than tensors.
        """
        # each pickle counts its objects from 0
        self.memo: dict[int, Any] = {}
        try:
            return self.load()
        except _PICKLE_ERRORS as error:
            raise ValueError(
                f"It must be a pickle of tensors of at most {MAX_PICKLE:,} bytes: "
                f"{type(error).__name__}: {shown(str(error))[1:-1]}"
            ) from error

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        return _FUNCTIONS.get((module, name), _unknown)

    def persistent_load(self, pid: Any) -> Optional[_Storage]:
        # torch 0.3 had views of storages too
        kind, dtype, key, _, size, view = (*pid, None)[:6]
        if kind != "storage" or not isinstance(key, str) or not _are_sizes((size,)) or view:
            raise ValueError("A storage must have a key and a size")
        if not isinstance(dtype, torch.dtype):
            return None
        storage = _Storage(key, dtype, size)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError("Tensors must agree on their storage")
        return storage

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _set_items(self.stack[-1], [(key, value)])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        _set_items(self.stack[-1], zip(items[::2], items[1::2]))

    def load_build(self) -> None:
        # of a state dict's attributes none is needed
        self.stack.pop()

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.BUILD[0]] = load_build


def _set_items(target: Any, pairs: Iterable[Any]) -> None:
    for key, value in pairs:
        # hashing a deeply nested key would overflow the stack
        if type(target) is not dict or type(key) not in (str, int):
            raise ValueError("The keys of a dict must be strings")
        target[key] = value


def _are_sizes(numbers: Iterable[object]) -> bool:
    return all(type(number) is int and number >= 0 for number in numbers)


def _ordered_dict(pairs: Iterable[Any] = ()) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    _set_items(result, pairs)
    return result


def _rebuild_tensor(
    storage: Optional[_Storage],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: object,
) -> Optional[_View]:
    if storage is None:
        return None
    if (
        not isinstance(storage, _Storage)
        or not isinstance(shape, tuple)
        or not isinstance(strides, tuple)
        or len(shape) != len(strides)
        or not _are_sizes((offset, *shape, *strides))
        or len(shape) > MAX_AXES
        or prod(size or 1 for size in shape) > MAX_NUMBERS
    ):
        raise ValueError("A tensor must have a storage, an offset, a shape and strides")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    if 0 not in shape and last >= storage.size:
        raise ValueError("A tensor must lie within its storage")
    return _View(storage, offset, shape, strides)


def _rebuild_parameter(tensor: object, *_: object) -> object:
    return tensor


def _unknown(*_: object) -> None:
    """Stands for every function and class that is not known."""


_FUNCTIONS = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
}
