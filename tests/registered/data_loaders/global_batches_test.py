"""Tests of registered/data_loaders/global_batches.py."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DataLoader, DatasetReader, Instance, TensorDict, Vocabulary
from allennlp.data.dataset_readers.dataset_reader import DistributedInfo
from allennlp.models import Model

import elmo_components.registered  # noqa: F401
from tests.registered.training.recorded import ARCHITECTURE, WORDS, sentences

SAMPLER = {"type": "max_tokens_sampler", "max_tokens": 60, "sorting_keys": ["inputs"]}
LAZY = {"batch_sampler": SAMPLER, "max_instances_in_memory": 16}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus.txt").write_text("\n".join(sentences(0, 37)))
    return tmp_path / "corpus.txt"


def vocabulary() -> Vocabulary:
    vocab = Vocabulary(non_padded_namespaces=["vocab"], oov_token="<UNK>")
    vocab.add_tokens_to_namespace(["</S>", "<S>", "<UNK>", *WORDS], "vocab")
    return vocab


def loader(
    corpus: Path, rank: int = 0, world: int = 1, teacher_indexer: Any = None, **settings: Any
) -> Any:
    indexer = copy.deepcopy(teacher_indexer)
    reader = DatasetReader.from_params(Params({"type": "elmo_corpus", "teacher_indexer": indexer}))
    if world > 1:
        reader._set_distributed_info(DistributedInfo(world_size=world, global_rank=rank))
    # AllenNLP takes keys out of what it is given
    params = Params(copy.deepcopy({"type": "elmo_global_batches", **settings}))
    found = DataLoader.from_params(params, reader=reader, data_path=str(corpus))
    found.index_with(vocabulary())
    return found


def read(corpus: Path, rank: int = 0, world: int = 1, **settings: Any) -> list[TensorDict]:
    # the sampler adds noise
    random.seed(1)
    return list(loader(corpus, rank, world, **settings))


def rows(batch: Any) -> list[tuple[int, ...]]:
    """Returns the words of each sentence, without padding."""
    mask = (batch["inputs"]["elmo"]["elmo_tokens"] > 0).any(dim=-1)
    pairs = zip(batch["targets"]["words"]["tokens"], mask)
    return [tuple(row[present].tolist()) for row, present in pairs if present.any()]


@pytest.mark.parametrize("world", [2, 5])
@pytest.mark.parametrize(
    "settings", [LAZY, {"batch_sampler": SAMPLER}, {"batch_size": 4}, {**LAZY, "num_workers": 1}]
)
def test_processes_share_the_batches_of_one(
    world: int, settings: dict[str, Any], corpus: Path
) -> None:
    whole = read(corpus, **settings)
    assert sum(len(rows(batch)) for batch in whole) == 37
    ranks = [read(corpus, rank, world, **settings) for rank in range(world)]
    assert all(len(batches) == len(whole) for batches in ranks)
    empty = 0
    for batch, *shares in zip(whole, *ranks):
        assert sorted(row for share in shares for row in rows(share)) == sorted(rows(batch))
        empty += sum(not rows(share) for share in shares)
        tokens = [sum(map(len, rows(share))) for share in shares]
        assert max(tokens) - min(tokens) <= max(map(len, rows(batch)))
        for share in shares:
            assert float(share["share"]["tokens"]) == pytest.approx(sum(tokens) / world)
    # the last batch has few sentences
    assert world == 2 or empty


def test_a_batch_is_accumulated_from_as_many_pieces(corpus: Path) -> None:
    whole = read(corpus, **LAZY)
    pieces = read(corpus, 1, 2, **LAZY, num_gradient_accumulation_steps=3)
    others = read(corpus, 0, 2, **LAZY, num_gradient_accumulation_steps=3)
    assert len(pieces) == len(others) == 3 * len(whole)
    for number, batch in enumerate(whole):
        place = slice(3 * number, 3 * number + 3)
        found = [row for piece in pieces[place] + others[place] for row in rows(piece)]
        assert sorted(found) == sorted(rows(batch))
    assert len(loader(corpus, batch_size=4, num_gradient_accumulation_steps=3)) == 3 * 10


def mean_of_pieces(
    model: Model, corpus: Path, pieces: int, **settings: Any
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Returns the loss of each batch in pieces, and all gradients of their sum."""
    model.zero_grad()
    settings = {**LAZY, "num_gradient_accumulation_steps": pieces, **settings}
    losses = torch.stack([model(**piece)["loss"] for piece in read(corpus, **settings)])
    (losses.sum() / pieces).backward()
    gradients = torch.cat([parameter.grad.to_dense().flatten() for parameter in model.parameters()])
    # (batches,)
    return losses.detach().view(-1, pieces).mean(dim=1), gradients


