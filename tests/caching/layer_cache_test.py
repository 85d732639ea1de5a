"""Tests of layer_cache.py, most of them through the biLM that it keeps the layers of."""

import copy
import logging
import os
import pickle
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import torch

from elmo_components.caching.layer_cache import LayerCache
from elmo_components.characters import CharacterMapper
from elmo_components.elmo import Elmo
from elmo_components.modules.bilm import BiLm
from tests.closeness import assert_close

# A row of the tiny model: 2 * 3 - 1 vectors of 8 numbers.
ROW = 5 * 8 * 4


@pytest.fixture
def bilm(tiny: Elmo) -> BiLm:
    return tiny.bilm


def ids_of(*sentences: str) -> torch.Tensor:
    return CharacterMapper().batch_ids([sentence.split() for sentence in sentences])


def check(
    cache: LayerCache,
    bilm: BiLm,
    *sentences: str,
    computes: Optional[int] = None,
    tolerance: float = 1e-6,
) -> None:
    """Holds what the cache returns to the biLM's, and the sentences computed to a number."""
    computed = []
    forward = bilm.forward

    def counting(character_ids: torch.Tensor, state: Any = None) -> Any:
        computed.append(len(character_ids))
        return forward(character_ids, state)

    bilm.forward = counting  # type: ignore[method-assign]
    layers, mask = cache.layers(ids_of(*sentences), bilm)
    del bilm.forward
    expected = bilm(ids_of(*sentences))
    assert_close(layers, expected.layers, tolerance)
    assert torch.equal(mask, expected.mask)
    if computes is not None:
        assert sum(computed) == computes


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., LayerCache]:
    path = tmp_path / "a" / "b" if request.param == "file" else None
    return lambda max_bytes=10**6, dtype="float32": LayerCache(max_bytes, dtype=dtype, path=path)


def test_a_sentence_seen_before_is_not_computed_again(make: Callable, bilm: BiLm) -> None:
    cache = make()
    check(cache, bilm, "The bank", "of the river", computes=2)
    check(cache, bilm, "of the river", "The bank", computes=0)
    check(cache, bilm, "of the river", "The bank of it all", "The bank", computes=1)
    check(cache, bilm, "The bank of it all", computes=0)
    assert len(cache) == 3


def test_what_is_kept_is_returned_bit_for_bit(make: Callable, bilm: BiLm) -> None:
    cache = make()
    first, _ = cache.layers(ids_of("The bank", "of the river"), bilm)
    second, _ = cache.layers(ids_of("of the river", "The bank"), bilm)
    assert torch.equal(first, second.flip(1))


def test_a_sentence_that_comes_twice_in_a_batch_is_computed_once(
    make: Callable, bilm: BiLm
) -> None:
    cache = make()
    check(cache, bilm, "a b", "c", "a b", computes=2)
    assert len(cache) == 2


def test_sentences_and_batches_may_be_empty(make: Callable, bilm: BiLm) -> None:
    cache = make()
    for _ in range(2):
        check(cache, bilm, "", "a")
        check(cache, bilm, "")
    layers, mask = cache.layers(ids_of("a")[:0], bilm)
    assert layers.shape == (3, 0, 3, 16)
    assert mask.shape == (0, 3)


def test_more_than_there_is_room_for_is_computed_each_time(
    make: Callable, bilm: BiLm, caplog: pytest.LogCaptureFixture
) -> None:
    # two sentences of two tokens and two marks, and a bit
    cache = make(2 * 4 * ROW + 100)
    for _ in range(2):
        check(cache, bilm, "a b", "c d", "e f")
    check(cache, bilm, "a b", "c d", computes=0)
    check(cache, bilm, "e f", "g h", computes=2)
    assert len(cache) == 2
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "The layers of 2 sentences are kept, 1.28e-06 GB" in record.getMessage()


