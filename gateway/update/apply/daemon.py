"""The gateway's own unit: whether it runs, and having it take in what is new. A restart moves no valve."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.update.apply import programs
from gateway.update.apply.programs import Ended

UNIT = "reed-gateway.service"

_SYSTEMCTL_S = 240.0
"""A stop waits for a motor valve that is closing."""
_SETTLED_S = 3.0
_LOOK_EVERY_S = 0.1
_MOST_STARTS = 3


@dataclass(frozen=True, slots=True)
class Life:
    """One start of the daemon: its state and its process id."""

    state: str
    pid: str


def life() -> Life:
    """Return how it is right now. Raises UpdateError."""
    ended = programs.run("systemctl", "show", "--property=ActiveState,MainPID", UNIT, timeout_s=60.0)
    said = dict(line.split("=", 1) for line in ended.said.splitlines() if "=" in line)
    return Life(said.get("ActiveState", ""), said.get("MainPID", ""))


def is_active() -> bool:
    """Return whether it is ready and protects. Raises UpdateError."""
    return life().state == "active"


def stays_up(wait_s: float, now_s: Callable[[], float] = time.monotonic) -> bool:
    """Return whether it comes up within `wait_s`, and then stays the same process for some seconds.

    One that ends again and again is given up sooner: meanwhile nobody protects the building.
    """
    deadline_s = now_s() + wait_s
    since_s, seen = now_s(), life()
    pids = {seen.pid}
    while len(pids - {"0"}) <= _MOST_STARTS and (now_s() < deadline_s or seen.state == "active"):
        if seen.state == "active" and now_s() - since_s >= _SETTLED_S:
            return True
        time.sleep(_LOOK_EVERY_S)
        found = life()
        if found != seen:
            since_s, seen = now_s(), found
            pids.add(found.pid)
    return False


def take_in(action: str) -> Ended:
    """Reload or restart it; what was failed may try again. Raises UpdateError."""
    programs.run("systemctl", "reset-failed", UNIT, timeout_s=60.0)
    return programs.run("systemctl", action, UNIT, timeout_s=_SYSTEMCTL_S)
