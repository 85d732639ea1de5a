"""Every broken file in fixtures/broken/ is refused in words that name what is wrong with it."""

import os
import runpy
import time
from pathlib import Path

import pytest

from elmo_components.checkpoints import CheckpointError, load

BIAS = r"char_cnn\.convolutions\.0\.bias"
ARRAY = r"CNN/b_cnn_0"
OUT = r"its member '\S*escaped' would lie outside of it"
MEMBER = "must be a file or a folder"

# What each message must have in it, beside the file's name.
REASONS = {
    "archives/absolute_path.tar.gz": OUT,
    "archives/bomb.tar.gz": r"weights\.th\' has 1,099,511,627,776 bytes",
    "archives/code.tar.gz": "it must hold one biLM",
    "archives/deep_config.tar.gz": r"config\.json.* nested",
    "archives/link_out.tar.gz": f"its member 'vocabulary' {MEMBER}",
    "archives/path_out.tar.gz": OUT,
    "archives/pipe.tar.gz": rf"its member 'weights\.th' {MEMBER}",
    "archives/truncated.tar.gz": "Compressed file ended",
    "archives/twice.tar.gz": r"it must have 'config\.json' once",
    "many_langs/code": r"token_embedder\.pkl cannot be used: .*evil is not a parameter",
    "many_langs/deep_pickle": r"token_embedder\.pkl cannot be used",
    "many_langs/path_of_config": "config_path must name a file .*found 'hostname'",
    "many_langs/rows_twice": r"char\.dic cannot be used: its line 2",
    "native/deep_options.safetensors": "nested",
    "native/endless_layers.safetensors": "num_layers must be at most 100; found 1000000000",
    "native/header_of_an_exabyte.safetensors": "found 1,152,921,504,606,846,976",
    "native/huge_options.safetensors": r"0\.bias is of shape \(8,\), not \(4000000000,\)",
    "native/overlapping.safetensors": "more",
    "native/truncated.safetensors": "is not a whole safetensors file",
    "native/wrong_shape.safetensors": rf"{BIAS} is of shape \(1, 1\), not \(1,\)",
    "native/wrong_type.safetensors": f"{BIAS} must hold F32, F16, BF16, not I32",
    "options/deep": r"options\.json cannot be used: .*nested",
    "options/endless_number": r"options\.json cannot be used: .*20 digits; found 5000",
    "options/list": "must be an object; found list",
    "options/not_a_number": "cell_clip must be above 0 and finite, .*found nan",
    "options/not_utf8": "can't decode byte 0xff",
    "options/unknown_key": r"char_cnn\.filter is not known",
    "published/deep_groups.hdf5": "a is not a parameter",
    "published/empty.hdf5": "is not a whole HDF5 file",
    "published/external_link.hdf5": "char_embed must be an array or a group, not a link",
    "published/links_in_a_circle.hdf5": "a must be .* not a link; b must be .* not a link",
    "published/nothing_stored_weights.hdf5": "LSTMCell/B has 4,000,000,000 numbers",
    "published/numbers_elsewhere.hdf5": f"{ARRAY} must be stored in this file",
    "published/reference.hdf5": f"{ARRAY} must hold floating-point numbers",
    "published/round.hdf5": "round is not a parameter",
    "published/text.hdf5": f"{ARRAY} must hold floating-point numbers",
    "published/truncated.hdf5": "is not a whole HDF5 file",
    "published/virtual.hdf5": f"{ARRAY} must be stored in this file",
    "zips/bomb.zip": r"options\.json.* 16,777,217",
    "zips/no_weights.zip": r"model\.hdf5 is not a whole HDF5 file",
    "zips/path_out.zip": OUT,
    "zips/truncated.zip": "is not a whole zip",
}


def cases(folder: Path) -> list[str]:
    """Returns what is to be read in a folder of such files."""
    return [
        str(path.relative_to(folder))
        for kind in sorted(folder.iterdir())
        if kind.is_dir() and kind.name != "__pycache__"
        for path in sorted(kind.iterdir())
        # options stand beside their weights
        if path.suffix != ".json"
    ]


def test_each_file_has_a_reason(fixtures: Path) -> None:
    assert cases(fixtures / "broken") == sorted(REASONS)


@pytest.mark.parametrize("name", sorted(REASONS))
def test_a_broken_file_is_refused_at_once_and_nothing_is_run_or_written(
    fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # where a command or a path would leave something
    monkeypatch.chdir(tmp_path)
    folder = fixtures / "broken"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    start = time.process_time()
    with pytest.raises(CheckpointError, match=REASONS[name]) as error:
        load(folder / name, softmax=True)
    assert time.process_time() - start < 1.0
    assert str(folder / name) in str(error.value)
    assert list(tmp_path.iterdir()) == [] and not os.path.exists("/tmp/escaped")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_remaking_gives_the_same_files(fixtures: Path, tmp_path: Path) -> None:
    runpy.run_path(str(fixtures / "broken" / "make.py"))["make"](tmp_path)
    assert cases(tmp_path) == sorted(REASONS)
    for path in tmp_path.rglob("*"):
        # HDF5 and zlib of other versions write other bytes of the same meaning
        if path.suffix in (".json", ".safetensors", ".pkl", ".dic"):
            committed = fixtures / "broken" / path.relative_to(tmp_path)
            assert path.read_bytes() == committed.read_bytes(), path
