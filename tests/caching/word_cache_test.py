"""Tests of word_cache.py, most of them through the character encoder that uses it."""

import copy
import os
import pickle
import threading
from pathlib import Path
from typing import Callable, Optional

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file

from elmo_components.characters import CharacterMapper
from elmo_components.config import CharCnnConfig
from elmo_components.modules.char_cnn import CharCnn
from tests.reference import float64, word_vector

FILTERS = ((1, 3), (2, 4))


class Counting(CharCnn):
    """Counts the words that it computes."""

    computed = 0

    def _computed(self, words: torch.Tensor) -> torch.Tensor:
        self.computed += len(words)
        return super()._computed(words)


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
    with pytest.raises(ValueError, match="cache_size must be above 0"):
        char_cnn.save_cache("unused")
    with pytest.raises(ValueError, match="cache_size must be above 0"):
        char_cnn.load_cache("unused")


def test_a_size_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="room for 1 word or more; found -1"):
        make(cache_size=-1)


def test_the_word_used_longest_ago_makes_room() -> None:
    char_cnn = make(cache_size=3)
    check(char_cnn, "a b c", computes=3)
    check(char_cnn, "a", computes=0)
    check(char_cnn, "d", computes=1)
    check(char_cnn, "a c d", computes=0)
    check(char_cnn, "b", computes=1)


def test_it_never_holds_more_than_its_size() -> None:
    char_cnn = make(cache_size=3)
    check(char_cnn, "a b", computes=2)
    check(char_cnn, "a b c d e f g h", computes=6)
    assert held(char_cnn) == 3
    assert char_cnn._cache is not None and char_cnn._cache._held.vectors is not None
    assert len(char_cnn._cache._held.vectors) == 3
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


def by_another_storage(char_cnn: CharCnn) -> None:
    parameter = char_cnn.get_parameter("projection.bias")
    parameter.data = parameter.data + 1.0


def by_another_parameter(char_cnn: CharCnn) -> None:
    char_cnn.projection.bias = torch.nn.Parameter(torch.ones(6), requires_grad=False)


def by_loading(char_cnn: CharCnn) -> None:
    char_cnn.load_state_dict(make().state_dict())


def by_doubling_the_precision(char_cnn: CharCnn) -> None:
    char_cnn.double()


@pytest.mark.parametrize(
    "change",
    [
        by_assignment,
        by_data,
        by_another_storage,
        by_another_parameter,
        by_loading,
        by_doubling_the_precision,
    ],
)
def test_changed_weights_give_new_vectors(change: Callable[[CharCnn], None]) -> None:
    char_cnn = make()
    check(char_cnn, "a b", computes=2)
    change(char_cnn)
    check(char_cnn, "a b", computes=2)
    check(char_cnn, "a b", computes=0)


def test_a_step_of_training_gives_new_vectors() -> None:
    char_cnn = make(frozen=False)
    with torch.no_grad():
        check(char_cnn, "a b")
    char_cnn(ids_of("a b")).sum().backward()
    torch.optim.SGD(char_cnn.parameters(), lr=0.1).step()
    with torch.no_grad():
        check(char_cnn, "a b", computes=2)


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


def test_nothing_of_it_is_in_the_state_dict() -> None:
    char_cnn = make()
    before = list(char_cnn.state_dict())
    check(char_cnn, "a b")
    assert list(char_cnn.state_dict()) == before


def test_an_empty_batch_is_no_trouble() -> None:
    char_cnn = make()
    assert char_cnn(ids_of("")).shape == (1, 0, 6)
    check(char_cnn, "a b", computes=2)
    assert char_cnn(ids_of("")).shape == (1, 0, 6)


