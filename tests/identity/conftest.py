"""What the tests of renewal and of its interruptions share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import est_cloud, rotating
from tests.fakes.est_cloud import Cloud
from tests.fakes.rotating import Stage


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory: hundreds of fsyncs, and no disk is judged here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with est_cloud.served(est_cloud.cloud(tmp_path)) as served:
        yield served


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with rotating.stage(tmp_path_factory.mktemp("stage")) as running:
        yield running