def test_float16_rounds_all_layers_alike_and_takes_half_the_room(
    make: Callable, bilm: BiLm
) -> None:
    cache = make(2 * 4 * ROW // 2, "float16")
    sentences = "a b", "c d", "e f"
    exact = bilm(ids_of(*sentences)).layers
    for _ in range(2):
        layers, _ = cache.layers(ids_of(*sentences), bilm)
        assert len(cache) == 2
        # half a unit in the last of 11 bits, and what a batch's composition makes of rounding
        torch.testing.assert_close(layers, exact.half().float(), rtol=2.0**-10, atol=1e-6)
        assert torch.equal(layers, layers.half().float())


@pytest.mark.parametrize(
    "change",
    [
        lambda weight: weight.mul_(2.0),
        lambda weight: setattr(weight, "data", weight * 2.0),
    ],
    ids=["in place", "through .data"],
)
@pytest.mark.parametrize("name", ["char_cnn.projection.weight", "lstm.forward_layers.1.bias"])
def test_other_weights_empty_it(make: Callable, bilm: BiLm, change: Callable, name: str) -> None:
    cache = make()
    check(cache, bilm, "a b", computes=1)
    before, _ = cache.layers(ids_of("a b"), bilm)
    with torch.no_grad():
        change(bilm.get_parameter(name))
    check(cache, bilm, "a b", computes=1)
    assert not torch.allclose(cache.layers(ids_of("a b"), bilm)[0], before)


def test_another_bilm_empties_it(make: Callable, bilm: BiLm) -> None:
    cache, other = make(), BiLm(bilm.config).requires_grad_(False)
    for model in (bilm, other, bilm):
        check(cache, model, "a b", computes=1)


def test_a_copy_is_empty(make: Callable, bilm: BiLm) -> None:
    cache = make(7000, "float16")
    cache.layers(ids_of("a b"), bilm)
    for copied in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert len(copied) == 0
        assert (copied.max_bytes, copied.dtype) == (7000, "float16")
        assert copied.path == cache.path
        check(copied, bilm, "a b", computes=1, tolerance=0.001)


def test_bad_ids_are_refused_as_ever(make: Callable, bilm: BiLm) -> None:
    cache = make()
    cache.layers(ids_of("a b", "a b c"), bilm)
    gap = ids_of("a b x c")
    gap[0, 2] = 0
    large = ids_of("a b")
    large[0, 1, 1] += 1 << 16
    for ids in (gap, large, ids_of("a b").int(), ids_of("a b")[..., :40]):
        with pytest.raises(ValueError, match="must be"):
            bilm(ids)
        with pytest.raises(ValueError, match="must be"):
            cache.layers(ids, bilm)


def test_several_threads_may_use_it(make: Callable, bilm: BiLm) -> None:
    cache = make(60 * ROW)
    sentences = [f"{first} {second}" for first in "abcd" for second in "wxyz"]
    expected = bilm(ids_of(*sentences)).layers
    wrong = []

    def read(seed: int) -> None:
        order = torch.Generator().manual_seed(seed)
        for _ in range(20):
            chosen = torch.randperm(len(sentences), generator=order)[:5]
            layers, _ = cache.layers(ids_of(*(sentences[place] for place in chosen)), bilm)
            if not torch.allclose(layers, expected[:, chosen], atol=1e-6):
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(cache) == 15


def test_the_size_and_the_dtype_are_checked() -> None:
    with pytest.raises(ValueError, match="room for 1 byte or more; found 0"):
        LayerCache(0)
    with pytest.raises(ValueError, match="dtype must be one of float32, float16; found 'int8'"):
        LayerCache(1, dtype="int8")


def test_a_process_that_is_killed_leaves_no_file(tmp_path: Path, tiny_folder: Path) -> None:
    code = f"""
import os, signal
from elmo_components import CharacterMapper, Elmo
from elmo_components.caching.layer_cache import LayerCache
cache = LayerCache(10**6, path={str(tmp_path)!r})
cache.layers(CharacterMapper().batch_ids([["a"]]), Elmo.from_pretrained({str(tiny_folder)!r}).bilm)
assert len(cache) == 1
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == -9, result.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_folder_that_can_be_made_layers_are_computed_and_that_is_said(
    tmp_path: Path, bilm: BiLm, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache = LayerCache(10**6, path=tmp_path / "file" / "folder")
    for _ in range(2):
        check(cache, bilm, "a b", computes=1)
    (record,) = caplog.records
    assert "The layers of 0 sentences are kept" in record.getMessage()
    assert str(tmp_path / "file") in record.getMessage()


def test_a_full_disk_ends_the_keeping_and_is_said(
    tmp_path: Path, bilm: BiLm, caplog: pytest.LogCaptureFixture
) -> None:
    cache = LayerCache(10**6, path=tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # the largest file that the process may write: one sentence and a half
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 * ROW, before[1]))
    try:
        for _ in range(2):
            check(cache, bilm, "a b", "c d", "e f")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    check(cache, bilm, "a b", computes=0)
    check(cache, bilm, "c d", computes=1)
    (record,) = caplog.records
    assert "The layers of 1 sentences are kept" in record.getMessage()


def test_the_file_has_the_size_of_what_is_kept(tmp_path: Path, bilm: BiLm) -> None:
    cache = LayerCache(10**6, path=tmp_path)
    check(cache, bilm, "a b", "c d e")
    store: Any = cache._held._store
    assert os.fstat(store._file.fileno()).st_size == (4 + 5) * ROW
