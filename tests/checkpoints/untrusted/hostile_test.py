"""
Tests that no file, however broken or hostile, does more than raise a `CheckpointError`.

`ELMO_HOSTILE_CASES=1000 pytest -s tests/checkpoints/untrusted/hostile_test.py` runs so many cases a
reader and prints what they took.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkpoints.untrusted import bounded
from tests.checkpoints.untrusted.bounded import MEMORY, WHOLE, Maker, run
from tests.checkpoints.untrusted.hostile_archives import (
    broken_archive,
    broken_many_langs,
    broken_zip,
)
from tests.checkpoints.untrusted.hostile_files import broken_native, broken_published

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="what a process takes is read where Linux has it"
)

CASES = int(os.environ.get("ELMO_HOSTILE_CASES", "250"))
FIRST = int(os.environ.get("ELMO_HOSTILE_FIRST", "0"))
READERS = {
    "native": broken_native,
    "published": broken_published,
    "published_zip": broken_zip,
    "many_langs": broken_many_langs,
    "allennlp_archive": broken_archive,
}


@pytest.mark.parametrize("make", READERS.values(), ids=READERS.keys())
def test_a_hostile_file_is_read_or_refused_and_does_no_harm(make: Maker, tmp_path: Path) -> None:
    (whole,) = run(make, [WHOLE], tmp_path / "whole cases")
    assert (whole.failure, whole.message) == ("", "")
    outcomes = run(make, range(FIRST, FIRST + CASES), tmp_path / "cases")
    refused = [outcome for outcome in outcomes if outcome.message]
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    largest = max(outcomes, key=lambda outcome: outcome.memory)
    print(
        f"{len(outcomes):,} cases, {len(refused):,} refused; the slowest {slowest.seconds:.2f} s "
        f"(case {slowest.case}), the largest {largest.memory / 1e6:,.0f} MB (case {largest.case})"
    )
    failures = [outcome for outcome in outcomes if outcome.failure]
    assert not failures, "\n".join(f"{case.case}: {case.failure}" for case in failures)
    # what breaks nothing would show nothing
    assert len(refused) > len(outcomes) / 3


def _keep_busy() -> None:
    end = time.process_time() + 1.5
    while time.process_time() < end:
        pass


@pytest.mark.parametrize(
    ("harm", "failure"),
    [
        (lambda: os.abort(), "the process died: .* signal 6"),
        (lambda: bytearray(MEMORY * 2), "it raised MemoryError"),
        (lambda: bytearray(MEMORY + (1 << 26)), r"it took 1,\d+,\d+,\d+ bytes"),
        (lambda: _keep_busy(), r"it took 1\.\d s"),
        (lambda: os.system("true"), "it did os.system"),
        (lambda: subprocess.run(["true"]), "it did subprocess.Popen"),
        (lambda: eval("exec('import this')"), "it did exec"),
        (lambda: open("/dev/full", "w").close(), "it wrote to /dev/full"),
        (lambda: Path(bounded._WATCHED["folder"], "left").touch(), "it left or changed files"),
        (lambda: {}["key"], "it raised KeyError"),
    ],
)
def test_each_kind_of_harm_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[], object], failure: str
) -> None:
    monkeypatch.setattr(bounded, "load", lambda path, softmax: harm() if "0" in path.parts else 0)
    outcomes = run(broken_native, [0, 1], tmp_path / "cases")
    assert [outcome.case for outcome in outcomes] == [0, 1]
    assert outcomes[1].failure == "" or outcomes[1].message
    with pytest.raises(AssertionError, match=failure):
        assert not outcomes[0].failure, outcomes[0].failure
