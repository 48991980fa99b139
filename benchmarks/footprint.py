"""Memory, start, idle CPU and wake-ups of the whole daemon, against its own imports as the floor.

python -m benchmarks.footprint
"""

import time
from pathlib import Path
from statistics import median

import psutil

from benchmarks.report import Row, at_most, show
from benchmarks.rig import Site, building, python, site, started

FLOOR = """
import asyncio, os, socket, sqlite3, ssl, signal
import aiomqtt, paho.mqtt.client
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.sigwait({signal.SIGTERM})
"""
STARTS = 9
SETTLE_S = 12.0
IDLE_S = 40.0

WIRED = """
[zone.cellar]
sensors = ["cellar"]
valves = ["main"]
[sensor.cellar]
kind = "contact"
line = "leak-plant-room"
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
open_switch_line = "main-is-open"
closed_switch_line = "main-is-closed"
travel_s = 3.0
[button.lobby]
line = "lobby-button"
[indicator]
led_line = "status-led"
"""

RADIO = """
[sensor.pump]
kind = "bthome"
address = "A4:C1:38:00:00:01"
key = "7d2f0c5be83146a99b11c0de5eed0001"
[sensor.sink]
kind = "switchbot"
address = "C0:4E:30:00:00:03"
[sensor.sump]
kind = "mocreo"
address = "30:AE:A4:00:00:02"
[sensor.rack]
kind = "mibeacon"
address = "DC:23:4D:00:00:04"
key = "7d2f0c5be83146a99b11c0de5eed0004"
[zone.radio]
sensors = ["pump", "sink", "sump", "rack"]
valves = ["main"]
"""


def measure() -> list[Row]:
    """Return start, memory and idle rows."""
    with site() as place, building(place.folder, _plan()):
        floor_mib, floor_s = _floor(place)
        config = place.folder / "gateway.toml"
        config.write_text(place.base_config() + WIRED)
        run = python("-m", "gateway", "run", "--config", str(config))
        start_s = median(_start_s(run, place) for _ in range(STARTS))
        idle_mib, cpu_percent, wakeups_per_s = _idle(run, place)
        config.write_text(place.base_config(receipts="cloud") + WIRED + RADIO)
        full_mib = _full_mib(run, place)
    return [
        at_most(
            "RSS, idle daemon / its imports alone",
            idle_mib / floor_mib,
            1.3,
            detail=f"{idle_mib:.1f} / {floor_mib:.1f} MiB",
        ),
        at_most(
            "RSS, keyed BLE and signed commands in use / imports",
            full_mib / floor_mib,
            1.8,
            detail=f"{full_mib:.1f} MiB",
        ),
        at_most(
            "start to READY / start of the imports",
            start_s / floor_s,
            3.0,
            detail=f"{start_s * 1e3:.0f} / {floor_s * 1e3:.0f} ms",
        ),
        at_most("idle CPU", cpu_percent, 0.1, "%", f"over {IDLE_S:.0f} s, link up"),
        at_most("idle wake-ups", wakeups_per_s, 3.0, "/s", "voluntary switches, all threads"),
    ]


def _plan() -> Path:
    return Path(__file__).resolve().parent.parent / "gateway" / "cli" / "demo" / "building.toml"


def _floor(place: Site) -> tuple[float, float]:
    starts, sizes = [], []
    for _ in range(STARTS):
        with started(python("-c", FLOOR), place.folder) as floor:
            starts.append(floor.start_s)
            sizes.append(_rss_mib(psutil.Process(floor.process.pid)))
    return median(sizes), median(starts)


def _start_s(run: list[str], place: Site) -> float:
    with started(run, place.folder) as daemon:
        return daemon.start_s


def _idle(run: list[str], place: Site) -> tuple[float, float, float]:
    with started(run, place.folder) as daemon:
        process = psutil.Process(daemon.process.pid)
        time.sleep(SETTLE_S)
        before, switches = process.cpu_times(), _switches(process)
        time.sleep(IDLE_S)
        after = process.cpu_times()
        cpu_s = after.user + after.system - before.user - before.system
        return _rss_mib(process), 100 * cpu_s / IDLE_S, (_switches(process) - switches) / IDLE_S


def _switches(process: psutil.Process) -> int:
    """Sum over all threads; psutil's own counter is the main thread's alone."""
    total = 0
    for status in Path(f"/proc/{process.pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def _full_mib(run: list[str], place: Site) -> float:
    """Every BLE sensor heard, receipts coming in, one signed command executed."""
    import asyncio  # noqa: PLC0415 - only this part needs a loop

    from gateway.cli.demo.cloud import Cloud  # noqa: PLC0415

    async def command() -> None:
        cloud = Cloud(place.ca.cloud, "localhost", place.broker.port)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cloud.run())
            await cloud.until(lambda end: end.connected, 10)
            command_id = await cloud.command("ping", {})
            await cloud.until(lambda end: end.answers(command_id), 15)
            running.cancel()

    with started(run, place.folder) as daemon:
        time.sleep(SETTLE_S)
        asyncio.run(command())
        time.sleep(25)  # every beacon of the building has spoken at least once
        return _rss_mib(psutil.Process(daemon.process.pid))


def _rss_mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


if __name__ == "__main__":
    show(measure())
