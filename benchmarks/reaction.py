"""Wet edge to valve line, whole daemon under load, against the floor of the same run.

The floor is the least that asyncio can do: `add_reader` on the edge, a write to the line, nothing else.

python -m benchmarks.reaction
"""

import contextlib
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.report import Row, at_most, show
from benchmarks.rig import ROOT, Site, python, site, started
from gateway.control.client import Client

SAMPLES = 200
ADVERTS_PER_S = 100
SLOW_FSYNC_MS = 40

FLOOR = """
import asyncio, os, socket, sys
edges, lines = int(sys.argv[1]), int(sys.argv[2])
def on_edge():
    for byte in os.read(edges, 64):
        if byte == 49:
            os.write(lines, b"0")
async def main():
    asyncio.get_running_loop().add_reader(edges, on_edge)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    await asyncio.Event().wait()
asyncio.run(main())
"""

CONFIG = """
[store]
commit_rows = 100
[sensor.cellar]
kind = "contact"
line = "leak"
bias = "none"
closed_reads = "high"
[sensor.yard]
kind = "bthome"
address = "54:48:E6:8F:80:A5"
key = "231d39c1d7cc1ab1aee224cd096db932"
[zone.cellar]
sensors = ["cellar"]
valves = ["main"]
confirm_s = 0.0
latch = false
dry_hold_s = 0.01
[zone.yard]
sensors = ["yard"]
action = "notify"
[valve.main]
kind = "spring_return"
open_line = "main-open"
travel_s = 0.1
"""


@dataclass(frozen=True, slots=True)
class Pipes:
    """Both ends of what stands for GPIO and Bluetooth: ours, and theirs to inherit."""

    edge: int
    line: int
    radio: socket.socket
    theirs: tuple[int, int, int]


@contextlib.contextmanager
def pipes() -> Iterator[Pipes]:
    """Open them."""
    their_edge, edge = os.pipe()
    line, their_line = os.pipe()
    radio, their_radio = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs = (their_edge, their_line, their_radio.fileno())
    for fd in theirs:
        os.set_inheritable(fd, True)
    try:
        yield Pipes(edge, line, radio, theirs)
    finally:
        for fd in (edge, line, *theirs[:2]):
            os.close(fd)
        radio.close()
        their_radio.close()


def react_us(pipe: Pipes, again: Callable[[], None]) -> list[float]:
    """Return the times from the edge to the line; `again` makes ready for the next."""
    times = []
    for _ in range(SAMPLES):
        time.sleep(random.uniform(0.005, 0.02))  # noqa: S311 - so that no rhythm of ours meets one of theirs
        begin_ns = time.perf_counter_ns()
        os.write(pipe.edge, b"1")
        os.read(pipe.line, 1)
        times.append((time.perf_counter_ns() - begin_ns) / 1e3)
        os.write(pipe.edge, b"0")
        again()
    return times


def floor_us(folder: Path) -> list[float]:
    """Measure the floor."""
    with pipes() as pipe:
        arguments = python("-c", FLOOR, str(pipe.theirs[0]), str(pipe.theirs[1]))
        with started(arguments, folder, inherit=pipe.theirs):
            time.sleep(0.3)
            return react_us(pipe, lambda: None)


def daemon_us(place: Site, load: str, library: Path | None, replay_per_s: int) -> list[float]:
    """Measure the daemon; the person who reopens the valve after each leak uses the local socket."""
    config = place.folder / "gateway.toml"
    config.write_text(place.base_config(replay_per_s=replay_per_s) + CONFIG)
    for old in (place.folder / "state").iterdir():
        old.unlink()
    extra = {} if library is None else {"LD_PRELOAD": str(library), "SLOW_FSYNC_MS": str(SLOW_FSYNC_MS)}
    with pipes() as pipe, contextlib.ExitStack() as closing:
        run = python("-m", "benchmarks.reaction_daemon", str(config), *map(str, pipe.theirs), load)
        closing.enter_context(started(run, place.folder, extra, inherit=pipe.theirs))
        if load != "calm":
            closing.enter_context(_adverts(pipe.radio))
        time.sleep(3.0)

        def reopen() -> None:
            time.sleep(0.03)
            with Client(place.folder / "run" / "org.reed.Gateway") as client:
                client.call("ActuateValve", valve="main", wish="open")
            while os.read(pipe.line, 1) != b"1":
                pass

        return react_us(pipe, reopen)


@contextlib.contextmanager
def _adverts(radio: socket.socket) -> Iterator[None]:
    radio.set_inheritable(True)
    arguments = python("-m", "benchmarks.adverts", str(radio.fileno()), str(ADVERTS_PER_S))
    process = subprocess.Popen(arguments, cwd=ROOT, pass_fds=(radio.fileno(),))
    try:
        yield
    finally:
        process.terminate()
        process.wait(5)


def _slow_fsync(folder: Path) -> Path | None:
    """Build the wrapper that makes fsync slow; None without a compiler."""
    library = folder / "slow_fsync.so"
    source = ROOT / "tests" / "fakes" / "slow_fsync.c"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return library


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


def measure() -> list[Row]:
    """Return the rows: floors before and after, the daemon calm, with the default pace, and at full speed."""
    rows = []
    with site() as place:
        library = _slow_fsync(place.folder)
        floors = floor_us(place.folder)
        calm = daemon_us(place, "calm", None, 200)
        loaded = daemon_us(place, "once", library, 200)
        flat_out = daemon_us(place, "always", library, 0)
        floors += floor_us(place.folder)
    base, base_p99 = median(floors), _p99(floors)
    slow = f"fsync +{SLOW_FSYNC_MS} ms" if library else "fsync as it is: no compiler"
    floor = f"floor {base:.0f} / {base_p99:.0f} us"
    load = f"{ADVERTS_PER_S} adverts/s, 10,000 rows draining, {slow}"
    for name, times, limits in (
        ("calm", calm, None),
        (f"loaded ({load})", loaded, (3.0, 10.0)),
        ("as before, draining without a limit", flat_out, None),
    ):
        middle, high = median(times), _p99(times)
        detail = f"{middle:.0f} / {high:.0f} us; {floor}"
        if limits is None:
            rows.append(Row(f"wet -> valve, {name}: median / floor", middle / base, "x", detail=detail))
            rows.append(Row(f"wet -> valve, {name}: p99 / floor", high / base_p99, "x"))
        else:
            rows.append(
                at_most("wet -> valve, loaded: median / floor", middle / base, limits[0], detail=detail)
            )
            rows.append(at_most("wet -> valve, loaded: p99 / floor", high / base_p99, limits[1], detail=load))
    return rows


if __name__ == "__main__":
    show(measure())
