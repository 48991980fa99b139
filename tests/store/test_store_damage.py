"""Files that something damaged: never a traceback, never a garbled message, nothing lost unsaid."""

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest

from gateway.domain.commands import Record, Remember
from gateway.domain.model import SYSTEM, Channel
from gateway.store.database import PAGE_BYTES
from gateway.store.report import ReportKind
from tests.fakes.shelf import Shelf, bodies, nothing_left, on_disk, take, text
from tests.fakes.waiting import until

COUNT = 60
NOTED = Record("valve.intent", "valve/main", SYSTEM, "leak", "c1", {"coil": "close"})


async def _prepare(shelf: Shelf) -> None:
    """Write a file of several pages of everything."""
    async with shelf.opened() as store:
        for n in range(COUNT):
            store.put(Channel(n % 5), text(f"message {n:03} " + "x" * 200))
            store.remember(Remember(f"alarm/{n}", {"state": "latched", "since": "y" * 50}))
            store.record(NOTED, float(n))
            await store.claim(f"command-{n}", 1e9 + n)


async def _survivors(shelf: Shelf) -> list[str]:
    """Open the file, use it, and return what it delivers of the old messages."""
    async with shelf.opened() as store:
        await on_disk(store, Channel.ALARM, "leak")
        store.record(NOTED, 1.0)
        await store.claim("new", 2e9)
        got = []
        while not await nothing_left(store):
            store.put_back()
            rows = await store.take(100)
            got += bodies(rows)
            store.published([row.id for row in rows])
            await asyncio.sleep(0)
        assert store.stats()["state"] == "ok"
        await store.verify()
    assert got.count("leak") == 1
    return [body for body in got if body != "leak"]


def _explained(shelf: Shelf) -> bool:
    return bool(shelf.reported(ReportKind.QUARANTINED) or shelf.reported(ReportKind.POISONED))


async def test_damage_in_any_page_garbles_nothing_and_is_reported(shelf: Shelf):
    await _prepare(shelf)
    sound = shelf.path.read_bytes()
    whole = {f"message {n:03} " + "x" * 200 for n in range(COUNT)}
    rng = random.Random(1)  # noqa: S311  repeatable, not secret
    for page in range(len(sound) // PAGE_BYTES):
        damaged = bytearray(sound)
        damaged[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = rng.randbytes(PAGE_BYTES)
        shelf.path.write_bytes(damaged)
        shelf.reports.clear()

        left = await _survivors(shelf)

        assert set(left) <= whole, page
        assert len(left) == len(set(left)), page
        assert len(left) == COUNT or _explained(shelf), page
        # At most one page of the B-tree is gone: what stands before and behind it was saved.
        assert len(left) >= COUNT - 6 or page < 12, (page, len(left))


@pytest.mark.parametrize("keep", [0, 1, 50, 1024, 5_000, 20_000])
async def test_truncated_file_is_replaced(shelf: Shelf, keep: int):
    await _prepare(shelf)
    shelf.path.write_bytes(shelf.path.read_bytes()[:keep])
    shelf.reports.clear()

    await _survivors(shelf)

    assert keep == 0 or _explained(shelf)


@pytest.mark.parametrize("content", [b"not a database at all" * 100, bytes(8192), b"\xff" * 3000])
async def test_foreign_file_is_set_aside_under_its_own_name(shelf: Shelf, content: bytes):
    shelf.path.write_bytes(content)

    async with shelf.opened() as store:
        await on_disk(store, Channel.ALARM, "leak")
        assert store.memory is None
    aside = shelf.path.with_name("gateway.db.corrupt-1")

    assert aside.read_bytes() == content
    assert aside.name in shelf.reported(ReportKind.QUARANTINED)[0].detail


async def test_only_the_last_four_damaged_files_are_kept(shelf: Shelf):
    for n in range(6):
        shelf.path.write_bytes(b"garbage %d" % n * 100)
        async with shelf.opened():
            pass
        shelf.path.unlink()

    kept = sorted(path.name for path in shelf.path.parent.iterdir())

    assert kept == [f"gateway.db.corrupt-{n}" for n in (3, 4, 5, 6)]


async def test_file_of_a_later_version_is_set_aside_and_its_messages_saved(shelf: Shelf):
    await _prepare(shelf)
    with sqlite3.connect(shelf.path) as later:
        later.execute("PRAGMA user_version = 99")
    later.close()

    left = await _survivors(shelf)

    assert len(left) == COUNT
    assert "version 99" in shelf.reported(ReportKind.QUARANTINED)[0].detail


async def test_flipped_bit_in_a_payload_puts_that_message_aside(shelf: Shelf):
    await _prepare(shelf)
    shelf.path.write_bytes(shelf.path.read_bytes().replace(b"message 017", b"message 117", 1))

    left = await _survivors(shelf)

    assert len(left) == COUNT - 1
    assert [r.detail for r in shelf.reported(ReportKind.POISONED)] == ["damaged on disk"]


async def test_flipped_bit_in_the_memory_makes_all_of_it_unknown(shelf: Shelf):
    await _prepare(shelf)
    shelf.path.write_bytes(shelf.path.read_bytes().replace(b'"latched"', b'"latchex"', 1))

    async with shelf.opened() as store:
        assert store.memory is None


async def test_damage_while_running_keeps_memory_journal_and_work(shelf: Shelf):
    async with shelf.opened() as store:
        store.remember(Remember("alarm/leak", "latched"))
        store.record(NOTED, 1.0)
        await on_disk(store, Channel.EVENT, "before")
        await store._thread.call(lambda: _ruin(store._disk._connection))
        store.record(NOTED, 2.0)
        await on_disk(store, Channel.ALARM, "leak")
        await until(lambda: shelf.reported(ReportKind.QUARANTINED))
        assert await store.verify() == []

    async with shelf.opened() as store:
        assert store.memory == {"alarm/leak": "latched"}
        assert "leak" in bodies(await take(store, 1))
        assert store.stats()["journal"]["entries"] >= 3


def _ruin(connection: sqlite3.Connection) -> None:
    """Damage a page under the running gateway, as a dying card does."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'message'").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    connection.execute("PRAGMA cache_size = 0")
    connection.execute("PRAGMA shrink_memory")
