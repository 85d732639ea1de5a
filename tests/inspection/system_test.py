"""Tests of system.py."""

import subprocess
import sys

import torch

import elmo_components
from elmo_components.inspection.system import system_report
from tests.conftest import ROOT


def test_versions_and_the_choice_of_a_backend_are_told() -> None:
    report = system_report()
    for line in (
        f"elmo_components: {elmo_components.__version__}, in ",
        f"torch: {torch.__version__}, ",
        "processor: ",
        "backends for tensors on cpu, fastest first:\n  cpu        can compute\n  reference ",
        "  auto chooses cpu, the first that can compute",
    ):
        assert line in report, report


def test_a_backend_chosen_by_the_environment_is_told() -> None:
    code = "from elmo_components.inspection.system import system_report; print(system_report())"

    def report(backend: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["env", f"ELMO_BACKEND={backend}", sys.executable, "-c", code],
            cwd=ROOT,
            text=True,
            capture_output=True,
        )

    assert "ELMO_BACKEND chooses reference; auto would choose cpu" in report("reference").stdout
    assert "must be one of auto, cpu, reference; found 'fast'" in report("fast").stderr
