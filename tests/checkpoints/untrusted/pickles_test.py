"""Tests that tensors are read out of pickles, and nothing else."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from elmo_components.checkpoints.untrusted.pickles import MAGIC, VERSION, TensorFile

LAYOUTS = (False, True)


def tensors() -> dict[str, torch.Tensor]:
    return OrderedDict(a=torch.arange(6.0).view(2, 3), b=torch.tensor([0.5, -1.0, 2.0]))


def saved(state: Any, path: Path, *, newer: bool = False, **settings: Any) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=newer, **settings)
    return path


def read(path: Path) -> dict[str, torch.Tensor]:
    file = TensorFile(path)
    return file.read(file.shapes)


def legacy(program: bytes) -> bytes:
    """Returns a file of the older layout with the pickle of a state dict."""
    machine = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {}}
    head = b"".join(pickle.dumps(part, protocol=2) for part in (MAGIC, VERSION, machine))
    return head + program + pickle.dumps([], protocol=2)


def rezipped(path: Path, name: str, change: Callable[[bytes], bytes], compression: int = 0) -> None:
    """Changes one member of a zip."""
    result = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(result, "w", compression) as target:
        for member in source.namelist():
            data = source.read(member)
            target.writestr(member, change(data) if member.endswith(name) else data)
    path.write_bytes(result.getvalue())


class Calls:
    """Its pickle calls a function."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("newer", LAYOUTS)
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", ["dict", "parameters", "views", "module"])
def test_state_dicts_are_read(tmp_path: Path, newer: bool, protocol: int, kind: str) -> None:
    state = tensors()
    if kind == "dict":
        state = dict(state)
    elif kind == "parameters":
        state = {name: torch.nn.Parameter(tensor) for name, tensor in state.items()}
    elif kind == "views":
        state["a"] = torch.arange(-2.0, 10.0).view(4, 3)[1:3].t().contiguous().t()
        state["b"] = torch.arange(10.0)[2::3]
    else:
        # with attributes
        state = torch.nn.Linear(3, 2).state_dict()
    found = read(saved(state, tmp_path / "x.pkl", newer=newer, pickle_protocol=protocol))
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].is_contiguous() and torch.equal(found[name], tensor), name


