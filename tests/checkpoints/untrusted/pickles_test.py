"""Tests of checkpoints/pickled_tensors.py and pickle_program.py: nothing is executed."""

import io
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from elmo_components.checkpoints.untrusted.pickle_program import unpickled
from elmo_components.checkpoints.untrusted.pickles import (
    MAGIC,
    MAX_PICKLE,
    VERSION,
    read_tensors,
)

SHAPES = {"a": (2, 3), "b": (3,)}
NEWER = (False, True)


def tensors() -> dict[str, torch.Tensor]:
    return OrderedDict(a=torch.arange(6.0).view(2, 3), b=torch.tensor([0.5, -1.0, 2.0]))


def saved(state: Any, path: Path, *, newer: bool = False) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=newer)
    return path


def legacy(program: bytes, *, keys: bytes = b"\x80\x02]q\x00.", rest: bytes = b"") -> bytes:
    """Returns a file of old torch's with the pickle of a state dict."""
    machine = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {}}
    head = b"".join(pickle.dumps(part, protocol=2) for part in (MAGIC, VERSION, machine))
    return head + program + keys + rest


class Calls:
    """Its pickle calls what it is told to."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("newer", NEWER)
@pytest.mark.parametrize("kind", ["dict", "parameters", "views", "module"])
def test_what_torch_saves_is_read(tmp_path: Path, newer: bool, kind: str) -> None:
    state = tensors()
    if kind == "dict":
        state = dict(state)
    elif kind == "parameters":
        state = {name: torch.nn.Parameter(tensor) for name, tensor in state.items()}
    elif kind == "views":
        # other strides and offsets
        state["a"] = torch.arange(-2.0, 10.0).view(4, 3)[1:3].t().contiguous().t()
        state["b"] = torch.arange(10.0)[2::3]
    else:
        module = torch.nn.Linear(3, 2)
        # it has versions for attributes
        state = module.state_dict(prefix="")
        state["a"], state["b"] = state.pop("weight"), state.pop("bias")
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    found = read_tensors(saved(state, tmp_path / "x.pkl", newer=newer), shapes)
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == torch.float32 and found[name].is_contiguous()
        assert torch.equal(found[name], tensor), name


def test_an_ordered_dict_of_python_2_is_read(tmp_path: Path) -> None:
    # its pairs were arguments: a list of lists, and strings were bytes
    code = b"\x80\x02ccollections\nOrderedDict\n](](U\x01aK\x01ee\x85R."
    assert unpickled(io.BytesIO(code), limit=100) == {"a": 1}


@pytest.mark.parametrize("newer", NEWER)
@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": torch.zeros(2, 3)}, "b is missing"),
        ({**tensors(), "c": torch.zeros(1)}, "c is not a part of it"),
        ({**tensors(), 7: torch.zeros(1)}, "7 is not a part of it"),
        ({**tensors(), "b": torch.zeros(4)}, r"b is of shape \(4,\), not \(3,\)"),
        ({**tensors(), "b": torch.zeros(3, dtype=torch.int64)}, "b must be a tensor of floating"),
        ({**tensors(), "b": [1.0, 2.0, 3.0]}, "b must be a tensor of floating"),
        ({"a": tensors()["a"], "b": torch.zeros(1).expand(3)}, "Its tensors share their numbers"),
        ([1, 2], "It must hold a dict of tensors; found list"),
        (7, "It must hold a dict of tensors; found int"),
        ({("a",): 1}, "keys of a dict must be strings; found a tuple"),
    ],
)
def test_what_is_not_wanted_is_named(tmp_path: Path, newer: bool, state: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_tensors(saved(state, tmp_path / "x.pkl", newer=newer), SHAPES)


@pytest.mark.parametrize("newer", NEWER)
def test_nothing_is_executed(tmp_path: Path, newer: bool) -> None:
    mark = tmp_path / "executed"
    for call in (
        (exec, f"open({str(mark)!r}, 'w')"),
        (open, str(mark), "w"),
        (OrderedDict, Calls(open, str(mark), "w")),
        (getattr, Calls(open, str(mark), "w"), "close"),
    ):
        for state in ({"a": Calls(*call)}, Calls(*call)):
            with pytest.raises(ValueError, match=r"must be a tensor|must hold a dict|must have a"):
                read_tensors(saved(state, tmp_path / "x.pkl", newer=newer), {"a": (1,)})
    assert not mark.exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"", "pickle exhausted before seeing STOP"),
        (b"\x80\x02", "pickle exhausted before seeing STOP"),
        (b"\x80\x02.", "must hold one object"),
        (b"\x80\x02NN.", "must hold one object"),
        (b"\x80\x02t.", "must set a mark"),
        (b"\x80\x02NNNs.", "must have a dict here"),
        (b"\x80\x02NN\x87.", "must have 3 objects"),
        (b"\x80\x02h\x05.", "no whole pickle: KeyError"),
        (b"\x80\x02R.", "no whole pickle: IndexError"),
        (b"\x80\x02K\x01)R.", "may call nothing but what it names"),
        (b"\x80\x02cos\nsystem\nK\x01R.", "may call nothing but what it names"),
        (b"\x80\x02cos\n(K\x01i", "no newline found"),
        (b"\x80\x02cos\nsystem\n)\x81.", "does not ask for NEWOBJ"),
        (b"\x80\x02K\x012.", "does not ask for DUP"),
        (b"\x80\x02\xff.", "opcode"),
        (b"\x80\x02N}b.", "must have a dict here; found NoneType"),
        # lengths that no file has
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x", "expected 1152921504606846976 bytes"),
        (b"\x80\x02X" + struct.pack("<I", 0xFFFFFFFF) + b"x", "expected 4294967295 bytes"),
        (
            b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"x",
            "not enough data in stream to read long4",
        ),
        # a place to put something aside for which a list would take 64 GB
        (b"\x80\x02Nr\xff\xff\xff\x7f0.", "does not ask for POP"),
        (b"\x80\x02" + b"N" * 5000, "at most 4,096 bytes"),
    ],
)
def test_broken_programs_are_an_error(code: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpickled(io.BytesIO(code), limit=4096)


def test_what_is_nested_deep_does_no_harm(tmp_path: Path) -> None:
    deep = b"\x80\x02N" + b"\x85" * 100_000
    for program in (
        deep + b".",
        b"\x80\x02}" + deep[2:] + b"K\x01s.",
        b"\x80\x02}X\x01\x00\x00\x00a" + deep[2:] + b"s.",
        b"\x80\x02}X\x01\x00\x00\x00a" + deep[2:] + b"Qs.",
        deep + b")R.",
    ):
        (tmp_path / "x.pkl").write_bytes(legacy(program))
        with pytest.raises(ValueError):
            read_tensors(tmp_path / "x.pkl", {"a": (1,)})
    deep_keys = b"\x80\x02]N" + b"\x85" * 30_000 + b"a."
    (tmp_path / "x.pkl").write_bytes(legacy(b"\x80\x02}.", keys=deep_keys))
    with pytest.raises(ValueError, match="list of storages is not that of its tensors"):
        read_tensors(tmp_path / "x.pkl", {})


def test_a_program_stops_where_it_says() -> None:
    file = io.BytesIO(b"\x80\x02K\x07.\x80\x02]q\x00.rest")
    assert unpickled(file, limit=100) == 7 and unpickled(file, limit=100) == []
    assert file.read() == b"rest"


@pytest.mark.parametrize("size", [7, 1 << 40, 1 << 62])
def test_a_storage_of_another_size_is_refused_before_it_is_made(tmp_path: Path, size: int) -> None:
    for newer in NEWER:
        path = saved(tensors(), tmp_path / "x.pkl", newer=newer)
        # of "a", which has 6 numbers: in the pickle, and for old torch before the numbers too
        code = b"\x8a" + bytes([8]) + struct.pack("<q", size)
        contents = path.read_bytes()
        if newer:
            contents = rezipped(path, "data.pkl", partial(replaced, new=code))
        else:
            contents = contents.replace(b"K\x06", code, 1)
        path.write_bytes(contents)
        with pytest.raises(ValueError, match=r"The storage \S+ must|as large as its tensors"):
            read_tensors(path, SHAPES)


def replaced(data: bytes, *, new: bytes) -> bytes:
    return data.replace(b"K\x06", new, 1)


def rezipped(path: Path, name: str, change: Any, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Returns a zip with one member changed."""
    result = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(result, "w", compression) as target:
        for member in source.namelist():
            data = source.read(member)
            target.writestr(member, change(data) if member.endswith(name) else data)
    return result.getvalue()


