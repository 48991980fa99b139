"""Whoever was promised something hears of it once the disk has it; a sick disk keeps nobody waiting."""

import asyncio
import sqlite3
from pathlib import Path

from gateway.domain.commands import Remember
from gateway.store.config import Config
from gateway.store.report import BootInfo
from gateway.store.store import Store


async def _open(path: Path) -> Store:
    return await Store.open(Config(path=path, stall_after_s=0.2), BootInfo("boot"), lambda _report: None)


async def test_who_waits_for_the_disk_is_told_when_all_of_it_can_be_read_there(tmp_path: Path) -> None:
    store = await _open(tmp_path / "file")
    told = asyncio.Event()
    store.when_settled(told.set)
    store.remember(Remember("mode", "late in the same slice"))
    assert not told.is_set()
    async with asyncio.timeout(5):
        await told.wait()
    await store.close()
    with sqlite3.connect(tmp_path / "file") as connection:
        rows = connection.execute("SELECT value FROM memory WHERE key = 'mode'").fetchall()
    connection.close()
    assert rows == [('"late in the same slice"',)]


async def test_with_nothing_to_write_nobody_waits(tmp_path: Path) -> None:
    store = await _open(tmp_path / "file")
    for _ in range(2):
        told = asyncio.Event()
        store.when_settled(told.set)
        async with asyncio.timeout(5):
            await told.wait()
    await store.close()


async def test_a_disk_that_refuses_keeps_nobody_waiting(tmp_path: Path) -> None:
    store = await _open(tmp_path / "no folder" / "file")
    for key in ("first", "second"):
        told = asyncio.Event()
        store.remember(Remember(key, 1))
        store.when_settled(told.set)
        async with asyncio.timeout(5):
            await told.wait()
    await store.close()
