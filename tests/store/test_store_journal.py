"""The hash chain: what it shows, and what it keeps."""

import json
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.domain.commands import Record
from gateway.domain.model import SYSTEM
from gateway.store.report import ReportKind
from tests.fakes.shelf import Shelf


def _record(n: int) -> Record:
    return Record("valve.intent", "valve/main", SYSTEM, f"leak {n}", f"c{n}", {"coil": "close"})


async def _write(shelf: Shelf, count: int, **changes: object) -> None:
    async with shelf.opened(**changes) as store:
        for n in range(count):
            store.record(_record(n), n + 0.5, 1.8e9, clock_trusted=True)


def _edit(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    with sqlite3.connect(path) as file:
        change(file)
    file.close()


async def _problems(shelf: Shelf) -> list[str]:
    async with shelf.opened() as store:
        return await store.verify()


async def test_untouched_journal_is_sound_across_restarts(shelf: Shelf):
    await _write(shelf, 150)
    await _write(shelf, 150)

    assert await _problems(shelf) == []


async def test_chain_can_be_checked_with_nothing_but_sha256(shelf: Shelf):
    await _write(shelf, 3)
    with sqlite3.connect(shelf.path) as file:
        rows = file.execute("SELECT n, body, hash FROM journal ORDER BY n").fetchall()
    file.close()

    previous = bytes(32)
    for n, body, stored in rows:
        previous = sha256(previous + body.encode()).digest()
        assert previous == stored
        assert json.loads(body) == {
            "actor": "system:gateway",
            "at_s": n - 0.5,
            "boot_id": "boot-1",
            "cause": f"leak {n - 1}",
            "clock_trusted": True,
            "correlation_id": f"c{n - 1}",
            "detail": {"coil": "close"},
            "kind": "valve.intent",
            "subject": "valve/main",
            "unix_s": 1.8e9,
        }


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE journal SET body = replace(body, 'leak', 'test') WHERE n = 7", "entry 7 was changed"),
        ("UPDATE journal SET hash = zeroblob(32) WHERE n = 7", "entry 7 was changed"),
        ("DELETE FROM journal WHERE n = 7", "entries 7 to 7 are missing"),
        ("DELETE FROM journal WHERE n < 5", "entries 1 to 4 are missing"),
        ("UPDATE journal SET n = n + 1000 WHERE n > 10", "entries 11 to 1010 are missing"),
    ],
)
async def test_tampering_is_found(shelf: Shelf, sql: str, problem: str):
    await _write(shelf, 20)
    _edit(shelf.path, lambda file: file.execute(sql))

    assert any(problem in line for line in await _problems(shelf))


async def test_journal_keeps_a_bounded_number_and_stays_verifiable(shelf: Shelf):
    await _write(shelf, 500, journal_entries=100)
    with sqlite3.connect(shelf.path) as file:
        first, last, count = file.execute("SELECT min(n), max(n), count(*) FROM journal").fetchone()
    file.close()

    assert last == 500
    assert 100 <= count <= 106
    assert first == last - count + 1
    assert await _problems(shelf) == []


async def test_head_tells_a_cut_tail_from_a_whole_journal(shelf: Shelf):
    async with shelf.opened() as store:
        for n in range(10):
            store.record(_record(n), float(n))
        await store._committer.drain()
        head = store.stats()["journal"]
        await store._thread.call(lambda: store._disk._connection.execute("DELETE FROM journal WHERE n > 8"))

        assert head["entries"] == 10
        assert await store.verify() == ["journal: entries 9 to 10 are missing"]


async def test_replaced_file_says_so_in_its_journal(shelf: Shelf):
    shelf.path.write_bytes(b"garbage" * 1000)
    await _write(shelf, 1)
    with sqlite3.connect(shelf.path) as file:
        kinds = [json.loads(row[0])["kind"] for row in file.execute("SELECT body FROM journal ORDER BY n")]
    file.close()

    assert kinds == ["quarantined", "valve.intent"]
    assert shelf.reported(ReportKind.QUARANTINED)
