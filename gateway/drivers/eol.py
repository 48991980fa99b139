"""What the resistance of a supervised loop means: bands with guard gaps. Pure.

Each state has a band, as wide as resistors, wire and converter can make it. What lies in the gap between
two bands means nothing that can be trusted, so it is trouble, never dry.
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

SHORT_PART = 0.1
OPEN_TIMES = 10.0
"""Less than a tenth of the smaller resistance is a short, more than ten times the larger is open."""

CONVERTER_ERROR = 0.01
"""Offset, gain and noise of a converter, as a part of the supply."""

GUARD_GAP = 0.04
"""At least this part of the supply lies between two bands."""

HYSTERESIS = 0.01
"""The band of the verdict that holds is wider by this, so that noise at its edge changes nothing."""


class Circuit(NamedTuple):
    """A pull-up resistor to the supply, and a loop to ground that has one of two resistances.

    Args:
        pull_up_ohm: From the supply to the converter's input.
        closed_ohm: The loop with its contact closed.
        open_ohm: The loop with its contact open; the larger one.
        wire_ohm: At most this much is added by the wire, there and back.
        tolerance: Of all resistors, as a part of 1.
    """

    pull_up_ohm: float
    closed_ohm: float
    open_ohm: float
    wire_ohm: float
    tolerance: float


class Verdict(StrEnum):
    """What one sample says."""

    DRY = "dry"
    WET = "wet"
    SHORT = "short"
    OPEN = "open"
    BETWEEN = "between"


class Band(NamedTuple):
    """The ratios of input to supply, from `low` to `high`, that mean something."""

    verdict: Verdict
    low: float
    high: float


def bands(circuit: Circuit, *, wet_is_closed: bool) -> tuple[Band, ...]:
    """Return the bands by rising ratio: short, contact closed, contact open, loop open."""
    closed, opened = (Verdict.WET, Verdict.DRY) if wet_is_closed else (Verdict.DRY, Verdict.WET)
    _, short = _spread(circuit, circuit.closed_ohm * SHORT_PART)
    cut, _ = _spread(circuit, circuit.open_ohm * OPEN_TIMES)
    return (
        Band(Verdict.SHORT, 0.0, short),
        Band(closed, *_spread(circuit, circuit.closed_ohm)),
        Band(opened, *_spread(circuit, circuit.open_ohm)),
        Band(Verdict.OPEN, cut, 1.0),
    )


def too_near(found: Sequence[Band]) -> tuple[Band, Band] | None:
    """Return two neighbours without a guard gap between them, or None if there are no such."""
    return next(((one, two) for one, two in pairwise(found) if two.low - one.high < GUARD_GAP), None)


def verdict_on(ratio: float, found: Sequence[Band], held: Verdict | None = None) -> Verdict:
    """Return what a ratio says while the verdict `held` holds."""
    for band in found:
        margin = HYSTERESIS if band.verdict is held else 0.0
        if band.low - margin <= ratio <= band.high + margin:
            return band.verdict
    return Verdict.BETWEEN


def gap_of(ratio: float, found: Sequence[Band]) -> tuple[Verdict, Verdict]:
    """Return the verdicts on both sides of a ratio that lies in a gap."""
    below = [band.verdict for band in found if band.high < ratio]
    above = [band.verdict for band in found if band.low > ratio]
    return below[-1], above[0]


def ratio_of(loop_ohm: float, pull_up_ohm: float) -> float:
    """Return the part of the supply that a loop of this resistance leaves at the converter."""
    return loop_ohm / (loop_ohm + pull_up_ohm) if loop_ohm < float("inf") else 1.0


def ohm_of(ratio: float, pull_up_ohm: float) -> float:
    """Return the resistance of the loop at this ratio."""
    return pull_up_ohm * ratio / (1 - ratio) if ratio < 1 else float("inf")


def _spread(circuit: Circuit, loop_ohm: float) -> tuple[float, float]:
    """Return the lowest and highest ratio that this loop can show."""
    part = circuit.tolerance
    low = ratio_of(loop_ohm * (1 - part), circuit.pull_up_ohm * (1 + part))
    high = ratio_of(loop_ohm * (1 + part) + circuit.wire_ohm, circuit.pull_up_ohm * (1 - part))
    return max(0.0, low - CONVERTER_ERROR), min(1.0, high + CONVERTER_ERROR)
