"""The gateway as a story sees it: what it shows, and what is in its site."""

import time
from collections.abc import Callable
from typing import Any

from tests.vm.harness.rig import Rig

View = dict[str, Any]

HEAD = """
[gateway]
id = "pi-1"
[board]
kind = "linux"
"""


def until(rig: Rig, holds: Callable[[View], bool], timeout_s: float = 60.0) -> View:
    """Return what the gateway shows as soon as that holds; fail with what it shows instead."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        view: View = rig.ask("daemon.view")
        if holds(view):
            return view
        if time.monotonic() > deadline_s:
            raise AssertionError(f"still, after {timeout_s} s: {view['valves']} {view['alarms']}")
        time.sleep(0.2)


def alarms(view: View) -> set[str]:
    """Return the ids of all alarms whose condition is there."""
    return {alarm["id"] for alarm in view["alarms"] if alarm["active"]}


def move(rig: Rig, valve: str, wish: str, *, wait: bool = True) -> None:
    """Ask for a motion as a person at the Pi; return when it is done, or has begun."""
    answer = rig.ask("daemon.ask", method="ActuateValve", valve=valve, wish=wish, wait=wait)
    assert answer["state"] == ("succeeded" if wait else "executing"), answer


def contact(sensor: str, line: int, valve: str, *, latch: bool = True, normally: str = "open") -> str:
    """Return a sensor on a line, in a zone of its own that closes one valve at once."""
    return f"""
[sensor.{sensor}]
kind = "contact"
line = "{line}"
normally = "{normally}"
[zone.{sensor}]
sensors = ["{sensor}"]
valves = ["{valve}"]
confirm_s = 0.0
dry_hold_s = 0.0
latch = {str(latch).lower()}
"""


def spring(valve: str, line: int, on_daemon_loss: str = "hold") -> str:
    """Return a spring-return valve that is there at once."""
    return f"""
[valve.{valve}]
kind = "spring_return"
open_line = "{line}"
on_daemon_loss = "{on_daemon_loss}"
travel_s = 0.1
max_run_s = 1.0
"""


def motor(valve: str, coils: tuple[int, int], switches: tuple[int, int], travel_s: float) -> str:
    """Return a motorised valve; open first in coils and switches."""
    return f"""
[valve.{valve}]
kind = "motorised"
open_line = "{coils[0]}"
close_line = "{coils[1]}"
open_switch_line = "{switches[0]}"
closed_switch_line = "{switches[1]}"
travel_s = {travel_s}
max_run_s = {2 * travel_s}
"""


def latching(valve: str, coils: tuple[int, int]) -> str:
    """Return a latching valve with the longest pulse that is allowed, so that it can be cut in the middle."""
    return f"""
[valve.{valve}]
kind = "latching"
open_line = "{coils[0]}"
close_line = "{coils[1]}"
travel_s = 1.0
max_run_s = 2.0
pulse_s = 1.0
"""


def install(
    rig: Rig,
    valve: str,
    coils: tuple[int, int],
    switches: tuple[int, int],
    *,
    travel_s: float,
    position: float = 1.0,
) -> None:
    """Connect a motorised valve to the Pi."""
    rig.ask(
        "valves.install",
        name=valve,
        open_coil=coils[0],
        close_coil=coils[1],
        open_switch=switches[0],
        closed_switch=switches[1],
        travel_s=travel_s,
        position=position,
    )
