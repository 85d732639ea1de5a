"""Tests of kernels/native/library.py, of threads and processes, and of the C++ code's memory."""

import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Optional

import pytest
import torch

from elmo_components.kernels import native
from elmo_components.kernels.native import library
from elmo_components.kernels.packed import PackedWeights
from tests.kernels.native_test import call, compiled

SOURCE = Path(library.__file__).parent / "source"
DRIVER = Path(__file__).parent / "native_driver.cpp"


@compiled
def test_other_python_threads_run_meanwhile_and_get_the_same_numbers() -> None:
    given = call([9] * 8, (64, 64, 256))._replace(packed=PackedWeights())
    expected = native.projected_lstm(given)[0]
    found: list[torch.Tensor] = []
    threads = [
        threading.Thread(target=lambda: found.append(native.projected_lstm(given)[0]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(torch.equal(one, expected) for one in found)


@compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_computes_the_same() -> None:
    code = """
import os, torch
from tests.kernels.native_test import call, native
torch.set_num_threads(4)
given = call([5, 2, 3], (8, 9, 200))
expected = native.projected_lstm(given)[0]
child = os.fork()
if child == 0:
    os._exit(0 if torch.equal(native.projected_lstm(given)[0], expected) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def sanitized(tmp_path: Path) -> list[str]:
    """Compiles the driver with sanitizers, and returns the command that runs it."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    build = partial(subprocess.run, capture_output=True, text=True, timeout=300)
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-pthread"]
    empty = tmp_path / "empty.cpp"
    empty.write_text("int main() {}")
    if build([compiler, *sanitize, str(empty), "-o", str(tmp_path / "empty")]).returncode:
        pytest.skip(f"{compiler} has no sanitizers")
    program = tmp_path / "driver"
    sources = [str(path) for path in (DRIVER, *sorted(SOURCE.glob("*.cpp")))]
    options = ["-std=c++17", "-O1", "-ffp-contract=fast", "-I", str(SOURCE), *sanitize]
    built = build([compiler, *options, *sources, "-o", str(program)])
    assert built.returncode == 0, built.stderr
    return [str(program)]


def test_sanitizers_find_no_access_outside_the_arrays(tmp_path: Path) -> None:
    ran = subprocess.run([*sanitized(tmp_path), "40"], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "largest difference" in ran.stdout


@pytest.mark.parametrize(
    "content, message", [(None, "was not compiled"), (b"", "cannot be loaded")]
)
def test_a_missing_or_broken_library_is_a_reason_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Optional[bytes], message: str
) -> None:
    if content is not None:
        (tmp_path / f"_library{library.EXTENSION_SUFFIXES[0]}").write_bytes(content)
    monkeypatch.setattr(library, "__file__", str(tmp_path / "library.py"))
    found = library.find.__wrapped__()
    assert found.functions is None and message in str(found.missing)
