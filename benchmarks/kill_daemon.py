"""kill -9 of the whole daemon at random points while it fills and drains, with a real broker and receipts.

python -m benchmarks.kill_daemon [kills]
"""

import asyncio
import os
import random
import sys
import time
from collections import defaultdict

from benchmarks.reaction import pipes
from benchmarks.report import Row, at_most, show
from benchmarks.rig import Site, python, site, started
from gateway.cli.demo.cloud import Cloud

KILLS = 200
CONFIG = """
[zone.cellar]
sensors = ["cellar"]
action = "notify"
[sensor.cellar]
kind = "contact"
line = "leak"
"""
Promise = tuple[int, int]


def measure(kills: int = KILLS) -> list[Row]:
    """Return what was lost, doubled in effect or out of order at the cloud's end."""
    with site() as place:
        return asyncio.run(_measure(place, kills))


async def _measure(place: Site, kills: int) -> list[Row]:
    rng = random.Random(1)  # noqa: S311 - repeatable, not secret
    promised: set[Promise] = set()
    cloud = Cloud(place.ca.cloud, "localhost", place.broker.port)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(cloud.run())
        for _ in range(kills):
            promised |= await asyncio.to_thread(_run, place, rng.uniform(0.05, 0.7))
        last = tasks.create_task(asyncio.to_thread(_run, place, 4.0, "calm"))
        await last
        running.cancel()
    return _rows(cloud, promised, kills)


def _run(place: Site, kill_after_s: float, load: str = "promise") -> set[Promise]:
    """Run the daemon, kill it, and return what it had promised."""
    config = place.folder / "gateway.toml"
    config.write_text(place.base_config(receipts="cloud") + CONFIG)
    reader, writer = os.pipe()
    with pipes() as pipe:
        fds = (*pipe.theirs, writer)
        command = python(
            "-m", "benchmarks.reaction_daemon", str(config), *map(str, pipe.theirs), load, str(writer)
        )
        with started(command, place.folder, inherit=fds) as daemon:
            said = _read_for(reader, kill_after_s)
            daemon.process.kill()
            daemon.process.wait()
    os.close(writer)
    said += _rest(reader)
    os.close(reader)
    # a line that the kill cut off was not said
    whole = [line.split() for line in said.decode().splitlines(keepends=True) if line.endswith("\n")]
    return {(int(epoch), int(seq)) for epoch, seq, _ in whole}


def _read_for(reader: int, seconds: float) -> bytes:
    """Read what it says, so that it never waits for us, until the time is up."""
    os.set_blocking(reader, False)
    end_s, said = time.monotonic() + seconds, b""
    while time.monotonic() < end_s:
        said += _rest(reader)
        time.sleep(0.005)
    return said


def _rest(reader: int) -> bytes:
    said = b""
    try:
        while chunk := os.read(reader, 65536):
            said += chunk
    except BlockingIOError:
        pass
    return said


def _rows(cloud: Cloud, promised: set[Promise], kills: int) -> list[Row]:
    numbers = {(m["epoch"], m["body"]["number"]): m for m in cloud.held.values() if m["kind"] == "filler"}
    effects = [m for m in cloud.held.values() if m["kind"] == "filler"]
    lost = promised - numbers.keys()
    copies = sum(cloud.copies.values())
    detail = f"{kills} kills, {len(promised):,} promised, {len(numbers):,} arrived"
    return [
        at_most("daemon killed: lost after it was durable", len(lost), 0, "msg", detail),
        at_most("daemon killed: doubled in effect", len(effects) - len(numbers), 0, "msg"),
        at_most("daemon killed: out of order within a priority", _disorder(cloud), 0, "msg"),
        Row("daemon killed: copies that the cloud dropped, per kill", copies / kills, "msg"),
    ]


def _disorder(cloud: Cloud) -> int:
    """Count first arrivals behind a younger one of the same gateway, epoch and topic."""
    latest: defaultdict[tuple[str, int], int] = defaultdict(int)
    seen, wrong = set(), 0
    for arrival in cloud.arrivals:
        message = arrival.message
        key = (message["epoch"], message["seq"])
        if message["kind"] != "filler" or key in seen:
            continue
        seen.add(key)
        line = (arrival.topic, message["epoch"])
        wrong += message["seq"] < latest[line]
        latest[line] = max(latest[line], message["seq"])
    return wrong


if __name__ == "__main__":
    show(measure(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS))
