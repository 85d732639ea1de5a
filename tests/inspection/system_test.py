"""Tests of system.py."""

import subprocess
import sys

import torch

import elmo_components
from elmo_components import kernels
from elmo_components.inspection.system import system_report
from elmo_components.kernels import native
from tests.conftest import ROOT


def best() -> str:
    """The fastest backend here: without a compiler the package has no `native`."""
    return "cpu" if native.unavailable() else "native"


def test_versions_and_the_choice_of_a_backend_are_told() -> None:
    report = system_report()
    for line in (
        f"elmo_components: {elmo_components.__version__}, in ",
        f"torch: {torch.__version__}, ",
        "processor: ",
        "backends for tensors on cpu, fastest first:\n  native ",
        "\n  cpu        can compute\n  reference  can compute\n",
        f"  auto chooses {best()}, the first that can compute",
    ):
        assert line in report, report
    assert report.endswith(f"\ninference on cpu: {kernels.describe_backend()}")


def test_a_backend_chosen_by_the_environment_is_told() -> None:
    code = "from elmo_components.inspection.system import system_report; print(system_report())"

    def report(backend: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["env", f"ELMO_BACKEND={backend}", sys.executable, "-c", code],
            cwd=ROOT,
            text=True,
            capture_output=True,
        )

    assert (
        f"ELMO_BACKEND chooses reference; auto would choose {best()}" in report("reference").stdout
    )
    assert "must be one of auto, native, cpu, reference; found 'fast'" in report("fast").stderr
