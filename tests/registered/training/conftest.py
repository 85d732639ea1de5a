"""The data of small trainings."""

from pathlib import Path

import pytest

from tests.registered.training.recorded import write_data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three shards to train on, a file to validate on, and their vocabulary."""
    return write_data(tmp_path)
