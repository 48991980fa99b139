"""The disk: an alarm's commit, the rate of telemetry, bytes written to the device.

python -m benchmarks.store
"""

import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

from benchmarks.report import Row, at_least, at_most, show
from gateway.domain.model import Channel
from gateway.domain.ports import MessageId
from gateway.store.config import Config
from gateway.store.report import BootInfo
from gateway.store.store import Store

ALARM_ROUNDS = 40
RATE_ROUNDS = 11
ALARMS = 20
BARE_ROWS = 400
FLOOD = 20_000
SLICE = 500
SLICES_UNDER_WAY = 4
DAY_S = 86_400
PAYLOAD = b"x" * 200


def _encode(_: MessageId) -> bytes:
    return PAYLOAD


@asynccontextmanager
async def _store(folder: Path, name: str, commit_rows: int = 100) -> AsyncIterator[Store]:
    config = Config(path=folder / name, commit_rows=commit_rows)
    store = await Store.open(config, BootInfo("bench"), lambda _: None)
    await store.claim("begun", 1.0)
    try:
        yield store
    finally:
        await store.close()


def _floor(folder: Path) -> sqlite3.Connection:
    """Return bare SQLite, WAL and FULL, all else as it comes."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, payload BLOB)")
    return connection


def _commits_s(floor: sqlite3.Connection, count: int) -> list[float]:
    """Return how long some commits of one message each took."""
    taken = []
    for _ in range(count):
        begin_s = time.perf_counter()
        floor.execute("INSERT INTO message (payload) VALUES (?)", (PAYLOAD,))
        taken.append(time.perf_counter() - begin_s)
    return taken


async def _alarm_s(store: Store) -> float:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begin_s = time.perf_counter()
    store.put(Channel.ALARM, _encode, partial(done.set_result, None))
    await done
    return time.perf_counter() - begin_s


async def alarm_commit(folder: Path) -> Row:
    """Time an alarm from `put` to "on disk", between bare commits of the same second."""
    ours_s, ratios = [], []
    async with _store(folder, "alarm.db") as store:
        with closing(_floor(folder)) as floor:
            for _ in range(ALARM_ROUNDS):
                ours_s.append(statistics.median([await _alarm_s(store) for _ in range(ALARMS)]))
                ratios.append(ours_s[-1] / statistics.median(_commits_s(floor, ALARMS)))
    ratio = statistics.median(ratios)
    detail = f"{statistics.median(ours_s) * 1e6:.0f} us; rounds {_quartiles(ratios)}"
    return at_most("alarm on disk / bare FULL commit", ratio, 1.5, detail=detail)


async def telemetry_rate(folder: Path) -> Row:
    """Flood the store with telemetry, default settings, and wait until all of it is on disk."""
    rates, ratios = [], []
    with closing(_floor(folder)) as floor:
        for round_ in range(RATE_ROUNDS):
            async with _store(folder, f"flood-{round_}.db") as store:
                begin_s = time.perf_counter()
                await _flood(store, FLOOD)
                rates.append(FLOOD / (time.perf_counter() - begin_s))
            ratios.append(rates[-1] * statistics.fmean(_commits_s(floor, BARE_ROWS)))
    ratio = statistics.median(ratios)
    detail = f"{statistics.median(rates):,.0f}/s; rounds {_quartiles(ratios)}"
    return at_least("telemetry / one FULL commit each", ratio, 20, detail=detail)


def _quartiles(ratios: list[float]) -> str:
    first, _, third = statistics.quantiles(ratios)
    return f"{first:.2f} to {third:.2f} x in their middle half"


async def _flood(store: Store, count: int, slice_: int = SLICE) -> None:
    """Queue as fast as it goes with no more than some slices not yet on disk."""
    loop = asyncio.get_running_loop()
    waiting: deque[asyncio.Future[None]] = deque()
    for _ in range(0, count, slice_):
        for _ in range(slice_ - 1):
            store.put(Channel.TELE, _encode)
        waiting.append(loop.create_future())
        store.put(Channel.TELE, _encode, partial(waiting[-1].set_result, None))
        if len(waiting) > SLICES_UNDER_WAY:
            await waiting.popleft()
    for done in waiting:
        await done


async def device_bytes(folder: Path) -> AsyncIterator[Row]:
    """Write as at 1 message/s with the link down: 30 rows in each commit, over some checkpoints."""
    messages = 9_000
    async with _store(folder, "bytes.db", commit_rows=30) as store:
        os.sync()
        device, process = _device_bytes(folder), _process_bytes()
        for _ in range(messages // 30):
            await _flood(store, 30, slice_=30)
    os.sync()
    per_process = (_process_bytes() - process) / messages
    per_device = (_device_bytes(folder) - device) / messages
    detail = f"/proc/self/io {per_process:,.0f}; sectors of the device, all its users: {per_device:,.0f}"
    yield at_most("device bytes per 200-byte message, 1/s, defaults", per_process, 1_000, "B", detail)
    yield Row("written per day at 1 message/s, link down", per_process * DAY_S / 1e6, "MB")
    yield await _bytes_with_link(folder)


async def _bytes_with_link(folder: Path) -> Row:
    """Write as with the link up: the receipt comes before the next group."""
    messages = 3_000
    async with _store(folder, "link.db") as store:
        begin = _process_bytes()
        for _ in range(messages):
            store.put(Channel.TELE, _encode)
            store.published([row.id for row in await store.take(20)])
            store.received(store.epoch, int(str(store.stats()["seq"])), [])
            await asyncio.sleep(0)
        per_message = (_process_bytes() - begin) / messages
    return Row("device bytes per message, link up, receipts in time", per_message, "B")


def _process_bytes() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _device_bytes(folder: Path) -> int:
    device = folder.stat().st_dev
    stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    return int(stat.read_text(encoding="ascii").split()[6]) * 512 if stat.exists() else 0


async def _measure(folder: Path) -> list[Row]:
    rows = [await alarm_commit(folder), await telemetry_rate(folder)]
    return rows + [row async for row in device_bytes(folder)]


def measure() -> Iterator[Row]:
    """Yield the store's rows of the table."""
    # The daemon does the same: a thread that computes must not keep the lock for 5 ms.
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as folder:
            yield from asyncio.run(_measure(Path(folder)))
    finally:
        sys.setswitchinterval(before_s)


def main() -> int:
    """Print the rows."""
    show(measure())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
