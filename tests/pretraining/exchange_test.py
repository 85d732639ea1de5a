"""Tests of pretraining/exchange.py in two processes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch.multiprocessing import start_processes

from elmo_components.pretraining.exchange import shared_generator
from elmo_components.pretraining.softmax import OwnWeights, SampledSoftmax

NUM_WORDS, HIDDEN = 5000, 4
# the rows of each process, of 9
PARTS = {"both": [slice(0, 5), slice(5, 9)], "one": [slice(0, 9), slice(9, 9)]}

pytestmark = pytest.mark.skipif(
    not distributed.is_available(), reason="torch was built without torch.distributed"
)


def trained(part: slice, *, sparse: bool) -> dict[str, torch.Tensor]:
    """The loss and the gradients of a part of a batch."""
    torch.manual_seed(1)
    output = OwnWeights(NUM_WORDS, HIDDEN, sparse=sparse).double()
    softmax = SampledSoftmax(output, num_samples=20)
    hidden = torch.randn(9, HIDDEN, dtype=torch.float64).requires_grad_()
    targets = torch.tensor([0, 4999, 7, 7, 20, 0, 4000, 4000, 3])
    # a process's generator may be elsewhere
    torch.manual_seed(part.start)
    loss, _ = softmax(hidden[part], targets[part])
    loss.backward()
    found = {"loss": loss.detach(), "hidden": hidden.grad}
    found |= {name: parameter.grad for name, parameter in output.named_parameters()}
    return {name: value.to_dense() for name, value in found.items() if value is not None}


def train_as_rank(rank: int, folder: Path, name: str, sparse: bool) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2
    )
    sent: list[int] = []
    all_reduce = distributed.all_reduce

    def counted(tensor: torch.Tensor, *args: Any) -> Any:
        sent.append(tensor.numel())
        return all_reduce(tensor, *args)

    distributed.all_reduce = counted
    found = trained(PARTS[name][rank], sparse=sparse)
    torch.save({**found, "sent": torch.tensor(sent)}, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.parametrize("name, sparse", [("both", True), ("one", True), ("both", False)])
def test_two_processes_have_the_gradients_of_one_and_exchange_rows_only(
    name: str, sparse: bool, tmp_path: Path
) -> None:
    start_processes(train_as_rank, args=(tmp_path, name, sparse), nprocs=2, start_method="fork")
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    expected = trained(slice(0, 9), sparse=sparse)
    torch.testing.assert_close(ranks[0]["loss"] + ranks[1]["loss"], expected["loss"])
    torch.testing.assert_close(ranks[0]["hidden"] + ranks[1]["hidden"], expected["hidden"])
    for found in ranks:
        # the mean over the processes, as DistributedDataParallel has it
        for parameter in ("weight", "bias"):
            torch.testing.assert_close(2 * found[parameter], expected[parameter])
        # 20 samples filled up to 256, and 6 different targets
        assert found["sent"].tolist() == [(256 + 6) * (HIDDEN + 1)]


def test_one_process_draws_a_new_seed_each_time() -> None:
    torch.manual_seed(0)
    first, second = (shared_generator(torch.device("cpu")).initial_seed() for _ in range(2))
    torch.manual_seed(0)
    assert shared_generator(torch.device("cpu")).initial_seed() == first != second
