"""Tests of word_cache.py, most of them through the character encoder that uses it."""

import copy
import pickle
import random
import sys
import threading
from collections.abc import Sequence
from typing import Any, Callable, Optional

import numpy
import pytest
import torch
from torch.nn.utils import parametrize, prune

from elmo_components.caching.word_cache import WordCache
from elmo_components.characters import CharacterMapper
from elmo_components.config import CharCnnConfig
from elmo_components.modules.char_cnn import CharCnn
from tests.reference import float64, word_vector

FILTERS = ((1, 3), (2, 4))


class Counting(CharCnn):
    """Counts the words that it computes."""

    computed = 0

    def _computed(
        self, words: torch.Tensor, weights: Optional[Sequence[torch.Tensor]] = None
    ) -> torch.Tensor:
        self.computed += len(words)
        return super()._computed(words, weights)


def make(*, cache_size: int = 100, frozen: bool = True) -> Counting:
    config = CharCnnConfig(4, FILTERS, 1, "relu")
    char_cnn = Counting(config, hidden_size=6, cache_size=cache_size)
    for parameter in char_cnn.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return char_cnn.requires_grad_(not frozen)


def held(char_cnn: CharCnn) -> int:
    assert char_cnn._cache is not None
    return len(char_cnn._cache)


def ids_of(words: str) -> torch.Tensor:
    return CharacterMapper().batch_ids([words.split()])


def expected(char_cnn: CharCnn, words: str) -> torch.Tensor:
    vectors = [
        word_vector(
            ids,
            float64(char_cnn.state_dict()),
            activation="relu",
            num_filters=len(FILTERS),
            num_highways=1,
        )
        for ids in ids_of(words)[0].tolist()
    ]
    return torch.tensor(
        numpy.array([vectors]), dtype=char_cnn.get_parameter("projection.bias").dtype
    )


def check(char_cnn: Counting, words: str, *, computes: Optional[int] = None) -> None:
    before = char_cnn.computed
    torch.testing.assert_close(char_cnn(ids_of(words)), expected(char_cnn, words))
    if computes is not None:
        assert char_cnn.computed - before == computes


def test_a_word_seen_before_is_not_computed_again() -> None:
    char_cnn = make()
    check(char_cnn, "a b a", computes=2)
    check(char_cnn, "b a b", computes=0)
    check(char_cnn, "c b d a c", computes=2)
    check(char_cnn, "a b c d", computes=0)


def test_a_trained_encoder_keeps_nothing_and_gets_its_gradients() -> None:
    char_cnn = make(frozen=False)
    for _ in range(2):
        check(char_cnn, "a b", computes=2)
        assert held(char_cnn) == 0
    with torch.no_grad():
        check(char_cnn, "a b", computes=2)
        check(char_cnn, "a b", computes=0)
    char_cnn(ids_of("a b")).sum().backward()
    assert all(parameter.grad is not None for parameter in char_cnn.parameters())
    # one parameter that is trained is enough
    char_cnn.requires_grad_(False).get_parameter("projection.bias").requires_grad_()
    assert char_cnn(ids_of("a b")).requires_grad


def test_an_encoder_without_a_cache_computes_every_batch() -> None:
    char_cnn = make(cache_size=0)
    for _ in range(2):
        check(char_cnn, "a b a", computes=2)


def test_a_size_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 1 or more; found -1"):
        make(cache_size=-1)


def test_it_never_holds_more_than_its_size() -> None:
    char_cnn = make(cache_size=3)
    check(char_cnn, "a b", computes=2)
    check(char_cnn, "a b c d e f g h", computes=6)
    assert held(char_cnn) == 3
    for number in range(30):
        check(char_cnn, " ".join(str(number * step) for step in range(5)))
        assert held(char_cnn) == 3


def test_a_result_is_not_overwritten_by_later_words_and_may_be_changed() -> None:
    char_cnn = make(cache_size=2)
    for _ in range(2):
        first = char_cnn(ids_of("a b"))
        check(char_cnn, "c d")
        torch.testing.assert_close(first, expected(char_cnn, "a b"))
        char_cnn(ids_of("a b")).zero_()
        check(char_cnn, "a b", computes=0)


def by_assignment(char_cnn: CharCnn) -> None:
    with torch.no_grad():
        char_cnn.get_parameter("highways.0.carry.weight")[1, 2] = 3.0


def by_data(char_cnn: CharCnn) -> None:
    # as AllenNLP's moving averages do; this counts as no new version
    for parameter in char_cnn.parameters():
        parameter.data.copy_(parameter.data * 0.9)


def by_another_parameter(char_cnn: CharCnn) -> None:
    char_cnn.projection.bias = torch.nn.Parameter(torch.ones(6), requires_grad=False)


def by_loading(char_cnn: CharCnn) -> None:
    char_cnn.load_state_dict(make().state_dict())


@pytest.mark.parametrize(
    "change",
    [
        by_assignment,
        by_data,
        by_another_parameter,
        by_loading,
    ],
)
def test_changed_weights_give_new_vectors(change: Callable[[CharCnn], None]) -> None:
    char_cnn = make()
    check(char_cnn, "a b", computes=2)
    change(char_cnn)
    check(char_cnn, "a b", computes=2)
    check(char_cnn, "a b", computes=0)


