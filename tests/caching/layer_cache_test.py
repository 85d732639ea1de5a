"""Tests of layer_cache.py, most of them through the biLM that it keeps the layers of."""

import copy
import logging
import pickle
import threading
from typing import Any, Callable, Optional

import pytest
import torch
from torch.nn.utils import prune

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


def test_a_sentence_seen_before_is_not_computed_again(bilm: BiLm) -> None:
    cache = LayerCache(10**6)
    check(cache, bilm, "The bank", "of the river", computes=2)
    check(cache, bilm, "of the river", "The bank", computes=0)
    check(cache, bilm, "of the river", "The bank of it all", "The bank", computes=1)
    check(cache, bilm, "The bank of it all", computes=0)
    assert len(cache) == 3


def test_what_is_kept_is_returned_bit_for_bit(bilm: BiLm) -> None:
    cache = LayerCache(10**6)
    first, _ = cache.layers(ids_of("The bank", "of the river"), bilm)
    second, _ = cache.layers(ids_of("of the river", "The bank"), bilm)
    assert torch.equal(first, second.flip(1))


def test_sentences_and_batches_may_be_empty(bilm: BiLm) -> None:
    cache = LayerCache(10**6)
    for _ in range(2):
        check(cache, bilm, "", "a")
        check(cache, bilm, "")
    layers, mask = cache.layers(ids_of("a")[:0], bilm)
    assert layers.shape == (3, 0, 3, 16)
    assert mask.shape == (0, 3)


def test_more_than_there_is_room_for_is_computed_each_time(
    bilm: BiLm, caplog: pytest.LogCaptureFixture
) -> None:
    # two sentences of two tokens and two marks, and a bit
    cache = LayerCache(2 * 4 * ROW + 100)
    for _ in range(2):
        check(cache, bilm, "a b", "c d", "e f")
    check(cache, bilm, "a b", "c d", computes=0)
    check(cache, bilm, "e f", "g h", computes=2)
    assert len(cache) == 2
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "full with 2 sentences, 1.28e-06 GB" in record.getMessage()


def test_float16_rounds_all_layers_alike_and_takes_half_the_room(bilm: BiLm) -> None:
    cache = LayerCache(2 * 4 * ROW // 2, dtype="float16")
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
def test_other_weights_empty_it(bilm: BiLm, change: Callable, name: str) -> None:
    cache = LayerCache(10**6)
    check(cache, bilm, "a b", computes=1)
    before, _ = cache.layers(ids_of("a b"), bilm)
    with torch.no_grad():
        change(bilm.get_parameter(name))
    check(cache, bilm, "a b", computes=1)
    assert not torch.allclose(cache.layers(ids_of("a b"), bilm)[0], before)


def test_another_bilm_empties_it(bilm: BiLm) -> None:
    cache, other = LayerCache(10**6), BiLm(bilm.config).requires_grad_(False)
    for model in (bilm, other, bilm):
        check(cache, model, "a b", computes=1)


def test_a_copy_is_empty(bilm: BiLm) -> None:
    cache = LayerCache(7000, dtype="float16")
    cache.layers(ids_of("a b"), bilm)
    for copied in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert len(copied) == 0
        assert (copied.max_bytes, copied.dtype) == (7000, "float16")
        check(copied, bilm, "a b", computes=1, tolerance=0.001)


def test_bad_ids_are_refused_as_ever(bilm: BiLm) -> None:
    cache = LayerCache(10**6)
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


def test_several_threads_may_use_it(bilm: BiLm) -> None:
    cache = LayerCache(60 * ROW)
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
    with pytest.raises(ValueError, match="max_bytes must be 1 or more; found 0"):
        LayerCache(0)
    with pytest.raises(ValueError, match="dtype must be one of float32, float16; found 'int8'"):
        LayerCache(1, dtype="int8")


def double(bilm: BiLm) -> None:
    bilm.register_forward_hook(lambda *call: call[2]._replace(layers=call[2].layers * 2.0))


def prune_lstm(bilm: BiLm) -> None:
    prune.random_unstructured(bilm.lstm.forward_layers[0], "input_weight", 0.5)


@pytest.mark.parametrize("change", [double, prune_lstm])
def test_hooks_run_at_each_call_and_nothing_of_them_is_cached(
    bilm: BiLm, change: Callable[[BiLm], None]
) -> None:
    elmo = Elmo(bilm.config, dropout=0.0, layer_cache=LayerCache(10**6))
    elmo.bilm = bilm
    before = elmo(ids_of("a b"))["elmo_representations"][0]
    change(bilm)
    found = elmo(ids_of("a b"))["elmo_representations"][0]
    assert not torch.allclose(found, before)
    elmo.layer_cache = None
    torch.testing.assert_close(found, elmo(ids_of("a b"))["elmo_representations"][0])
