"""A disk that stalls, is full, is missing or belongs to somebody else: the gateway goes on in RAM."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.commands import Remember
from gateway.domain.model import Channel
from gateway.errors import StoreError
from gateway.store.report import ReportKind
from tests.fakes.shelf import Shelf, bodies, on_disk, take, text
from tests.fakes.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def slow_fsync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("preload") / "slow_fsync.so"
    source = ROOT / "tests/fakes/slow_fsync.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def _play(scene: str, folder: Path, preload: Path | None = None) -> dict[str, Any]:
    extra = {"LD_PRELOAD": str(preload), "STALL_FILE": str(folder / "stall")} if preload else {}
    command = [sys.executable, "-m", "tests.fakes.sick_disk", scene, str(folder)]
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ | extra, capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


def test_stalled_disk_delays_neither_the_loop_nor_an_alarm(tmp_path: Path, slow_fsync: Path):
    result = _play("stall", tmp_path, slow_fsync)

    assert result["reports"] == ["stalled", "recovered"]
    assert result["left_while_stalled"] == ["leak"]
    assert result["safe_while_stalled"] == []
    assert "did not answer within 0.2 s" in result["claim"]
    assert result["worst_lag_s"] < 0.3  # a loop that waited for the disk would be late by all of the 0.5 s


def test_disk_that_stalls_at_the_start_delays_protection_by_a_bounded_time(tmp_path: Path, slow_fsync: Path):
    result = _play("stall_at_start", tmp_path, slow_fsync)

    assert result["open_s"] < 1.0
    assert result["memory"] is None
    assert result["left_while_stalled"] == ["leak"]
    assert result["late"] == [{"lockout/main": "anna"}]
    assert result["memory_after"] == {"lockout/main": "anna", "valve/main": "closed"}
    assert result["kept"] == ["leak"]


def test_disk_that_stalls_at_the_stop_does_not_keep_the_process(tmp_path: Path, slow_fsync: Path):
    assert _play("stall_at_stop", tmp_path, slow_fsync)["close_s"] < 1.0


def test_full_disk_loses_nothing_and_heals(tmp_path: Path):
    result = _play("full", tmp_path)

    assert result["left_while_full"] == ["leak"]
    assert result["all_in_order"]
    assert result["reports"] == ["failing", "recovered"]


async def test_missing_folder_is_reported_and_made_good_once_it_appears(shelf: Shelf, tmp_path: Path):
    folder = tmp_path / "not-mounted-yet"
    async with shelf.opened(path=folder / "gateway.db") as store:
        assert store.memory is None
        await until(lambda: shelf.reported(ReportKind.FAILING))
        store.put(Channel.ALARM, text("leak"))
        assert bodies(await take(store, 1)) == ["leak"]
        with pytest.raises(StoreError, match="unable to open"):
            await store.claim("command-1", 1e9)

        folder.mkdir()
        await until(lambda: shelf.reported(ReportKind.RECOVERED))
        await until(lambda: store.stats()["in_ram"] == 0)


async def test_file_in_use_by_another_process_is_left_alone(shelf: Shelf):
    async with shelf.opened() as store:
        store.remember(Remember("a", 1))
        await on_disk(store, Channel.EVENT, "mine")

        async with shelf.opened(path=shelf.path) as second:
            assert second.memory is None
            assert second.stats()["state"] == "failing"
            assert "locked" in second.stats()["detail"]

    assert shelf.reported(ReportKind.QUARANTINED) == []
    with sqlite3.connect(shelf.path) as file:
        assert file.execute("SELECT count(*) FROM message").fetchone() == (1,)
    file.close()
