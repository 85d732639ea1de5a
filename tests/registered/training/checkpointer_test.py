"""Tests of registered/training/checkpointer.py."""

from pathlib import Path

import pytest
import torch

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
