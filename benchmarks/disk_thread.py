"""What the disk's thread costs the loop: an edge from another process until its callback runs.

python -m benchmarks.disk_thread
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from benchmarks.report import Row, show
from gateway.domain.commands import Record
from gateway.domain.model import SYSTEM, Channel
from gateway.domain.ports import MessageId
from gateway.store.config import Config
from gateway.store.report import BootInfo
from gateway.store.store import Store

EDGES = 1_000
EDGE_EVERY_S = 0.002
SLOW_FSYNC_MS = 50
SETTLE_S = 0.5
_ROOT = Path(__file__).parents[1]

_SOURCE = f"""
import os, sys, time
for _ in range({EDGES}):
    time.sleep({EDGE_EVERY_S})
    os.write(1, time.perf_counter_ns().to_bytes(8, "little"))
"""
_IDLE_PROCESS = (
    "import asyncio, sqlite3, json, hashlib, zlib, sys; sys.stdout.write('x'); sys.stdout.flush(); input()"
)


async def reactions_us() -> list[float]:
    """Return how long each edge took to its callback, the loop running whatever else it runs."""
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    done: asyncio.Future[None] = loop.create_future()
    source = subprocess.Popen([sys.executable, "-S", "-c", _SOURCE], stdout=subprocess.PIPE)  # noqa: ASYNC220  before the measurement
    with source:
        assert source.stdout
        descriptor = source.stdout.fileno()

        def edge() -> None:
            now_ns = time.perf_counter_ns()
            stamps = os.read(descriptor, 8 * EDGES)
            taken.extend((now_ns - _stamp(stamps, at)) / 1e3 for at in range(0, len(stamps), 8))
            if not stamps:
                loop.remove_reader(descriptor)
                done.set_result(None)

        loop.add_reader(descriptor, edge)
        await done
    return taken


def _stamp(stamps: bytes, at: int) -> int:
    return int.from_bytes(stamps[at : at + 8], "little")


def _encode(_: MessageId) -> bytes:
    return b"x" * 200


async def _nothing(_: Store) -> None:
    await asyncio.sleep(3_600)


async def _telemetry(store: Store) -> None:
    """A message per ms: fifty times what a large building says."""
    while True:
        store.put(Channel.TELE, _encode)
        await asyncio.sleep(0.001)


async def _alarms(store: Store) -> None:
    """Commits without a pause."""
    loop = asyncio.get_running_loop()
    while True:
        safe: asyncio.Future[None] = loop.create_future()
        store.put(Channel.ALARM, _encode, partial(_resolve, safe))
        store.record(Record("valve.intent", "valve/main", SYSTEM, "leak", "c", {"coil": "close"}), 1.0)
        await safe


async def _verification(store: Store) -> None:
    """The journal is checked over and over: the thread computes hashes, in Python."""
    for n in range(3_000):
        store.record(Record("valve.intent", "valve/main", SYSTEM, f"leak {n}", "c", {"coil": "close"}), 1.0)
    while True:
        await store.verify()


async def _backlog(store: Store) -> None:
    """A backlog is read and acknowledged, 20 at a time, 8,000/s."""
    for _ in range(25_000):
        store.put(Channel.TELE, _encode)
    await asyncio.sleep(SETTLE_S)
    while True:
        store.published([row.id for row in await store.take(20)])
        await asyncio.sleep(0.0025)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


LOADS: dict[str, Callable[[Store], Coroutine[None, None, None]]] = {
    "idle": _nothing,
    "1,000 messages/s": _telemetry,
    "commit after commit": _alarms,
    "journal being verified": _verification,
    "backlog drains": _backlog,
}


@asynccontextmanager
async def _store(folder: Path) -> AsyncIterator[Store]:
    store = await Store.open(Config(path=folder / "x.db", receipts="broker"), BootInfo("b"), lambda _: None)
    try:
        yield store
    finally:
        await store.close()


async def _under(load: str, folder: Path) -> list[float]:
    async with _store(folder) as store, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(LOADS[load](store), name=load)
        await asyncio.sleep(SETTLE_S)
        taken = await reactions_us()
        running.cancel()
    return taken


def _one(load: str) -> None:
    """Measure in this process; print median, p99 and worst."""
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as folder:
        run = reactions_us() if load == "no store" else _under(load, Path(folder))
        taken = sorted(asyncio.run(run))
    print(statistics.median(taken), taken[len(taken) * 99 // 100], taken[-1])


def _measured(load: str, slow: Path | None = None) -> tuple[float, float, float]:
    extra = {"LD_PRELOAD": str(slow), "SLOW_FSYNC_MS": str(SLOW_FSYNC_MS)} if slow else {}
    command = [sys.executable, "-m", "benchmarks.disk_thread", load]
    run = subprocess.run(
        command, env=os.environ | extra, cwd=_ROOT, capture_output=True, text=True, check=True
    )
    median, p99, worst = map(float, run.stdout.split())
    return median, p99, worst


def _rows(name: str, figures: tuple[float, float, float], floor: tuple[float, float, float]) -> Row:
    median, p99, worst = figures
    detail = f"median {median:.0f} us, p99 {p99:.0f} us ({p99 / floor[1]:.1f} x), worst {worst / 1e3:.1f} ms"
    return Row(f"edge to callback: {name}", median / floor[0], "x", detail=detail)


def _slow_fsync(folder: Path) -> Path | None:
    compiler = shutil.which("cc")
    if not compiler:
        return None
    library = folder / "slow_fsync.so"
    source = _ROOT / "tests/fakes/slow_fsync.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def _process_rss_mib() -> float:
    """Return what a process of its own for the disk would take, before it does anything."""
    with subprocess.Popen(
        [sys.executable, "-c", _IDLE_PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.read(1)
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        process.communicate(b"\n")
    private_kib = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return private_kib / 1024


async def _thread_rss_mib(folder: Path) -> float:
    before = _private_mib()
    async with _store(folder) as store:
        for _ in range(500):
            store.put(Channel.EVENT, _encode)
        await store.verify()
        return _private_mib() - before


def _private_mib() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def measure() -> Iterator[Row]:
    """Yield the loop's reaction beside each kind of disk work, and what thread and process cost in RAM."""
    floor = _measured("no store")
    yield _rows("no store", floor, floor)
    for load in LOADS:
        yield _rows(load, _measured(load), floor)
    with tempfile.TemporaryDirectory(prefix="reed-bench-") as name:
        if slow := _slow_fsync(Path(name)):
            title = f"commit after commit, fsync takes {SLOW_FSYNC_MS} ms"
            yield _rows(title, _measured("commit after commit", slow), floor)
        thread_mib = asyncio.run(_thread_rss_mib(Path(name)))
    yield Row("private memory of the store with its thread", thread_mib, "MiB")
    yield Row("private memory of a process for the disk instead", _process_rss_mib(), "MiB")


def main() -> int:
    """Print the rows, or measure one load for the parent."""
    if len(sys.argv) > 1:
        with suppress(asyncio.CancelledError):
            _one(sys.argv[1])
    else:
        show(measure())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
