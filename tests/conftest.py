"""What many tests start from: the project's fixtures and the tiny model."""

import os
from pathlib import Path

# Threads of several test processes would wait for one another, and a process that was forked after
# its parent used OpenMP's threads may hang.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
import pytest
import torch

from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo

ROOT = Path(__file__).parent.parent
# A file's tests run in one process. These take longest, so they begin first, and at the end no
# process works on one of them while the others wait.
LONGEST = ("readme_test", "benchmarks_compare_test", "finetuning_test", "training_configs_test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return ROOT / "fixtures"


@pytest.fixture(scope="session")
def tiny_folder(fixtures: Path) -> Path:
    """The tiny model in the published format."""
    return fixtures / "models" / "tiny"


@pytest.fixture
def tiny(tiny_folder: Path) -> Elmo:
    """The tiny model, in evaluation mode."""
    return Elmo.from_pretrained(tiny_folder)


@pytest.fixture
def tiny_config(tiny: Elmo) -> ElmoConfig:
    return tiny.config


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(1)
    numpy.random.seed(1)
