"""Scenes with a sick disk, each in a process of its own: `python -m tests.fakes.sick_disk <scene> <folder>`.

The disk stalls while the file `stall` exists (with slow_fsync preloaded), or is full beyond a limit on the
size of files. Prints what happened as JSON.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from gateway.domain.commands import Remember
from gateway.domain.model import Channel
from gateway.errors import StoreError
from gateway.store.config import Config
from gateway.store.report import BootInfo, StoreReport
from gateway.store.store import Store
from tests.fakes.shelf import bodies, take, text
from tests.fakes.waiting import until

_RESULT: dict[str, object] = {}
_REPORTS: list[str] = []


def _report(report: StoreReport) -> None:
    _REPORTS.append(report.kind.value)


async def _worst_lag_s(duration_s: float) -> float:
    """Return the longest that the loop was late while all this went on."""
    worst_s = 0.0
    end_s = time.perf_counter() + duration_s
    while (start_s := time.perf_counter()) < end_s:
        await asyncio.sleep(0.001)
        worst_s = max(worst_s, time.perf_counter() - start_s - 0.001)
    return worst_s


async def stall(folder: Path) -> None:
    config = Config(path=folder / "gateway.db", stall_after_s=0.1, claim_wait_s=0.2, receipts="broker")
    store = await Store.open(config, BootInfo("boot"), _report)
    await until(lambda: not store._committer.is_working)
    safe: list[str] = []
    (folder / "stall").touch()
    store.put(Channel.ALARM, text("leak"), lambda: safe.append("leak"))
    _RESULT["worst_lag_s"] = await _worst_lag_s(0.5)
    _RESULT["left_while_stalled"] = bodies(await take(store, 1))
    try:
        await store.claim("command-1", 1e9)
    except StoreError as error:
        _RESULT["claim"] = str(error)
    _RESULT["safe_while_stalled"] = list(safe)
    (folder / "stall").unlink()
    await until(lambda: "recovered" in _REPORTS)
    await until(lambda: safe)
    await store.close()


async def stall_at_start(folder: Path) -> None:
    config = Config(path=folder / "gateway.db", open_wait_s=0.2, stall_after_s=0.1)
    before = await Store.open(config, BootInfo("boot"), _report)
    before.remember(Remember("lockout/main", "anna"))
    await before.close()
    (folder / "stall").touch()
    start_s = time.perf_counter()
    store = await Store.open(config, BootInfo("boot"), _report)
    _RESULT["open_s"] = time.perf_counter() - start_s
    _RESULT["memory"] = store.memory
    late: list[object] = []
    store.on_late_memory = late.append
    store.put(Channel.ALARM, text("leak"))
    _RESULT["left_while_stalled"] = bodies(await take(store, 1))
    store.remember(Remember("valve/main", "closed"))
    (folder / "stall").unlink()
    await until(lambda: store.stats()["in_ram"] == 0)
    _RESULT["late"] = late
    await store.close()
    again = await Store.open(config, BootInfo("boot"), _report)
    _RESULT["memory_after"] = again.memory
    _RESULT["kept"] = bodies(await take(again, 1))
    await again.close()


async def stall_at_stop(folder: Path) -> None:
    config = Config(path=folder / "gateway.db", close_wait_s=0.3)
    store = await Store.open(config, BootInfo("boot"), _report)
    await until(lambda: not store._committer.is_working)
    (folder / "stall").touch()
    store.put(Channel.TELE, text("last"))
    start_s = time.perf_counter()
    await store.close()
    _RESULT["close_s"] = time.perf_counter() - start_s


async def full(folder: Path) -> None:
    config = Config(path=folder / "gateway.db", receipts="broker", max_bytes=4 << 20, max_ram_bytes=1 << 20)
    store = await Store.open(config, BootInfo("boot"), _report)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, hard))
    count = 0
    while "failing" not in _REPORTS:
        count += 1
        store.put(Channel.EVENT, text(f"{count:04} " + "x" * 300))
        await asyncio.sleep(0.0005)
    _RESULT["detail"] = store.stats()["detail"]
    store.put(Channel.ALARM, text("leak"))
    _RESULT["left_while_full"] = bodies(await take(store, 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await until(lambda: "recovered" in _REPORTS)
    await until(lambda: store.stats()["in_ram"] == 0)
    store.put_back()
    rows = await take(store, count + 1)
    numbers = [int(body.split()[0]) for body in bodies(rows)[1:]]
    _RESULT["all_in_order"] = numbers == list(range(1, count + 1)) and rows[0].payload == b"leak"
    await store.close()


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
    sys.stdout.write(json.dumps({**_RESULT, "reports": _REPORTS}))
