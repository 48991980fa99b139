"""A served gateway, and raw access to its socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.control.client import Client
from tests.fakes.gateway import Served, served


@pytest.fixture
def at(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def gateway(at: Path) -> Iterator[Served]:
    with served(at) as running:
        yield running


@pytest.fixture
def client(gateway: Served) -> Iterator[Client]:
    with Client(gateway.config.socket) as connected:
        yield connected
