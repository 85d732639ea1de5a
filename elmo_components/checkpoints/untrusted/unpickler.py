"""
Unpickles the index of a state dict: names, shapes and places of tensors, and nothing else.

It allows a few opcodes and calls functions of this module in place of torch's. It is a subclass of
Python's unpickler in Python, as the one in C allocates a memo of any declared size.
"""

import io
import pickle
import struct
from collections.abc import Callable, Iterable
from math import prod
from typing import Any, ClassVar, NamedTuple, Optional

import torch

from elmo_components.alphabet import shown

__all__ = ["MAX_PICKLE", "Storage", "Unpickler", "View"]

# In bytes: 16,000 tensors, each of which takes about 250.
MAX_PICKLE = 4 << 20
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

# None of these makes an object of a named class or allocates a declared size.
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


class Storage(NamedTuple):
    """A flat array of numbers in a file."""

    key: str
    dtype: torch.dtype
    size: int

    @property
    def num_bytes(self) -> int:
        return self.size * torch.empty(0, dtype=self.dtype, device="cpu").element_size()


class View(NamedTuple):
    """A tensor: a part of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Unpickler(pickle._Unpickler):
    """Unpickles a state dict whose tensors become `View`s, and unknown objects `None`."""

    stack: list[Any]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = {
        code[0]: pickle._Unpickler.dispatch[code[0]] for code in OPCODES
    }

    def __init__(self, data: bytes) -> None:
        self._buffer = io.BytesIO(data)
        # Python 2 stores strings as bytes
        super().__init__(self._buffer, encoding="latin1")
        self.storages: dict[str, Storage] = {}

    @property
    def position(self) -> int:
        """Where the last pickle ended."""
        return self._buffer.tell()

    def load_next(self) -> Any:
        """
        # Raises

        `ValueError` for a pickle that is broken or asks for more than tensors.
        """
        # each pickle has a memo of its own
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
        return _FUNCTIONS.get((module, name), lambda *_: None)

    def persistent_load(self, pid: Any) -> Optional[Storage]:
        # torch 0.3 had views of storages too
        kind, dtype, key, _, size, view = (*pid, None)[:6]
        if kind != "storage" or not isinstance(key, str) or not _are_sizes((size,)) or view:
            raise ValueError("A storage must have a key and a size")
        if not isinstance(dtype, torch.dtype):
            return None
        storage = Storage(key, dtype, size)
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
        # drops the attributes of a state dict
        self.stack.pop()

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.BUILD[0]] = load_build


def _set_items(target: Any, pairs: Iterable[Any]) -> Any:
    for key, value in pairs:
        # hashing a deeply nested key would overflow the stack
        if type(target) is not dict or type(key) not in (str, int):
            raise ValueError("The keys of a dict must be strings")
        target[key] = value
    return target


def _are_sizes(numbers: Iterable[object]) -> bool:
    return all(type(number) is int and number >= 0 for number in numbers)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Optional[View]:
    if storage is None:
        return None
    if (
        not isinstance(storage, Storage)
        or not isinstance(shape, tuple)
        or not isinstance(strides, tuple)
        or len(shape) != len(strides)
        or not _are_sizes((offset, *shape, *strides))
        or len(shape) > MAX_AXES
        or max((offset, prod(size or 1 for size in shape), *strides)) > MAX_NUMBERS
    ):
        raise ValueError("A tensor must have a storage, an offset, a shape and strides")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    if 0 not in shape and last >= storage.size:
        raise ValueError("A tensor must lie within its storage")
    return View(storage, offset, shape, strides)


_FUNCTIONS = {
    # Python 2 passes the pairs as an argument
    ("collections", "OrderedDict"): lambda pairs=(): _set_items({}, pairs),
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda tensor, *_: tensor,
}
