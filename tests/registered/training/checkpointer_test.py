"""Tests of registered/training/checkpointer.py."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.training.trainer import TrainerCheckpoint
from torch import distributed
from torch.multiprocessing import start_processes

from elmo_components.registered.training.checkpointer import WholeCheckpointer
from tests.registered.training.recorded import batches, configuration, records, run


def test_an_incomplete_checkpoint_is_renamed_and_the_one_before_resumes(data: Path) -> None:
    settings = configuration(data)
    run(settings, data / "whole")
    expected = batches(records(data / "whole"))
    for name in ("model_state", "training_state"):
        folder = data / name
        run(settings, folder, kill=(1, 5))
        cut = folder / f"{name}_e1_b3.th"
        cut.write_bytes(cut.read_bytes()[:-100])
        if name == "model_state":
            # it is written first
            (folder / "training_state_e1_b3.th").unlink()
        before = len(records(folder))
        run(settings, folder, recover=True)
        assert (folder / f"{name}_e1_b3.th.incomplete").exists()
        found = batches(records(folder)[before:])
        assert min(found) == (1, 1)
        for place, values in found.items():
            assert values["loss"] == pytest.approx(expected[place]["loss"], abs=1e-6)


def test_a_checkpoint_in_torchs_old_format_is_loaded(tmp_path: Path) -> None:
    for name in ("model_state", "training_state"):
        torch.save(
            {"weight": torch.ones(2)},
            tmp_path / f"{name}_e1_b0.th",
            _use_new_zipfile_serialization=False,
        )
    found = WholeCheckpointer(tmp_path).load_checkpoint()
    assert found is not None and torch.equal(found.model_state["weight"], torch.ones(2))


def test_an_old_checkpoint_is_deleted_alone(tmp_path: Path) -> None:
    # the number of the one begins with the other's
    for point in ("e0_b1", "e0_b12", "e1_b1"):
        for name in (
            f"model_state_{point}",
            f"training_state_{point}",
            f"training_state_{point}_w1",
        ):
            (tmp_path / f"{name}.th").write_bytes(b"")
    WholeCheckpointer(str(tmp_path))._remove_checkpoint(0, 1)
    left = {path.name.partition("_e")[2] for path in tmp_path.iterdir()}
    assert left == {"0_b12.th", "0_b12_w1.th", "1_b1.th", "1_b1_w1.th"}


def test_all_processes_save_when_the_time_of_one_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`save_every_num_seconds`, which AllenNLP's checkpointer refuses in distributed training."""
    monkeypatch.setenv("ALLENNLP_PROCS_PER_NODE", "2")
    start_processes(save_as_rank, args=(tmp_path,), nprocs=2, start_method="fork")
    names = {path.name for path in tmp_path.iterdir() if path.suffix == ".th"}
    assert names == {f"{name}_e0_b5.th" for name in ("model_state", "training_state")} | {
        "training_state_e0_b5_w1.th"
    }


def save_as_rank(rank: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2
    )
    state = TrainerCheckpoint({}, {"epochs_completed": 0, "batches_in_epoch_completed": 5})
    trainer: Any = SimpleNamespace(
        _epochs_completed=0,
        _batches_in_epoch_completed=5,
        _callbacks=[],
        get_checkpoint_state=lambda: state,
    )
    checkpointer = WholeCheckpointer(str(folder), save_every_num_seconds=100.0)
    assert not checkpointer.maybe_save_checkpoint(trainer, 0, 4)
    if rank == 1:
        # the clock of one process alone
        checkpointer._last_save_time -= 200.0
    assert checkpointer.maybe_save_checkpoint(trainer, 0, 5)
    assert not checkpointer.maybe_save_checkpoint(trainer, 0, 6)
    with pytest.raises(ConfigurationError, match="at least 2 in distributed training"):
        WholeCheckpointer(str(folder), keep_most_recent_by_count=1)
    # as if the second process's folder were another one
    if rank == 1:
        checkpointer._serialization_dir = f"{folder}/new"
    else:
        (folder / "model_state_e0_b4.th").write_bytes(
            (folder / "model_state_e0_b5.th").read_bytes()
        )
        (folder / "training_state_e0_b4.th").write_bytes(
            (folder / "training_state_e0_b5.th").read_bytes()
        )
    with pytest.raises(ConfigurationError, match="rank 0: e0_b4, e0_b5; rank 1: none"):
        checkpointer.load_checkpoint()
    distributed.barrier()
    if rank == 0:
        for path in folder.glob("*e0_b4.th"):
            path.unlink()
    distributed.destroy_process_group()