def language_model(**settings: Any) -> Model:
    params = {"type": "elmo_language_model", "architecture": ARCHITECTURE, **settings}
    return Model.from_params(Params(copy.deepcopy(params)), vocab=vocabulary())


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("sparse", [False, True])
def test_pieces_have_their_batchs_sample_and_gradients(
    sparse: bool, corpus: Path, float64: None
) -> None:
    model = language_model(softmax={"type": "sampled", "num_samples": 30, "sparse": sparse})
    expected = mean_of_pieces(model, corpus, 1)
    assert len(expected[0]) > 2
    for pieces in (2, 3):
        found = mean_of_pieces(model, corpus, pieces)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_teachers_losses_of_pieces_are_weighted_by_words(corpus: Path, tiny_folder: Path) -> None:
    indexer = {"type": "elmo_character_ids"}
    teacher = {"type": "elmo", "pretrained_file": str(tiny_folder), "size": 16, "decay_steps": 9}
    found = []
    for pieces in (1, 3):
        torch.manual_seed(0)
        model = language_model(teacher=teacher)
        found.append(mean_of_pieces(model, corpus, pieces, teacher_indexer=indexer))
        # of the optimizer, which the decay of the weight counts
        assert model.state_dict()["distillation.steps"] == len(found[0][0])
        found[-1] += (torch.tensor(model.get_metrics()["teacher_loss"]),)
    torch.testing.assert_close(found[1], found[0])


def test_only_a_processs_own_sentences_are_indexed(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed = []
    index = Instance.index_fields

    def counted(instance: Instance, vocab: Vocabulary) -> None:
        indexed.append(instance)
        index(instance, vocab)

    monkeypatch.setattr(Instance, "index_fields", counted)
    batches = read(corpus, 1, 2, **LAZY)
    own = sum(len(rows(batch)) for batch in batches)
    assert own < 30 and len(indexed) == own + sum(not rows(batch) for batch in batches)


def test_another_loader_of_the_same_reader_still_reads_its_own_share(corpus: Path) -> None:
    reader = DatasetReader.from_params(Params({"type": "elmo_corpus"}))
    reader._set_distributed_info(DistributedInfo(world_size=2, global_rank=0))
    DataLoader.from_params(
        Params({"type": "elmo_global_batches", "batch_size": 4}),
        reader=reader,
        data_path=str(corpus),
    )
    assert len(list(reader.read(str(corpus)))) == 19


@pytest.mark.parametrize(
    "reader, settings, message",
    [
        ({"type": "sequence_tagging"}, {}, "needs the reader elmo_corpus"),
        (
            {"type": "elmo_corpus", "packing": "streams", "num_streams": 2, "unroll_steps": 2},
            {},
            'Set its type to "multiprocess"',
        ),
        (
            {"type": "elmo_corpus"},
            {"num_gradient_accumulation_steps": 2, "batches_per_epoch": 5},
            "must be a multiple",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(
    reader: dict[str, Any], settings: dict[str, Any], message: str, corpus: Path
) -> None:
    params = Params({"type": "elmo_global_batches", "batch_size": 2, **settings})
    built = DatasetReader.from_params(Params(reader))
    with pytest.raises(ConfigurationError, match=message):
        DataLoader.from_params(params, reader=built, data_path=str(corpus))


def test_a_row_of_padding_has_no_loss_and_gives_every_gradient(corpus: Path) -> None:
    params = {
        "type": "elmo_language_model",
        "architecture": ARCHITECTURE,
        "softmax": {"type": "sampled", "num_samples": 30},
    }
    model = Model.from_params(Params(params), vocab=vocabulary())
    batches = read(corpus, 4, 5, batch_size=4)
    assert not rows(batches[-1])
    output = model(**batches[-1])
    output["loss"].backward()
    assert output["loss"].item() == 0.0
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name
    assert torch.isfinite(model(**batches[0])["loss"])