def test_another_type_gives_vectors_of_that_type() -> None:
    char_cnn = make()
    wanted = char_cnn(ids_of("a b"))
    char_cnn.bfloat16()
    for _ in range(2):
        found = char_cnn(ids_of("a b"))
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), wanted, rtol=0.1, atol=0.2)
    char_cnn.float()
    check(char_cnn, "a b", computes=2)


def test_another_precision_for_a_while_leaves_the_vectors_alone() -> None:
    char_cnn = make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert char_cnn(ids_of("a b")).dtype == torch.bfloat16
    check(char_cnn, "a b", computes=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert char_cnn(ids_of("a b")).dtype == torch.bfloat16


def test_vectors_made_in_inference_mode_serve_in_training_of_what_follows() -> None:
    char_cnn = make(cache_size=3)
    with torch.inference_mode():
        check(char_cnn, "a b", computes=2)
    found = char_cnn(ids_of("a c"))
    assert not found.is_inference()
    top = torch.nn.Linear(6, 1)
    top(found).sum().backward()
    torch.testing.assert_close(top.weight.grad[0], expected(char_cnn, "a c").sum((0, 1)))
    with torch.inference_mode():
        check(char_cnn, "d a", computes=1)
    check(char_cnn, "e d", computes=1)


def test_weights_made_in_inference_mode_have_a_cache_too() -> None:
    with torch.inference_mode():
        char_cnn = make()
        check(char_cnn, "a b", computes=2)
        check(char_cnn, "a b", computes=0)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["copy", "pickle"],
)
def test_a_copy_has_an_empty_cache_of_its_own(copied: Callable[[CharCnn], Counting]) -> None:
    char_cnn = make(cache_size=3)
    check(char_cnn, "a b")
    other = copied(char_cnn)
    assert held(other) == 0
    by_data(other)
    check(other, "a b", computes=2)
    check(char_cnn, "a b", computes=0)
    check(other, "c d e", computes=3)
    assert held(other) == 3


def by_pruning(char_cnn: CharCnn) -> Any:
    prune.random_unstructured(char_cnn.convolutions[1], "weight", 0.5)
    prune.random_unstructured(char_cnn.get_submodule("highways.0.carry"), "weight", 0.5)
    return char_cnn.convolutions[1].weight_orig


def by_a_parametrization(char_cnn: CharCnn) -> Any:
    class Doubled(torch.nn.Module):
        factor = 2.0

        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight * self.factor

    # the parameter stays the same tensor
    parametrize.register_parametrization(char_cnn.character_embedding, "weight", Doubled())
    return char_cnn.character_embedding.parametrizations.weight.original


def by_weight_norm(char_cnn: CharCnn) -> Any:
    torch.nn.utils.weight_norm(char_cnn.convolutions[0])
    return char_cnn.convolutions[0].weight_g


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("change", [by_pruning, by_a_parametrization, by_weight_norm])
def test_weights_that_are_computed_from_others_are_those_of_each_call(change: Callable) -> None:
    char_cnn = make().requires_grad_(False)
    before = char_cnn(ids_of("a b"))
    original = change(char_cnn)
    for _ in range(2):
        original.data *= 1.5
        # a module that is called computes its weight
        for part in char_cnn.modules():
            for hook in part._forward_pre_hooks.values():
                hook(part, ())
        effective = make().requires_grad_(False)
        for name, parameter in effective.named_parameters():
            module, _, attribute = name.rpartition(".")
            parameter.copy_(getattr(char_cnn.get_submodule(module), attribute))
        torch.testing.assert_close(char_cnn(ids_of("a b")), effective(ids_of("a b")))
        assert not torch.allclose(char_cnn(ids_of("a b")), before)
        before = char_cnn(ids_of("a b"))


def test_a_changed_buffer_of_a_pruned_weight_is_seen() -> None:
    char_cnn = make()
    linear = char_cnn.get_submodule("projection")
    prune.identity(linear, "weight")
    before = char_cnn(ids_of("a b"))
    linear.weight_mask.zero_()
    torch.testing.assert_close(char_cnn(ids_of("a b")), linear.bias.expand(1, 2, -1))
    assert not torch.allclose(char_cnn(ids_of("a b")), before)


def test_a_forward_hook_runs_at_each_call_and_is_no_part_of_what_is_cached() -> None:
    char_cnn = make()
    before = char_cnn(ids_of("a b"))
    hook = char_cnn.get_submodule("projection").register_forward_hook(lambda *call: call[2] + 1)
    for _ in range(2):
        torch.testing.assert_close(char_cnn(ids_of("a b")), before + 1)
    hook.remove()
    torch.testing.assert_close(char_cnn(ids_of("a b")), before)


def test_threads_get_their_own_words_while_others_evict_them() -> None:
    cache = WordCache(7)
    weights = [torch.ones(3)]
    words = [bytes([number]) for number in range(40)]
    wrong: list[object] = []

    def compute(missing: Sequence[bytes]) -> torch.Tensor:
        return torch.tensor([[word[0], word[0]] for word in missing]).reshape(-1, 2).float()

    def work(seed: int) -> None:
        order = random.Random(seed)
        for _ in range(2000):
            chosen = order.sample(words, order.randrange(1, 20))
            if not torch.equal(cache.vectors(chosen, weights, compute), compute(chosen)):
                wrong.append(chosen)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(7)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for _ in range(200):
            # another version with the same numbers empties the cache
            weights[0].mul_(1.0)
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert len(cache) <= 7
