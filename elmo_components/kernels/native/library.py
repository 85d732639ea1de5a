"""Loads the compiled library, whose functions are in source/layer.h and source/encoder.h."""

import ctypes
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import NamedTuple, Optional

from elmo_components.kernels.native.structures import (
    Batch,
    Encoder,
    Gradients,
    Layer,
    Sizes,
    Words,
)

__all__ = ["INSTRUCTIONS", "Library", "find", "functions", "instructions_for"]

# As in source/layer.h.
INTERFACE = 5
# Instruction sets for float32, slowest first; the library knows them by their place.
INSTRUCTIONS = ("portable", "AVX2", "AVX-512")

_FLOATS = ctypes.c_void_p
_SIZE = ctypes.c_int64


class Library(NamedTuple):
    """
    The library, or why there is none.

    # Parameters

    functions : `Optional[ctypes.CDLL]`
        The functions of source/layer.h and source/encoder.h. A call releases Python's global lock.
    instructions : `int`
        The place in `INSTRUCTIONS` of the fastest instruction set of this processor.
    int8, bfloat16 : `Optional[int]`
        The library's numbers of the instruction sets for products of this type; `None` if this
        processor has none.
    missing : `Optional[str]`
        Why there is no library; `None` if there is one.
    """

    functions: Optional[ctypes.CDLL]
    instructions: int
    int8: Optional[int]
    bfloat16: Optional[int]
    missing: Optional[str]


@lru_cache(maxsize=1)
def find() -> Library:
    """Loads the library once, and returns it."""
    folder = Path(__file__).parent
    files = [folder / f"_library{suffix}" for suffix in EXTENSION_SUFFIXES]
    found = [file for file in files if file.exists()]
    if not found:
        return _missing(
            "it was not compiled when elmo_components was installed. Install GCC or Clang, then "
            "reinstall elmo_components"
        )
    try:
        loaded = ctypes.CDLL(str(found[0]))
        loaded.elmo_interface.restype = _SIZE
        interface = loaded.elmo_interface()
    except (OSError, AttributeError) as error:
        return _missing(f"{found[0].name} cannot be loaded: {error}")
    if interface != INTERFACE:
        return _missing(f"{found[0].name} is from another version. Reinstall elmo_components")
    _declare(loaded)
    int8, bfloat16 = loaded.elmo_int8_instructions(), loaded.elmo_bfloat16_instructions()
    return Library(
        loaded,
        loaded.elmo_instructions(),
        None if int8 < 0 else int8,
        None if bfloat16 < 0 else bfloat16,
        None,
    )


def functions() -> ctypes.CDLL:
    """Returns the functions of the library, which there must be."""
    found = find().functions
    assert found is not None
    return found


def instructions_for(precision: str) -> int:
    """
    Returns the library's number of the instruction set for products in a precision, or in the next
    higher one that this processor has.
    """
    found = find()
    if precision == "int8" and found.int8 is not None:
        return found.int8
    if precision != "float32" and found.bfloat16 is not None:
        return found.bfloat16
    return found.instructions


def _missing(reason: str) -> Library:
    return Library(None, 0, None, None, reason)


def _declare(loaded: ctypes.CDLL) -> None:
    sizes, batch = ctypes.POINTER(Sizes), ctypes.POINTER(Batch)
    loaded.elmo_instructions.argtypes = []
    loaded.elmo_instructions.restype = _SIZE
    loaded.elmo_int8_instructions.argtypes = []
    loaded.elmo_int8_instructions.restype = _SIZE
    loaded.elmo_bfloat16_instructions.argtypes = []
    loaded.elmo_bfloat16_instructions.restype = _SIZE
    loaded.elmo_packed_size.argtypes = [_SIZE, sizes]
    loaded.elmo_packed_size.restype = _SIZE
    loaded.elmo_pack.argtypes = [_SIZE, sizes, _FLOATS, _FLOATS, _FLOATS, _FLOATS]
    loaded.elmo_pack.restype = None
    loaded.elmo_packed_backward_size.argtypes = [_SIZE, sizes]
    loaded.elmo_packed_backward_size.restype = _SIZE
    loaded.elmo_pack_backward.argtypes = [_SIZE, sizes, _FLOATS, _FLOATS, _FLOATS, _FLOATS]
    loaded.elmo_pack_backward.restype = None
    loaded.elmo_layers.argtypes = [batch, _SIZE, ctypes.POINTER(Layer)]
    loaded.elmo_layers.restype = _SIZE
    loaded.elmo_backward.argtypes = [batch, sizes, ctypes.POINTER(Gradients)]
    loaded.elmo_backward.restype = _SIZE
    loaded.elmo_activations.argtypes = [_SIZE, _SIZE, _FLOATS, _FLOATS, _FLOATS]
    loaded.elmo_activations.restype = None
    loaded.elmo_encoder_columns.argtypes = [_SIZE]
    loaded.elmo_encoder_columns.restype = _SIZE
    loaded.elmo_pack_highway.argtypes = [_SIZE, _SIZE, _FLOATS, _FLOATS, _FLOATS]
    loaded.elmo_pack_highway.restype = _SIZE
    loaded.elmo_pack_projection.argtypes = [_SIZE, _SIZE, _SIZE, _FLOATS, _FLOATS]
    loaded.elmo_pack_projection.restype = _SIZE
    loaded.elmo_encode.argtypes = [ctypes.POINTER(Encoder), ctypes.POINTER(Words)]
    loaded.elmo_encode.restype = _SIZE
