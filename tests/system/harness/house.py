"""A house with a gateway: the simulated building, a TPM and the daemon, each a process of one machine."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.sim.client import Visitor
from tests.system.harness.machine import SOURCE, Machine
from tests.system.harness.swtpm import Swtpm

BUILDING = "/run/building"
STATE = "/var/lib/reed"
_START_S = 20.0
_CONFIG = """
[gateway]
id = "{gateway_id}"
[store]
commit_after_s = 0.2
[board]
kind = "sim"
socket = "/run/building"
[link]
backoff_cap_s = 2.0
replay_per_s = 0
[identity]
key = "tpm"
tcti = "{tcti}"
[zone.plant-room]
sensors = ["floor", "pump"]
valves = ["main"]
confirm_s = 0.0
dry_hold_s = 5.0
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
open_switch_line = "main-is-open"
closed_switch_line = "main-is-closed"
travel_s = 3.0
max_run_s = 10.0
[sensor.floor]
kind = "contact"
line = "leak-plant-room"
[sensor.pump]
kind = "bthome"
address = "A4:C1:38:00:00:01"
key = "7d2f0c5be83146a99b11c0de5eed0001"
silence_s = 70.0
"""


class House:
    """Files and processes of one gateway in its machine; nothing runs before `move_in`."""

    def __init__(self, machine: Machine, tpm: Swtpm, gateway_id: str) -> None:
        self.machine = machine
        self.gateway_id = gateway_id
        for folder in ("/etc/reed", STATE, "/run/reed"):
            machine.path(folder).mkdir(parents=True, exist_ok=True)
        text = _CONFIG.format(gateway_id=gateway_id, tcti=tpm.tcti)
        machine.path("/etc/reed/gateway.toml").write_text(text)

    def build(self) -> None:
        """Put the building up."""
        plan = f"{SOURCE}/gateway/cli/demo/building.toml"
        self._start("building", "building", "--plan", plan, "--socket", BUILDING)
        self._wait(lambda: self.machine.path(BUILDING).exists(), "the building")

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        self._start("gateway", "run", "--config", "/etc/reed/gateway.toml")
        self._wait(lambda: self.ask("status", check=False), "the gateway")

    def kill(self) -> None:
        """End the daemon as a crash would."""
        self.machine.run("pkill", "-KILL", "-f", "gateway run --config")

    def ask(self, *words: str, check: bool = True, timeout_s: float = 150.0) -> str:
        """Run a command of `reed-gateway`; return what it printed, "" if it failed and may."""
        done = self.machine.run("python3", "-m", "gateway", *words, check=check, timeout_s=timeout_s)
        return "" if done.returncode else done.stdout

    def refusal(self, *words: str) -> tuple[int, str]:
        """Run a command that is to fail; return its exit status and its last line."""
        done = self.machine.run("python3", "-m", "gateway", *words, check=False, timeout_s=150.0)
        assert done.returncode, f"{words}: it worked: {done.stdout[-500:]}"
        return done.returncode, (done.stderr.strip().splitlines() or [""])[-1]

    def view(self) -> dict[str, Any]:
        """Return everything that the daemon shows."""
        view: dict[str, Any] = json.loads(self.ask("status", "--json"))
        return view

    def log(self, name: str = "gateway") -> str:
        """Return what a process has said so far."""
        return self.machine.path(f"/var/log/{name}.log").read_text(errors="replace")

    def visitor(self) -> Visitor:
        """Return somebody in the building."""
        return Visitor(self.machine.path(BUILDING))

    def identity_files(self) -> Path:
        """Return the identity folder as this host sees it."""
        return self.machine.path(f"{STATE}/identity")

    def _start(self, name: str, *words: str) -> None:
        with self.machine.path(f"/var/log/{name}.log").open("ab") as output:
            self.machine.start("python3", "-m", "gateway", *words, output=output)

    def _wait(self, holds: Callable[[], object], wish: str) -> None:
        deadline_s = time.monotonic() + _START_S
        while not holds():
            assert time.monotonic() < deadline_s, f"{wish} did not come: {self.log()[-2000:]}"
            time.sleep(0.05)
