"""Whose turn it is on a bus: who answers comes first, who does not is asked less and less often.

A device that is asked in vain holds up the others for at most `MOST_TIMEOUT_S`, and a second one follows only
after all have been served that answer and are due: never do several silent ones add up.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

AT_PACE = 3
"""So many answers may be missed before it is asked less often; then the sensor counts as faulty, too."""

LONGEST_PAUSE_S = 30.0
"""A device that is back is noticed by then."""

STANDS_BACK_S = 10.0
"""A silent device lets the others go first for so long; a bus that is never idle must not hide its return."""


@dataclass(slots=True)
class Turn:
    """When a device is to be asked.

    Args:
        every_s: Pause between two rounds.
        due_s: When it is asked next.
        misses: Rounds without an answer, in a row.
    """

    every_s: float
    due_s: float
    misses: int = 0

    def answered(self, now_s: float) -> None:
        """It has answered."""
        self.misses = 0
        self.due_s = now_s + self.every_s

    def missed(self, now_s: float) -> None:
        """It has not answered."""
        self.misses += 1
        self.due_s = now_s + pause_s(self.every_s, self.misses)


def pause_s(every_s: float, misses: int) -> float:
    """Return how long to leave it alone after so many misses in a row."""
    if misses < AT_PACE:
        return every_s
    return max(every_s, min(LONGEST_PAUSE_S, every_s * 2.0 ** min(misses - AT_PACE + 1, 30)))


def choose(
    devices: Iterable[tuple[int, Turn]], now_s: float, silent_until_s: float = -math.inf
) -> int | None:
    """Return the unit that is to be asked now; None if nobody is due.

    Args:
        devices: All units.
        now_s: Present time.
        silent_until_s: When the last silence ended; whoever answers and has waited for it comes first.
    """
    answering: list[tuple[float, int]] = []
    silent: list[tuple[float, int]] = []
    for unit, turn in devices:
        if turn.due_s <= now_s:
            (silent if turn.misses else answering).append((turn.due_s, unit))
    is_held_up = bool(answering) and min(answering)[0] < silent_until_s
    if silent and not is_held_up and min(silent)[0] <= now_s - STANDS_BACK_S:
        return min(silent)[1]
    due = answering or silent
    return min(due)[1] if due else None
