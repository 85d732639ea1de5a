"""
Arrays to an .npz file, which is a zip, one after the other, in memory that does not grow.

Python's own `zipfile` holds an entry for each member, 1 kB or so, until it is closed.
"""

import io
import struct
import zlib
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Optional

import numpy
from numpy.lib import format as npy

__all__ = ["NpzStream"]

# Fields of 16 and 32 bits with all bits set say that the number is in a field of 64 bits.
FULL_16 = 0xFFFF
FULL_32 = 0xFFFFFFFF
MAX_NAME = 0xFFFF

# The first release of the format that has fields of 64 bits.
VERSION = 45
# Names are UTF-8.
FLAGS = 0x800
# The earliest there is, so that the same arrays give the same file: 1 January 1980.
DATE = (1 << 5) | 1

COPIED = 1 << 20


class NpzStream:
    """
    An .npz file that is being written, as `numpy.load` reads it: a zip without compression (PKWARE,
    APPNOTE 6.3, sections 4.3 and 4.5). The same arrays give the same bytes.

    # Parameters

    path : `Path`
        The file; it is whole once the `with` block is left without an error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open_files = ExitStack()
        self._number = 0

    def __enter__(self) -> "NpzStream":
        self._file = self._open_files.enter_context(open(self._path, "wb"))
        # the directory, which comes at the end
        self._directory = self._open_files.enter_context(TemporaryFile(dir=self._path.parent))
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        with self._open_files:
            if error is None:
                self._finish()

    def write(self, name: str, array: numpy.ndarray) -> None:
        """
        Adds an array.

        # Raises

        `ValueError` for a name that is too long for a zip.
        """
        member = f"{name}.npy".encode()
        if len(member) > MAX_NAME:
            raise ValueError(
                f"A name in a zip must have at most {MAX_NAME} bytes; found {len(member)}"
            )
        content = io.BytesIO()
        npy.write_array(content, array, allow_pickle=False)
        data = content.getbuffer()
        start, size, check = self._file.tell(), len(data), zlib.crc32(data)
        # both sizes, where one field is too small
        wide = [size, size] if size >= FULL_32 else []
        short = min(size, FULL_32)
        common = (FLAGS, 0, 0, DATE, check, short, short, len(member))
        extra = _extra(wide)
        self._file.write(struct.pack("<4s5H3L2H", b"PK\3\4", VERSION, *common, len(extra)))
        self._file.write(member + extra)
        self._file.write(data)

        extra = _extra(wide + ([start] if start >= FULL_32 else []))
        fields = (VERSION, VERSION, *common, len(extra), 0, 0, 0, 0, min(start, FULL_32))
        self._directory.write(struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields) + member + extra)
        self._number += 1

    def _finish(self) -> None:
        start, size = self._file.tell(), self._directory.tell()
        self._directory.seek(0)
        while block := self._directory.read(COPIED):
            self._file.write(block)
        if self._number >= FULL_16 or max(start, size) >= FULL_32:
            numbers = (44, VERSION, VERSION, 0, 0, self._number, self._number, size, start)
            self._file.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", *numbers))
            self._file.write(struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1))
        number = min(self._number, FULL_16)
        ends = (0, 0, number, number, min(size, FULL_32), min(start, FULL_32), 0)
        self._file.write(struct.pack("<4s4H2LH", b"PK\5\6", *ends))


def _extra(numbers: list[int]) -> bytes:
    return struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
