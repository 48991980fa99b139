from pathlib import Path

import pytest

from gateway.store.config import Config
from tests.fakes.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(Config(path=tmp_path / "gateway.db", receipts="broker"))
