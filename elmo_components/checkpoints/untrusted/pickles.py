"""
Reads tensors from files that `torch.save` wrote, without executing or trusting them.

`torch.load` allocates any declared size and reads the whole model, and old versions read past the
end of a storage. Here `Unpickler` reads the index, and storages are read as bytes. There are two
layouts: the zip of torch 1.6 and later; and the older one, which has a header of three pickles, the
pickle of a state dict, that of its storages' keys, and each storage after its length.
"""

import zipfile
from collections.abc import Iterable
from math import prod
from pathlib import Path

import torch

from elmo_components.alphabet import shown
from elmo_components.checkpoints.untrusted.unpickler import MAX_PICKLE, Storage, Unpickler, View
from elmo_components.checkpoints.untrusted.zips import is_zip, open_zip

__all__ = ["TensorFile"]

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
LENGTH_BYTES = 8


class TensorFile:
    """
    The tensors in a file of a state dict. Only its index is read at first.

    # Parameters

    shapes : `dict[str, tuple[int, ...]]`
        The shape of each tensor of floating-point numbers.

    # Raises

    `ValueError` for a broken file, and for one that declares more numbers than it has.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_zip = is_zip(path)
        # the offset of each storage in the older layout
        self._places: dict[str, int] = {}
        state = self._zip_index() if self._is_zip else self._legacy_index()
        if not isinstance(state, dict):
            raise ValueError(f"It must hold a dict of tensors; found {type(state).__name__}")
        self._views = {
            name: value
            for name, value in state.items()
            if isinstance(value, View)
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
        # views of a small storage could fill the memory
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
                return Unpickler(file.read(MAX_PICKLE)).load_next()

    def _legacy_index(self) -> object:
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            unpickler = Unpickler(file.read(MAX_PICKLE))
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

    def _read_zip(self, storages: Iterable[Storage]) -> dict[Storage, torch.Tensor]:
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

    def _read_legacy(self, storages: Iterable[Storage]) -> dict[Storage, torch.Tensor]:
        found = {}
        with self._path.open("rb") as file:
            for storage in storages:
                file.seek(self._places[storage.key])
                found[storage] = _numbers(file.read(storage.num_bytes), storage)
        return found


def _check_byte_order(is_little: bool) -> None:
    if not is_little:
        raise ValueError("Its numbers must be little-endian")


def _numbers(data: bytes, storage: Storage) -> torch.Tensor:
    if len(data) != storage.num_bytes:
        raise ValueError(f"The storage {shown(storage.key)} ends too early")
    if not data:
        return torch.empty(0, dtype=torch.float32, device="cpu")
    # (size,)
    return torch.frombuffer(bytearray(data), dtype=storage.dtype).float()
