"""
The object that a pickle describes, where it is made of plain values: no class or function that it
names is looked up, and none is called. What it would call comes out as a `Call`, to be judged.
"""

import pickletools
from collections.abc import Callable
from typing import IO, Any, NamedTuple, cast

__all__ = ["Call", "Global", "Stored", "unpickled"]


class Global(NamedTuple):
    """The name of a class or a function."""

    module: str
    name: str


class Call(NamedTuple):
    """What a pickle would call, and what with."""

    function: Global
    arguments: tuple[Any, ...]


class Stored(NamedTuple):
    """What stands elsewhere, by what a pickle calls it."""

    identity: object


_ORDERED_DICT = Global("collections", "OrderedDict")
_MARK = object()
_VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
)
_EMPTY: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_GETS = ("BINGET", "LONG_BINGET", "GET")
_PUTS = ("BINPUT", "LONG_BINPUT", "PUT")


def unpickled(file: IO[bytes], *, limit: int) -> Any:
    """
    Returns the object of the pickle at a file's position, which comes to stand behind it.

    Dicts have strings or whole numbers for keys. An `OrderedDict` is a dict, and attributes that
    are set on it, as a state dict's versions are, are left out.

    # Parameters

    limit : `int`
        How many bytes the pickle may have.

    # Raises

    `ValueError` for a pickle that is broken, longer, or not made of plain values.
    """
    program = _Program()
    try:
        # it asks for nothing but these two methods
        limited = cast(IO[bytes], _Limited(file, limit))
        for opcode, argument, _ in pickletools.genops(limited):
            program.step(opcode.name, argument)
    except ValueError as error:
        raise ValueError(f"{error!s:.200}") from error
    except (IndexError, KeyError, OverflowError, TypeError) as error:
        # what an argument or an object is asked for that it does not have
        raise ValueError(f"It is no whole pickle: {error!r:.200}") from error
    (value,) = program.stack
    return value


class _Limited:
    """A file of which no more than `left` bytes are read."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file = file
        self._limit = self._left = left

    def read(self, size: int) -> bytes:
        return self._counted(self._file.read(min(size, self._left + 1)))

    def readline(self) -> bytes:
        return self._counted(self._file.readline(self._left + 1))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"A pickle must have at most {self._limit:,} bytes")
        return data


class _Program:
    """A pickle as far as it was read: its stack, and what it has put aside."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.put: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Does what one operation asks for; see `pickletools` on each."""
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            stack.append(tuple(self._popped(_TUPLES[name])))
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in _GETS:
            stack.append(self.put[argument])
        elif name in _PUTS:
            self.put[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.put[len(self.put)] = stack[-1]
        elif name == "GLOBAL":
            stack.append(Global(*argument.split(" ", 1)))
        elif name == "BINPERSID":
            stack.append(Stored(stack.pop()))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_called(stack.pop(), arguments))
        elif name in ("SETITEM", "SETITEMS"):
            pairs = self._since_mark() if name == "SETITEMS" else self._popped(2)
            _set_items(stack[-1], list(zip(pairs[::2], pairs[1::2])))
        elif name in ("APPEND", "APPENDS"):
            items = self._since_mark() if name == "APPENDS" else self._popped(1)
            _checked(stack[-1], list).extend(items)
        elif name == "BUILD":
            stack.pop()
            _checked(stack[-1], dict)
        elif name == "STOP":
            if len(stack) != 1:
                raise ValueError("A pickle must hold one object")
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"A pickle of tensors does not ask for {name}")

    def _since_mark(self) -> list[Any]:
        place = next(
            (place for place in reversed(range(len(self.stack))) if self.stack[place] is _MARK),
            None,
        )
        if place is None:
            raise ValueError("A pickle must set a mark before it asks for it")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def _popped(self, number: int) -> list[Any]:
        if len(self.stack) < number:
            raise ValueError(f"A pickle must have {number} objects before it asks for them")
        items = self.stack[-number:]
        del self.stack[-number:]
        return items


def _called(function: object, arguments: object) -> object:
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise ValueError("A pickle may call nothing but what it names")
    if function != _ORDERED_DICT:
        return Call(function, arguments)
    contents: dict[Any, Any] = {}
    # from Python 2 the items come along
    for pairs in arguments:
        _set_items(contents, _checked(pairs, list))
    return contents


def _set_items(target: object, pairs: list[Any]) -> None:
    contents = _checked(target, dict)
    for pair in pairs:
        key, value = pair
        # another might be nested so deep that hashing it takes all of the stack
        if type(key) not in (str, int):
            raise ValueError(f"The keys of a dict must be strings; found a {type(key).__name__}")
        contents[key] = value


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"A pickle must have a {kind.__name__} here; found {type(value).__name__}")
    return value
