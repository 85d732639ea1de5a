"""Trains tiny taggers with what AllenNLP 2.10.1 cannot do on torch 2 without the patches."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common.params import Params
from allennlp.nn.parallel import ddp_accelerator
from allennlp.training import gradient_descent_trainer
from allennlp.training.checkpointer import Checkpointer
from allennlp.training.learning_rate_schedulers import (
    LearningRateScheduler,
    ReduceOnPlateauLearningRateScheduler,
)
from allennlp.training.optimizers import Optimizer

from elmo_components.registered.compatibility import torch2 as allennlp_on_torch2

IS_UPSTREAM_TORCH = torch.__version__.startswith("1.")


def _config(folder: Path, *, trainer: dict[str, Any], sparse: bool = False) -> Params:
    data = folder / "data.txt"
    data.write_text("the###D cat###N sat###V\nthe###D dog###N\ncats###N sat###V\n")
    embedding = {"type": "embedding", "embedding_dim": 3, "sparse": sparse}
    return Params(
        {
            "dataset_reader": {"type": "sequence_tagging"},
            "train_data_path": str(data),
            "validation_data_path": str(data),
            "model": {
                "type": "simple_tagger",
                "text_field_embedder": {"token_embedders": {"tokens": embedding}},
                "encoder": {"type": "pass_through", "input_dim": 3},
            },
            "data_loader": {"batch_size": 2},
            "trainer": {"cuda_device": -1, **trainer},
        }
    )


def _optimizer() -> Optimizer:
    parameter = torch.nn.Parameter(torch.zeros(1))
    return Optimizer.from_params(
        Params({"type": "sgd", "lr": 1.0}), model_parameters=[("weight", parameter)]
    )


def _plateau(optimizer: Optimizer, **arguments: Any) -> LearningRateScheduler:
    return LearningRateScheduler.from_params(
        Params({"type": "reduce_on_plateau", **arguments}), optimizer=optimizer
    )


def _train_then_recover(folder: Path, *, scheduler: dict[str, Any]) -> None:
    """Trains, loses the last checkpoint, and recovers; the same weights must come of it."""
    trainer = {"num_epochs": 2, "optimizer": "adam", "learning_rate_scheduler": scheduler}
    model = train_model(_config(folder, trainer=trainer), folder / "model")
    for kind in ("model", "training"):
        (folder / "model" / f"{kind}_state_e2_b0.th").unlink()
    recovered = train_model(_config(folder, trainer=trainer), folder / "model", recover=True)
    assert model is not None and recovered is not None
    torch.testing.assert_close(recovered.state_dict(), model.state_dict())
    assert (folder / "model" / "training_state_e2_b0.th").is_file()


def test_reduce_on_plateau_trains_and_is_recovered(tmp_path: Path) -> None:
    _train_then_recover(tmp_path, scheduler={"type": "reduce_on_plateau", "verbose": True})


def test_reduce_on_plateau_takes_every_argument_of_allennlps_own() -> None:
    optimizer = _optimizer()
    scheduler = _plateau(
        optimizer,
        mode="max",
        factor=0.5,
        patience=0,
        verbose=False,
        threshold_mode="abs",
        threshold=0.1,
        cooldown=1,
        min_lr=[0.3],
        eps=1e-9,
    )
    assert isinstance(scheduler, ReduceOnPlateauLearningRateScheduler)
    rates = []
    # A gain below 0.1 is none; after a reduction one epoch is not counted; 0.3 is the lowest rate.
    for metric in (1.0, 1.05, 1.05, 1.05, 1.05, 1.05):
        scheduler.step(metric)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 0.5, 0.5, 0.3, 0.3, 0.3]


def test_a_training_whose_checkpoint_holds_numpy_numbers_is_recovered(tmp_path: Path) -> None:
    # The cosine scheduler computes learning rates with numpy.
    _train_then_recover(tmp_path, scheduler={"type": "cosine", "t_initial": 3})


@pytest.mark.skipif(IS_UPSTREAM_TORCH, reason="torch 1 reads whatever was pickled")
def test_a_checkpoint_with_other_objects_is_still_refused(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "model_state_e1_b0.th")
    torch.save({"callbacks": [Path("somewhere")]}, tmp_path / "training_state_e1_b0.th")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        Checkpointer(tmp_path).load_checkpoint()


def test_grad_norm_trains_a_sparse_embedding(tmp_path: Path) -> None:
    # Fails without the patch on torch 2.11, not on 2.15.
    trainer = {"num_epochs": 1, "grad_norm": 0.1, "optimizer": "dense_sparse_adam"}
    train_model(_config(tmp_path, trainer=trainer, sparse=True), tmp_path / "model")


def test_sparse_and_dense_gradients_are_clipped_to_a_common_norm() -> None:
    # Row 1 occurs twice in the sparse gradient: 3 + 1 = 4, row 0: 3; the norm is 13.
    sparse = torch.nn.Parameter(torch.zeros(5, 1))
    indices, values = torch.tensor([[1, 0, 1]]), torch.tensor([[3.0], [3.0], [1.0]])
    sparse.grad = torch.sparse_coo_tensor(indices, values, (5, 1))
    dense = torch.nn.Parameter(torch.zeros(1))
    dense.grad = torch.tensor([12.0])
    without = torch.nn.Parameter(torch.zeros(1))

    norm = allennlp_on_torch2.clip_grad_norm_of_any_layout([sparse, dense, without], 6.5)

    torch.testing.assert_close(norm, torch.tensor(13.0))
    assert sparse.grad.is_sparse
    expected = torch.tensor([[1.5], [2.0], [0.0], [0.0], [0.0]])
    torch.testing.assert_close(sparse.grad.to_dense(), expected)
    torch.testing.assert_close(dense.grad, torch.tensor([6.0]))


@pytest.mark.skipif(not IS_UPSTREAM_TORCH, reason="about the torch that AllenNLP was made for")
def test_nothing_is_changed_on_the_torch_of_allennlps_own_pins() -> None:
    registered = LearningRateScheduler.by_name("reduce_on_plateau")
    assert registered is ReduceOnPlateauLearningRateScheduler
    assert Checkpointer.load_checkpoint is not allennlp_on_torch2.load_checkpoint_with_numpy
    for module in (gradient_descent_trainer, ddp_accelerator):
        assert module.clip_grad_norm_ is torch.nn.utils.clip_grad_norm_
