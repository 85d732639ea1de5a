"""Loads the compiled library of the backend `native`; its functions are in source/layer.h."""

import ctypes
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import NamedTuple, Optional

__all__ = ["INSTRUCTIONS", "Layer", "Library", "Sizes", "find"]

# As in source/layer.h.
INTERFACE = 2
# Instruction sets for float32, slowest first; the library knows them by their place.
INSTRUCTIONS = ("portable", "AVX2", "AVX-512")

_FLOATS = ctypes.c_void_p
_SIZE = ctypes.c_int64


class Sizes(ctypes.Structure):
    """The struct `ElmoSizes` of source/layer.h."""

    _fields_ = (
        ("input_size", _SIZE),
        ("hidden_size", _SIZE),
        ("cell_size", _SIZE),
        ("projected", _SIZE),
    )


class Layer(ctypes.Structure):
    """The struct `ElmoLayer` of source/layer.h."""

    _fields_ = (
        ("sizes", Sizes),
        ("instructions", _SIZE),
        ("threads", _SIZE),
        ("directions", _SIZE),
        ("batch", _SIZE),
        ("time", _SIZE),
        ("lengths", ctypes.c_void_p),
        ("weights", _FLOATS),
        ("biases", _FLOATS),
        ("inputs", _FLOATS),
        ("hidden", _FLOATS),
        ("cell", _FLOATS),
        ("dropout", _FLOATS),
        ("cell_clip", ctypes.c_float),
        ("projection_clip", ctypes.c_float),
        ("outputs", _FLOATS),
        ("last_hidden", _FLOATS),
        ("last_cell", _FLOATS),
    )


class Library(NamedTuple):
    """
    The library, or why there is none.

    # Parameters

    functions : `Optional[ctypes.CDLL]`
        The functions of source/layer.h. A call releases Python's global lock.
    instructions : `int`
        The place in `INSTRUCTIONS` of the fastest instruction set of this processor.
    int8 : `Optional[int]`
        The library's number of the instruction set for int8; `None` if this processor has none.
    missing : `Optional[str]`
        Why there is no library; `None` if there is one.
    """

    functions: Optional[ctypes.CDLL]
    instructions: int
    int8: Optional[int]
    missing: Optional[str]


@lru_cache(maxsize=1)
def find() -> Library:
    """Loads the library once, and returns it."""
    folder = Path(__file__).parent
    files = [folder / f"_library{suffix}" for suffix in EXTENSION_SUFFIXES]
    found = [file for file in files if file.exists()]
    if not found:
        return Library(
            None,
            0,
            None,
            "it was not compiled when elmo_components was installed. Install GCC or Clang, then "
            "reinstall elmo_components",
        )
    try:
        functions = ctypes.CDLL(str(found[0]))
        functions.elmo_interface.restype = _SIZE
        interface = functions.elmo_interface()
    except (OSError, AttributeError) as error:
        return Library(None, 0, None, f"{found[0].name} cannot be loaded: {error}")
    if interface != INTERFACE:
        return Library(
            None, 0, None, f"{found[0].name} is from another version. Reinstall elmo_components"
        )
    _declare(functions)
    int8 = functions.elmo_int8_instructions()
    return Library(functions, functions.elmo_instructions(), None if int8 < 0 else int8, None)


def _declare(functions: ctypes.CDLL) -> None:
    sizes = ctypes.POINTER(Sizes)
    functions.elmo_instructions.argtypes = []
    functions.elmo_instructions.restype = _SIZE
    functions.elmo_int8_instructions.argtypes = []
    functions.elmo_int8_instructions.restype = _SIZE
    functions.elmo_packed_size.argtypes = [_SIZE, sizes]
    functions.elmo_packed_size.restype = _SIZE
    functions.elmo_pack.argtypes = [_SIZE, sizes, _FLOATS, _FLOATS, _FLOATS, _FLOATS]
    functions.elmo_pack.restype = None
    functions.elmo_layer.argtypes = [ctypes.POINTER(Layer)]
    functions.elmo_layer.restype = _SIZE
    functions.elmo_activations.argtypes = [_SIZE, _SIZE, _FLOATS, _FLOATS, _FLOATS]
    functions.elmo_activations.restype = None
