"""The embedder under DistributedDataParallel."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from elmo_components.characters import CharacterMapper
from elmo_components.elmo import Elmo
from elmo_components.registered.token_embedders.elmo import ElmoEmbedder, FrozenFeatures
from tests.conftest import ROOT

# Of each process.
BATCHES = [[["The", "bank"], ["x"]], [["Two", "places", "in", "Oslo"]]]
PATH = ROOT / "fixtures" / "models" / "tiny"


def embedder(cached: bool) -> ElmoEmbedder:
    settings: dict[str, Any] = {"requires_grad": True}
    if cached:
        settings = {"frozen_features": FrozenFeatures(0.001)}
    options = Elmo.from_pretrained(PATH).config.to_options()
    return ElmoEmbedder(options, str(PATH), dropout=0.0, **settings).train()


def gradients(model: torch.nn.Module, batch: list[list[str]]) -> dict[str, torch.Tensor]:
    """The gradients of a second epoch, in which layers may come from a cache."""
    ids = CharacterMapper().batch_ids(batch)
    for _ in range(2):
        model.zero_grad()
        model(ids).pow(2).sum().backward()
    named = {name.removeprefix("module."): each for name, each in model.named_parameters()}
    return {name: each.grad for name, each in named.items() if each.grad is not None}


def train_as_rank(rank: int, folder: Path, cached: bool) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2
    )
    model = DistributedDataParallel(embedder(cached))
    torch.save(gradients(model, BATCHES[rank]), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.parametrize("cached", [False, True])
def test_gradients_are_the_mean_of_the_processes(tmp_path: Path, cached: bool) -> None:
    torch.multiprocessing.start_processes(
        train_as_rank, args=(tmp_path, cached), nprocs=2, start_method="fork"
    )
    alone = [gradients(embedder(cached), batch) for batch in BATCHES]
    assert len(alone[0]) == (2 if cached else len(list(embedder(False).parameters())))
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == alone[0].keys()
        for name, gradient in found.items():
            expected = (alone[0][name] + alone[1][name]) / 2
            torch.testing.assert_close(gradient, expected)