def test_storages_that_are_not_stored_as_they_are_are_refused(tmp_path: Path) -> None:
    path = saved(tensors(), tmp_path / "x.pkl", newer=True)
    assert read_tensors(path, SHAPES).keys() == SHAPES.keys()
    contents = path.read_bytes()
    path.write_bytes(rezipped(path, "data.pkl", bytes, zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match="as they are"):
        read_tensors(path, SHAPES)
    path.write_bytes(contents)
    path.write_bytes(rezipped(path, "data.pkl", lambda data: data + b" " * MAX_PICKLE))
    with pytest.raises(ValueError, match=rf"one member data\.pkl, of at most {MAX_PICKLE:,} bytes"):
        read_tensors(path, SHAPES)


def test_what_comes_behind_the_tensors_is_refused(tmp_path: Path) -> None:
    path = saved(tensors(), tmp_path / "x.pkl")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ValueError, match="more bytes than its tensors"):
        read_tensors(path, SHAPES)


def test_numbers_of_the_other_byte_order_are_refused(tmp_path: Path) -> None:
    path = saved(tensors(), tmp_path / "x.pkl")
    assert b"little_endianq\x02\x88" in path.read_bytes()
    path.write_bytes(
        path.read_bytes().replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89")
    )
    with pytest.raises(ValueError, match="begins numbers with their lowest byte"):
        read_tensors(path, SHAPES)


@pytest.mark.parametrize("newer", NEWER)
def test_any_byte_may_be_wrong(tmp_path: Path, newer: bool) -> None:
    path = saved(tensors(), tmp_path / "x.pkl", newer=newer)
    contents = path.read_bytes()
    for place in range(0, len(contents), 3):
        broken = bytearray(contents)
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        try:
            found = read_tensors(path, SHAPES)
        except ValueError:
            continue
        # it was a number, or what nobody asks for
        assert {name: tuple(tensor.shape) for name, tensor in found.items()} == SHAPES


def test_the_programs_of_torch_are_as_expected(tmp_path: Path) -> None:
    with zipfile.ZipFile(saved(tensors(), tmp_path / "x.pkl", newer=True)) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        names = {opcode.name for opcode, _, _ in pickletools.genops(archive.read(name))}
    assert {"GLOBAL", "BINPERSID", "REDUCE", "SETITEMS"} <= names
