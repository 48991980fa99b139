"""What the tests of updates share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.ota.tool import PASSPHRASE, REFRESH_PASSPHRASE


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory: hundreds of fsyncs, and no disk is judged here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.fixture
def place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `reed-ota` is used: two files to release, and a passphrase."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REED_OTA_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("REED_OTA_REFRESH_PASSPHRASE", REFRESH_PASSPHRASE)
    (folder / "reed-1.0.raucb").write_bytes(b"one" * 1000)
    (folder / "reed-1.1.raucb").write_bytes(b"two" * 1000)
    return folder
