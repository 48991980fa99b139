"""What the kernel's record says of a line: its changes, and the rhythm that a light plays."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from statistics import fmean

from gateway.domain.indicator import RHYTHMS
from gateway.domain.model import LedPattern
from tests.vm.harness.rig import Rig

Change = tuple[float, int]
"""When a line changed (CLOCK_MONOTONIC of the Pi), and to which level."""

_SLACK_S = 0.1
"""A step that is due while the emulated Pi is busy comes later, and the next one is shorter."""


def changes(rig: Rig, line: int, before: int, since_s: float) -> list[Change]:
    """Return every change of a line since then, however short.

    `before` is its level until then: writes of the level that it has already change nothing.
    """
    found: list[Change] = []
    for at_s, _, _, level in rig.ask("record.writes", since_s=since_s, line=line):
        if level != before:
            found.append((at_s, level))
        before = level
    return found


def levels(rig: Rig, line: int, before: int, since_s: float) -> list[int]:
    """Return only the levels of `changes`."""
    return [level for _, level in changes(rig, line, before, since_s)]


def pattern(rig: Rig, line: int, from_s: float, to_s: float) -> LedPattern | None:
    """Return which rhythm a light played all the time between; None if none fits."""
    seen = changes(rig, line, -1, 0.0)
    within = [change for change in seen if from_s < change[0] <= to_s]
    if not within:
        steady = [level for at_s, level in seen if at_s <= from_s]
        return LedPattern.AUTO if steady and steady[-1] else None
    lengths = [(level, end_s - start_s) for (start_s, level), (end_s, _) in pairwise(within)]
    off_by_s = {name: _off_by_s(lengths, rhythm) for name, rhythm in RHYTHMS.items() if rhythm}
    best = min(off_by_s, key=lambda name: off_by_s[name])
    return best if off_by_s[best] <= _SLACK_S else None


def _off_by_s(lengths: Sequence[tuple[int, float]], rhythm: Sequence[float]) -> float:
    """Return how far a step is from the rhythm on average, where it fits best; its first step is on."""
    if not lengths:
        return inf
    first = 1 - lengths[0][0]
    return min(
        fmean(
            abs(length_s - rhythm[(start + place) % len(rhythm)])
            for place, (_, length_s) in enumerate(lengths)
        )
        for start in range(first, len(rhythm), 2)
    )