def test_threads_get_their_own_words_while_others_evict_them_and_weights_change() -> None:
    char_cnn = make(cache_size=7)
    words = [str(number) for number in range(20)]
    wanted = expected(char_cnn, " ".join(words))[0]
    wrong: list[object] = []

    def work(seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(100):
            chosen = torch.randint(20, (6,), generator=generator)
            found = char_cnn(ids_of(" ".join(words[number] for number in chosen)))[0]
            if not torch.allclose(found, wanted[chosen], atol=1e-5):
                wrong.append(chosen)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    projection = char_cnn.get_parameter("projection.weight")
    while any(thread.is_alive() for thread in threads):
        # another version with the same numbers: all is forgotten
        projection.copy_(projection.clone())
    for thread in threads:
        thread.join()
    assert wrong == []
    assert held(char_cnn) <= 7
    check(char_cnn, " ".join(words))


def test_a_failure_while_words_are_kept_leaves_no_wrong_vector() -> None:
    char_cnn = make(cache_size=3)
    check(char_cnn, "a b")
    assert char_cnn._cache is not None
    # room has been made when the size turns out wrong
    with pytest.raises(RuntimeError):
        char_cnn._cache._held.add([b"x", b"y"], torch.zeros(2, 7))
    check(char_cnn, "b c a")
    check(char_cnn, "a b c", computes=0)
    assert held(char_cnn) == 3


def copy_of(char_cnn: CharCnn, *, cache_size: int = 100) -> Counting:
    other = make(cache_size=cache_size)
    other.load_state_dict(char_cnn.state_dict())
    return other


def test_a_saved_cache_serves_an_encoder_of_the_same_weights(tmp_path: Path) -> None:
    char_cnn = make()
    check(char_cnn, "a b c d")
    check(char_cnn, "b")
    char_cnn.save_cache(tmp_path / "words")
    other = copy_of(char_cnn)
    other.load_cache(str(tmp_path / "words"))
    check(other, "a b c d", computes=0)
    # a word that the file has not is computed
    check(other, "e a", computes=1)
    # where there is less room, the words used last are taken, and they stay in order
    small = copy_of(char_cnn, cache_size=2)
    small.load_cache(tmp_path / "words")
    assert held(small) == 2
    check(small, "d b", computes=0)
    assert os.listdir(tmp_path) == ["words"]


def test_the_file_is_as_documented(tmp_path: Path) -> None:
    char_cnn = make()
    check(char_cnn, "a b")
    char_cnn.save_cache(tmp_path / "words")
    tensors = load_file(tmp_path / "words")
    assert sorted(tensors) == ["ids", "vectors"]
    torch.testing.assert_close(tensors["ids"], ids_of("a b")[0].to(torch.int16))
    torch.testing.assert_close(tensors["vectors"], expected(char_cnn, "a b")[0])


def test_a_cache_of_other_weights_is_refused(tmp_path: Path) -> None:
    char_cnn = make()
    check(char_cnn, "a b")
    char_cnn.save_cache(tmp_path / "words")
    other = copy_of(char_cnn)
    # a single number, which the samples miss
    other.get_parameter("highways.0.carry.weight").data[0, 1] += 1e-3
    for encoder in (other, make(), copy_of(char_cnn).double()):
        with pytest.raises(ValueError, match="made with other weights"):
            encoder.load_cache(tmp_path / "words")
        assert held(encoder) == 0


def test_a_broken_or_foreign_file_is_refused(tmp_path: Path) -> None:
    char_cnn = make()
    check(char_cnn, "a b")
    path = tmp_path / "words"
    char_cnn.save_cache(path)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], whole[:-1], b"not a file of this kind"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a whole safetensors file"):
            char_cnn.load_cache(path)
    save_file({"ids": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"format 'elmo_components\.word_cache'; found None"):
        char_cnn.load_cache(path)
    with pytest.raises(FileNotFoundError):
        char_cnn.load_cache(tmp_path / "absent")
    check(char_cnn, "a b", computes=0)


def test_tensors_of_another_form_are_refused(tmp_path: Path) -> None:
    char_cnn = make()
    check(char_cnn, "a b")
    char_cnn.save_cache(tmp_path / "words")
    # the file begins with the length of its header
    header = (tmp_path / "words").read_bytes()[8:]
    fingerprint = header.split(b'"weights":"')[1].split(b'"')[0].decode()
    metadata = {"format": "elmo_components.word_cache", "version": "1", "weights": fingerprint}
    ids = torch.zeros(2, 50, dtype=torch.int16)
    for tensors in (
        {"ids": ids, "vectors": torch.zeros(3, 6)},
        {"ids": ids.long(), "vectors": torch.zeros(2, 6)},
        {"ids": ids},
    ):
        save_file(tensors, tmp_path / "words", metadata)
        with pytest.raises(ValueError):
            char_cnn.load_cache(tmp_path / "words")


def test_a_writing_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    char_cnn = make()
    check(char_cnn, "a b")
    char_cnn.save_cache(tmp_path / "words")
    before = (tmp_path / "words").read_bytes()
    check(char_cnn, "c")

    def killed(*paths: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("elmo_components.caching.word_cache.os.replace", killed)
    with pytest.raises(OSError, match="no space"):
        char_cnn.save_cache(tmp_path / "words")
    assert (tmp_path / "words").read_bytes() == before
    assert os.listdir(tmp_path) == ["words"]


def test_an_empty_cache_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no word of these weights"):
        make().save_cache(tmp_path / "words")
    assert os.listdir(tmp_path) == []
