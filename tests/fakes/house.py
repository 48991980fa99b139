"""A house for tests of the whole daemon: the simulated building and the gateway, each in its own process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gateway
from gateway.control.client import Client
from gateway.errors import ControlError, DriverError
from gateway.sim.client import Visitor
from gateway.sim.hands import Poke

PLAN = """
[room.cellar]
drain_l_per_min = 30.0
[pipe.main]
room = "cellar"
valve = "main"
leak_l_per_min = 60.0
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
open_switch_line = "main-is-open"
closed_switch_line = "main-is-closed"
travel_s = 0.3
[valve.garden]
kind = "spring_return"
open_line = "garden-open"
[contact.floor]
room = "cellar"
line = "leak"
[button.lobby]
line = "lobby"
[indicator]
led_line = "led"
"""

CONFIG = """
[gateway]
id = "house-7"
state_dir = "state"
runtime_dir = "run"
[board]
kind = "sim"
socket = "building.sock"
[control]
group = "root"
[sensor.floor]
kind = "contact"
line = "leak"
[zone.cellar]
sensors = ["floor"]
valves = ["main"]
confirm_s = 0
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
open_switch_line = "main-is-open"
closed_switch_line = "main-is-closed"
travel_s = 0.3
max_run_s = 5.0
[valve.garden]
kind = "spring_return"
open_line = "garden-open"
[button.lobby]
line = "lobby"
[indicator]
led_line = "led"
"""

View = Mapping[str, Any]  # decoded JSON

_PATIENCE_S = 15.0
_LOOK_EVERY_S = 0.02


class House:
    """Starts and ends the processes; waits for conditions, never for time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_file = folder / "gateway.toml"
        self.config_file.write_text(CONFIG)
        (folder / "plan.toml").write_text(PLAN)
        self.log_file = folder / "gateway.log"
        self._building: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None
        self.module = ["gateway"]
        """What python -m runs."""
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._manager.settimeout(_PATIENCE_S)

    # --- the building -------------------------------------------------------------------------------

    def build(self) -> None:
        """Start the building and wait until it stands."""
        arguments = ["building", "--plan", str(self.folder / "plan.toml"), "--socket", self._building_socket]
        self._building = self._spawn(arguments)
        self.until(self._stands)

    def demolish(self) -> None:
        """End the building."""
        _end(self._building, signal.SIGKILL)

    def poke(self, poke: Poke) -> None:
        """Do something in the building."""
        with Visitor(Path(self._building_socket)) as visitor:
            visitor.poke(poke)

    def look(self) -> View:
        """Return the state of the building."""
        with Visitor(Path(self._building_socket)) as visitor:
            return visitor.look()

    # --- the gateway --------------------------------------------------------------------------------

    def start(self, **environment: str) -> None:
        """Start the gateway and wait until it says that it is ready."""
        self.spawn(**environment)
        self.hear("READY=1")

    def spawn(self, **environment: str) -> None:
        """Start the gateway."""
        arguments = ["run", "--config", str(self.config_file)]
        self.daemon = self._spawn(
            arguments, self.module, NOTIFY_SOCKET=str(self.folder / "notify"), **environment
        )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the gateway and return its exit status."""
        return _end(self.daemon, how)

    def reload(self) -> None:
        """Send SIGHUP."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGHUP)

    def hear(self, wanted: str) -> list[str]:
        """Return all states that the gateway tells, up to and with one that begins as wanted."""
        heard: list[str] = []
        while not any(state.startswith(wanted) for state in heard):
            heard += self._manager.recv(4096).decode().splitlines()
        return heard

    def view(self) -> View:
        """Return the gateway's view."""
        with Client(self.folder / "run" / "org.reed.Gateway") as client:
            view = client.call("GetView")["view"]
        assert isinstance(view, dict)
        return view

    def until_view(self, holds: Callable[[View], object]) -> View:
        """Wait until the view is as wanted; return it."""
        seen: list[View] = []

        def look() -> bool:
            seen[:] = [self.view()]
            return bool(holds(seen[0]))

        self.until(look)
        return seen[0]

    def log(self) -> str:
        """Return what the gateway has written to stderr."""
        return self.log_file.read_text(encoding="utf-8")

    # --- both ---------------------------------------------------------------------------------------

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds; a process that is not there yet does not count as an error."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline_s:
            with contextlib.suppress(ControlError, DriverError):
                if holds():
                    return
            time.sleep(_LOOK_EVERY_S)
        raise AssertionError(f"waited {_PATIENCE_S} s in vain; the gateway says:\n{self.log()}")

    def close(self) -> None:
        """End everything."""
        _end(self.daemon, signal.SIGKILL)
        self.demolish()
        self._manager.close()

    @property
    def _building_socket(self) -> str:
        return str(self.folder / "building.sock")

    def _stands(self) -> bool:
        return bool(self.look())

    def _spawn(
        self, arguments: list[str], module: Sequence[str] = ("gateway",), **environment: str
    ) -> subprocess.Popen[bytes]:
        root = str(Path(gateway.__file__).parents[1])
        env = {**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "error", **environment}
        with self.log_file.open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", *module, *arguments], env=env, stderr=log)


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> int:
    if process is None:
        return 0
    if process.poll() is None:
        process.send_signal(how)
    return process.wait(_PATIENCE_S)


@contextlib.contextmanager
def house(folder: Path) -> Iterator[House]:
    """Have a house whose building stands and whose gateway has not been started."""
    made = House(folder)
    try:
        made.build()
        yield made
    finally:
        made.close()