@pytest.mark.parametrize("newer", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_every_floating_point_dtype_becomes_float32(
    tmp_path: Path, newer: bool, dtype: torch.dtype
) -> None:
    found = read(saved({"a": torch.tensor([1.5, -2.0], dtype=dtype)}, tmp_path / "x", newer=newer))
    assert torch.equal(found["a"], torch.tensor([1.5, -2.0]))


@pytest.mark.parametrize("newer", LAYOUTS)
def test_other_values_are_passed_over(tmp_path: Path, newer: bool) -> None:
    state = {"step": torch.arange(5), "flag": torch.ones(3, dtype=torch.bool), 7: "x", **tensors()}
    state["complex"] = torch.zeros(2, dtype=torch.complex64)
    file = TensorFile(saved(state, tmp_path / "x.pkl", newer=newer))
    assert file.shapes == {"a": (2, 3), "b": (3,)}
    assert torch.equal(file.read(["b"])["b"], state["b"])


@pytest.mark.parametrize("newer", LAYOUTS)
def test_tied_weights_are_read(tmp_path: Path, newer: bool) -> None:
    state = tensors()
    state["again"] = state["a"]
    found = read(saved(state, tmp_path / "x.pkl", newer=newer))
    assert torch.equal(found["again"], state["a"])


@pytest.mark.parametrize("newer", LAYOUTS)
def test_a_model_of_many_tensors_is_read(tmp_path: Path, newer: bool) -> None:
    # as a transformer names them; their index takes over 256 KB
    name = "_text_field_embedder.token_embedder_tokens.transformer_model.encoder.layer.{}.weight"
    state = {name.format(number): torch.ones(1) for number in range(2000)}
    path = saved(state, tmp_path / "x.pkl", newer=newer)
    with zipfile.ZipFile(saved(state, tmp_path / "zip", newer=True)) as archive:
        (index,) = (item for item in archive.infolist() if item.filename.endswith("/data.pkl"))
        assert index.file_size > 1 << 18
    assert read(path).keys() == state.keys()


def test_the_default_device_does_not_matter(tmp_path: Path) -> None:
    if not hasattr(torch, "set_default_device"):
        pytest.skip("torch 2 has default devices")
    path = saved(tensors(), tmp_path / "x.pkl")
    torch.set_default_device("meta")
    try:
        found = read(path)
    finally:
        torch.set_default_device("cpu")
    assert torch.equal(found["a"], tensors()["a"])


def test_an_ordered_dict_of_python_2_is_read(tmp_path: Path) -> None:
    # its pairs were arguments, its strings bytes
    program = b"\x80\x02ccollections\nOrderedDict\n]]U\x01aaK\x05aa\x85R."
    (tmp_path / "x.pkl").write_bytes(legacy(program))
    assert TensorFile(tmp_path / "x.pkl").names == ["a"]


@pytest.mark.parametrize("newer", LAYOUTS)
def test_nothing_is_executed(tmp_path: Path, newer: bool) -> None:
    mark = tmp_path / "executed"
    touch = Calls(open, str(mark), "w")
    for call in (touch, Calls(exec, f"open({str(mark)!r}, 'w')"), Calls(getattr, touch, "close")):
        for state in (call, {"a": call}, OrderedDict(a=call), {"a": [call]}):
            try:
                found = read(saved(state, tmp_path / "x.pkl", newer=newer))
            except ValueError:
                continue
            assert found == {}
    assert not mark.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"\x80\x02NN",
        b"\x80\x02t.",
        b"\x80\x02NNNs.",
        b"\x80\x02R.",
        b"\x80\x02K\x01)R.",
        b"\x80\x02h\x05.",
        b"\x80\x02\xff.",
        b"\x80\xff.",
        # other opcodes make objects
        b"cos\nsystem\n(S'true'\ntR.",
        b"(ios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"\x80\x02cos\nsystem\n)\x81.",
        b"\x80\x02\x82\x01.",
        # lengths and places that no file has
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
        b"\x80\x04\x96" + struct.pack("<Q", 1 << 40) + b"x.",
        b"\x80\x02X" + struct.pack("<I", 0xFFFFFFFF) + b"x.",
        b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"x.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"I" + b"9" * 100_000 + b"\n.",
        # nested deeply, as a value, a key, an identity, a function
        b"\x80\x02N" + b"\x85" * 100_000 + b".",
        b"\x80\x02}N" + b"\x85" * 100_000 + b"K\x01s.",
        b"\x80\x02ccollections\nOrderedDict\n]]N" + b"\x85" * 100_000 + b"aK\x01aa\x85R.",
        b"\x80\x02N" + b"\x85" * 100_000 + b"Q.",
        b"\x80\x02N" + b"\x85" * 100_000 + b")R.",
        # a tuple of twice the last one, sixty times
        b"\x80\x02)" + b"\x86".join([b"q\0h\0"] * 60) + b"\x86.",
        # more than the limit
        b"\x80\x02" + b"N" * (5 << 20) + b".",
    ],
    ids=lambda program: repr(program[:12]),
)
def test_broken_and_hostile_programs_are_refused(tmp_path: Path, program: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(legacy(program))
    with pytest.raises(ValueError):
        TensorFile(tmp_path / "x.pkl")


@pytest.mark.parametrize("newer", LAYOUTS)
@pytest.mark.parametrize("size", [7, 1 << 40, 1 << 62])
def test_a_storage_larger_than_the_file_is_refused(tmp_path: Path, newer: bool, size: int) -> None:
    path = saved(tensors(), tmp_path / "x.pkl", newer=newer)
    # of "a", which has 6 numbers
    code = b"\x8a\x08" + struct.pack("<q", size)
    if newer:
        rezipped(path, "data.pkl", lambda data: data.replace(b"K\x06", code, 1))
    else:
        path.write_bytes(path.read_bytes().replace(b"K\x06", code, 1))
    with pytest.raises(ValueError, match=r"The storage \S+ must have"):
        read(path)


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path: Path) -> None:
    for state in (
        {"a": torch.ones(1).expand(1000)},
        {"a": torch.ones(9), "b": torch.ones(9)},
    ):
        if "b" in state:
            state["b"] = state["a"][1:]
        with pytest.raises(ValueError, match="must not overlap"):
            read(saved(state, tmp_path / "x.pkl"))
    path = saved(tensors(), tmp_path / "x.pkl")
    # an offset of 1
    path.write_bytes(path.read_bytes().replace(b"K\x00K\x02K\x03\x86", b"K\x01K\x02K\x03\x86", 1))
    with pytest.raises(ValueError, match="must lie within its storage"):
        read(path)


@pytest.mark.parametrize("newer", [False, True])
def test_a_stride_that_torch_cannot_count_is_refused(tmp_path: Path, newer: bool) -> None:
    state = {"a": torch.empty_strided((1, 2), (1 << 61, 1)).fill_(0)}
    path = saved(state, tmp_path / "x.pkl", newer=newer)
    assert read(path)["a"].shape == (1, 2)
    numbers = [number.to_bytes(8, "little") for number in (1 << 61, (1 << 63) - 1)]
    if newer:
        rezipped(path, "data.pkl", lambda data: data.replace(*numbers))
    else:
        path.write_bytes(path.read_bytes().replace(*numbers))
    with pytest.raises(ValueError, match="a shape and strides"):
        read(path)


def test_compressed_storages_are_refused(tmp_path: Path) -> None:
    path = saved(tensors(), tmp_path / "x.pkl", newer=True)
    rezipped(path, "data.pkl", bytes, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="not compressed"):
        read(path)


def test_big_endian_and_longer_files_are_refused(tmp_path: Path) -> None:
    path = saved(tensors(), tmp_path / "x.pkl")
    contents = path.read_bytes()
    path.write_bytes(contents + b"x")
    with pytest.raises(ValueError, match="must end with its last storage"):
        read(path)
    path.write_bytes(contents.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89"))
    with pytest.raises(ValueError, match="little-endian"):
        read(path)


@pytest.mark.parametrize("newer", LAYOUTS)
def test_any_byte_may_be_wrong(tmp_path: Path, newer: bool) -> None:
    path = saved(tensors(), tmp_path / "x.pkl", newer=newer)
    contents = path.read_bytes()
    for place in range(0, len(contents), 5):
        path.write_bytes(contents[:place] + bytes([contents[place] ^ 0xFF]) + contents[place + 1 :])
        try:
            read(path)
        except ValueError:
            continue
