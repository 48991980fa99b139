"""From a D-Bus signal of BlueZ to the listener, at 100 adverts a second: none missed, and what it costs.

python -m benchmarks.bluetooth

A private dbus-daemon carries what a model of bluetoothd (tests/fakes/bluez.py) says; our radio and bleak's
plain scanner listen beside each other, each in a process of its own; a third one is only woken as often. In
the first street all senders are leak sensors of ours, in the second nine of ten are strangers.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.bluetooth_street import SENSORS
from benchmarks.report import Row, at_least, at_most, show
from tests.fakes import dbus

RATE_PER_S, SECONDS = 100, 30


class Heard(NamedTuple):
    """What a listener reports."""

    frames: int
    cpu_s: float
    wall_s: float

    @property
    def share_percent(self) -> float:
        return 100 * self.cpu_s / self.wall_s


def run(senders: int) -> dict[str, Heard]:
    """Let both listen to the same street."""
    with tempfile.TemporaryDirectory() as folder, dbus.private_bus(Path(folder)) as address:
        environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": address}

        def start(*words: object) -> "subprocess.Popen[str]":
            command = [sys.executable, "-m", *map(str, words)]
            return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

        adverts = RATE_PER_S * SECONDS
        with start("benchmarks.bluetooth_street", RATE_PER_S, adverts, senders, 2) as street:
            listeners = {who: start("benchmarks.bluetooth_listener", who) for who in ("ours", "bleak")}
            listeners["floor"] = start("benchmarks.bluetooth_listener", "floor", RATE_PER_S, SECONDS)
            try:
                told = {who: _words(process) for who, process in listeners.items()}
            finally:
                for process in (street, *listeners.values()):
                    process.kill()
    return {who: Heard(int(words[0]), float(words[1]), float(words[2])) for who, words in told.items()}


def _words(process: "subprocess.Popen[str]") -> list[str]:
    return process.communicate(timeout=SECONDS + 60)[0].split()


def measure() -> list[Row]:
    """Return what was missed, what it cost, and bleak beside it."""
    if dbus.PROGRAM is None:
        return [Row("Bluetooth", 0.0, "", detail="no dbus-daemon here: apt install dbus")]
    rows = []
    for name, senders in (("all are ours", SENSORS), ("9 of 10 are strangers", 10 * SENSORS)):
        heard = run(senders)
        mine, other = heard["ours"], heard["bleak"]
        sent = RATE_PER_S * SECONDS * SENSORS // senders
        beside = f"bleak {other.share_percent:.2f} %, heard {other.frames} of {sent}; "
        beside += f"100 bare wake-ups/s {heard['floor'].share_percent:.2f} %"
        rows += [
            at_most(f"adverts missed of {sent}, {name}", sent - mine.frames, 0, "", beside),
            at_most(f"share of a core at {RATE_PER_S}/s, {name}", mine.share_percent, 2.0, "%", beside),
            at_least(f"cheaper than bleak's scanner, {name}", other.cpu_s / max(mine.cpu_s, 0.01), 1.0),
        ]
    return rows


if __name__ == "__main__":
    show(measure())
