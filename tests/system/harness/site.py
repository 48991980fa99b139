"""A site in a booted machine: the simulated building beside the installed gateway, and somebody who watches.

The building is a service of its own. Whatever becomes of the gateway, its package or its unit, the building
goes on, keeps the levels of its lines, and tells of each that changes.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gateway.errors import DriverError
from gateway.sim.client import Visitor
from gateway.sim.hands import Poke
from gateway.sim.happening import OutputSet
from tests.system.harness.boot import Booted
from tests.system.harness.machine import SOURCE

SOCKET = "/run/reed-building/socket"
CONFIG_FILE = "/etc/reed/gateway.toml"
CONFIG = f"""\
[gateway]
id = "house-7"
[board]
kind = "sim"
socket = "{SOCKET}"
[store]
commit_after_s = 0.2
[zone.plant-room]
sensors = ["floor"]
valves = ["main"]
confirm_s = 0.0
dry_hold_s = 5.0
[zone.kitchen]
sensors = ["dishwasher"]
valves = ["kitchen"]
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
[valve.kitchen]
kind = "spring_return"
open_line = "kitchen-open"
closed_switch_line = "kitchen-is-closed"
travel_s = 4.0
max_run_s = 10.0
on_daemon_loss = "hold"
[sensor.floor]
kind = "contact"
line = "leak-plant-room"
[sensor.dishwasher]
kind = "contact"
line = "leak-kitchen"
"""
_PLAN = f"{SOURCE}/gateway/cli/demo/building.toml"
_UNIT = f"""\
[Unit]
Description=Simulated building
[Service]
User=reed-gateway
Group=reed
RuntimeDirectory=reed-building
Environment=PYTHONPATH={SOURCE} PYTHONDONTWRITEBYTECODE=1
ExecStart=/usr/bin/python3 -m gateway building --plan {_PLAN} --socket {SOCKET}
[Install]
WantedBy=multi-user.target
"""
_WAIT_S = 20.0


class Site:
    """Needs reed-gateway to be installed, whose user it has.

    Args:
        machine: Where it stands.
    """

    def __init__(self, machine: Booted) -> None:
        self.machine = machine

    def build(self) -> None:
        """Put the building up, for this boot and all that follow."""
        self.machine.write("/etc/systemd/system/reed-building.service", _UNIT)
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "enable", "--now", "reed-building")
        until(self.machine.path(SOCKET).exists, "the building")

    def configure(self, text: str = CONFIG) -> None:
        """Write the gateway's configuration as an administrator would."""
        self.machine.write(CONFIG_FILE, text, owner="root:reed", mode=0o640)

    def gateway(self, *words: str, check: bool = True) -> str:
        """Run a command of `reed-gateway` as root; return what it printed, "" if it failed and may."""
        done = self.machine.run("reed-gateway", *words, check=check)
        return "" if done.returncode else done.stdout

    def view(self) -> dict[str, Any]:
        """Return everything that the daemon shows."""
        view: dict[str, Any] = json.loads(self.gateway("status", "--json"))
        return view

    @property
    def pid(self) -> int:
        """Of the daemon as the machine sees it; 0 if it does not run."""
        return int(self.machine.shows("reed-gateway", "MainPID"))

    @property
    def state(self) -> str:
        """Of the daemon's unit, as in "active"."""
        return self.machine.shows("reed-gateway", "ActiveState")

    def poke(self, poke: Poke) -> None:
        """Do something in the building."""
        with Visitor(self.machine.path(SOCKET)) as visitor:
            visitor.poke(poke)

    def levels(self) -> dict[str, bool]:
        """Return the level of each output line."""
        with Visitor(self.machine.path(SOCKET)) as visitor:
            seen: Any = visitor.look()["outputs"]
        return dict(seen)

    def watched(self) -> "Onlooker":
        """Return somebody who watches the lines from here on."""
        return Onlooker(self.machine.path(SOCKET))


class Onlooker:
    """Notes each change of an output line's level while in `with`, whoever makes it.

    Attributes:
        moved: What has changed, as "main-close on".
    """

    def __init__(self, path: Path) -> None:
        self.moved: list[str] = []
        self._visitor = Visitor(path)
        self._levels: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        seen: Any = self._visitor.look()["outputs"]
        self._levels = dict(seen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._visitor._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _look(self) -> None:
        with suppress(DriverError, OSError), self._visitor as visitor:  # until nobody wants to know any more
            for happening in visitor.observe():
                # a line that is written as it is does not move
                if isinstance(happening, OutputSet) and self._levels.get(happening.line) != happening.level:
                    self._levels[happening.line] = happening.level
                    self.moved.append(f"{happening.line} {'on' if happening.level else 'off'}")


def until(holds: Callable[[], object], wish: str, within_s: float = _WAIT_S) -> None:
    """Wait until `holds()` is true. Raises AssertionError if it does not become so."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, f"waited {within_s:g} s for {wish}"
        time.sleep(0.05)
