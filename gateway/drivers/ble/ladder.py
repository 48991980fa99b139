"""What to try next with an adapter that hears nothing, and how often at most. Pure: time is given.

    restart the scan -> power cycle -> reset -> exhausted: a person is needed
          ^                                          |
          +----------- something was heard ----------+

Each rung has its own shortest pause, and all together a budget for each hour: an adapter that is flaky is
not worn out, and a place that is merely quiet loses seconds of reception an hour, not minutes.
"""

from collections import deque
from collections.abc import Mapping
from enum import Enum

HOUR_S = 3600.0
STEPS_PER_HOUR = 12


class Rung(Enum):
    """A step of recovery, the gentlest first; the value is its name for people."""

    RESTART_SCAN = "restart of the scan"
    POWER_CYCLE = "power cycle"
    RESET = "reset"


PAUSE_S: Mapping[Rung, float] = {Rung.RESTART_SCAN: 10.0, Rung.POWER_CYCLE: 120.0, Rung.RESET: 1800.0}
"""Shortest time between two uses of the same rung."""

RESTART_PAUSE_S = 5.0
"""Between two restarts of a scan that is ended again and again."""

_ORDER = tuple(Rung)


class Ladder:
    """The state of one adapter's recovery."""

    def __init__(self) -> None:
        self._next = 0
        self._last_s: dict[Rung, float] = {}
        self._steps_s: deque[float] = deque()
        self._restarted_s: float | None = None

    @property
    def exhausted(self) -> bool:
        """Every rung was tried, or passed over for its pause, since something was last heard."""
        return self._next >= len(_ORDER)

    def heard(self) -> None:
        """Start at the gentlest rung next time; pauses and budget go on."""
        self._next = 0

    def climb(self, now_s: float) -> Rung | None:
        """Return what to try now, or None while nothing may be tried.

        A rung whose pause has not passed is skipped for the next harder one, and none is tried twice in one
        climb; once exhausted, only the gentlest is repeated.
        """
        while self._steps_s and self._steps_s[0] <= now_s - HOUR_S:
            self._steps_s.popleft()
        if len(self._steps_s) >= STEPS_PER_HOUR:
            return None
        for rung in _ORDER[self._next :] or _ORDER[:1]:
            last_s = self._last_s.get(rung)
            if last_s is None or now_s - last_s >= PAUSE_S[rung]:
                return self._take(rung, now_s)
        self._next = len(_ORDER)
        return None

    def may_restart(self, now_s: float) -> bool:
        """Return True if a scan that somebody ended may be started again now.

        This is not on the ladder and has no budget: without a scan nothing is heard at all.
        """
        if self._restarted_s is not None and now_s - self._restarted_s < RESTART_PAUSE_S:
            return False
        self._restarted_s = now_s
        return True

    def _take(self, rung: Rung, now_s: float) -> Rung:
        self._next = max(self._next, _ORDER.index(rung) + 1)
        self._last_s[rung] = now_s
        self._steps_s.append(now_s)
        return rung
