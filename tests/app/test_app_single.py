import subprocess
import sys
from pathlib import Path

import pytest

from gateway.app.single import NAME, only_one
from gateway.errors import DriverError
from tests.fakes.house import house


def test_second_gateway_is_told_who_runs_and_the_first_goes_on(tmp_path: Path):
    with house(tmp_path) as home:
        home.start()
        second = subprocess.run(
            [sys.executable, "-m", "gateway", "run", "--config", home.config_file],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

        assert second.returncode == 69
        assert "another gateway (process " in second.stderr
        assert len(second.stderr.splitlines()) == 1
        assert home.until_view(bool)
        assert home.stop() == 0


def test_lock_is_free_after_its_holder(tmp_path: Path):
    with only_one(tmp_path), pytest.raises(DriverError, match="another gateway"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        assert (tmp_path / NAME).exists()


def test_folder_that_cannot_be_made_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").touch()

    with only_one(tmp_path / "file" / "run"):
        assert "no lock against a second gateway" in caplog.text
