"""One water meter: its totals, and what its pulses say about the flow.

A pulse tells that exactly one more `litres_per_pulse` has passed since the one before; between pulses up to
one more may have passed unseen. So the mean flow from a pulse at time a until now is known within one pulse:

    n pulses since a, none of them at a itself        n * V / (now - a)  <=  flow  <  (n + 1) * V / (now - a)
    none for e seconds                                                0  <=  flow  <  V / e

Pulses that are told together count as at that time. A reed contact that rests on the edge of its magnet may
give one pulse too many or too few: whatever decides by pulses leaves one of them free.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gateway.domain.evolve import replace
from gateway.domain.site import MeterSpec

S_PER_MIN = 60.0

_KEPT_EDGES = 32
_APART_S = 0.5
"""Edges closer than this are one sample: 32 of them then reach back 16 s even at 17 pulses per second."""

_ENOUGH_PULSES = 10
_ENOUGH_S = 10.0
_STEP = 2.0
"""An estimate reaches back over so many pulses and seconds, but not beyond a step by this factor."""

_MISSED = 2.0
"""No pulse for this many times the last gap: the flow that was is over."""


class FlowState(StrEnum):
    """What can be said of the flow just now."""

    FLOWING = "flowing"
    NONE = "none"
    """No flow is seen; it may be below what the meter resolves."""
    UNKNOWN = "unknown"
    """The meter cannot be heard."""


class Edge(NamedTuple):
    """A pulse: when it came, and how many had come by then since the start."""

    at_s: float
    pulses: int


class Flow(NamedTuple):
    """The flow, as the mean over the last `over_s` seconds, in litres per minute.

    Args:
        l_per_min: The best guess; 0 if none is seen, None if nothing is known.
        at_least: Certainly no less.
        at_most: Certainly no more; None while nothing bounds it.
    """

    state: FlowState
    l_per_min: float | None
    at_least: float
    at_most: float | None
    over_s: float


@dataclass(frozen=True)
class Meter:
    """State of one meter.

    Args:
        found_s: Silence before this says nothing: the start, or when the meter could be heard again.
        pulses: Total, over all restarts.
        litres: The same as a volume; a meter that was exchanged goes on counting.
        counted: Pulses since the start.
        edges: The latest pulses, oldest first; the last one is the newest.
        gap_s: Time per pulse between the last two edges.
        is_deaf: Its input has failed.
    """

    spec: MeterSpec
    found_s: float = 0.0
    pulses: int = 0
    litres: float = 0.0
    counted: int = 0
    edges: tuple[Edge, ...] = ()
    gap_s: float | None = None
    is_deaf: bool = False

    @property
    def last_s(self) -> float | None:
        """When the newest pulse came."""
        return self.edges[-1].at_s if self.edges else None


def found(spec: MeterSpec, now_s: float) -> Meter:
    """Return a meter at the start of the gateway."""
    return Meter(spec, found_s=now_s)


def with_total(meter: Meter, pulses: int, litres: float) -> Meter:
    """Add what was counted before the restart."""
    return replace(meter, pulses=meter.pulses + pulses, litres=meter.litres + litres)


def pulsed(meter: Meter, pulses: int, now_s: float) -> Meter:
    """Count pulses that have just come; a meter that counts can be heard."""
    if pulses <= 0:
        return meter
    counted = meter.counted + pulses
    edges, newest = meter.edges, Edge(now_s, counted)
    gap_s = (now_s - edges[-1].at_s) / pulses if edges else None
    if len(edges) > 1 and edges[-1].at_s - edges[-2].at_s < _APART_S:
        edges = edges[:-1]
    return replace(
        meter,
        pulses=meter.pulses + pulses,
        litres=meter.litres + pulses * meter.spec.litres_per_pulse,
        counted=counted,
        edges=(*edges, newest)[-_KEPT_EDGES:],
        gap_s=gap_s,
        is_deaf=False,
    )


def deafened(meter: Meter) -> Meter:
    """Take note that pulses may be missed from now on: what follows cannot be tied to what came before."""
    return replace(meter, is_deaf=True, edges=(), gap_s=None)


def heard(meter: Meter, now_s: float) -> Meter:
    """Take note that pulses are counted again."""
    return replace(meter, is_deaf=False, found_s=now_s) if meter.is_deaf else meter


def cadence_s(meter: Meter, now_s: float) -> float | None:
    """Return the time per pulse of a flow that goes on; None if none does, as far as can be seen."""
    over_s = flow_over_s(meter)
    return None if over_s is None or now_s >= over_s else meter.gap_s


def flow_over_s(meter: Meter) -> float | None:
    """Return when a flow that is seen now will be taken as over if no further pulse comes."""
    if meter.gap_s is None or meter.last_s is None:
        return None
    return meter.last_s + _MISSED * meter.gap_s


def flow(meter: Meter, now_s: float) -> Flow:
    """Return what the pulses say of the flow now."""
    if meter.is_deaf:
        return Flow(FlowState.UNKNOWN, None, 0.0, None, 0.0)
    first = _sample(meter.edges)
    if first is None or cadence_s(meter, now_s) is None:
        silent_s = now_s - (meter.found_s if meter.last_s is None else meter.last_s)
        return Flow(FlowState.NONE, 0.0, 0.0, rate_l_per_min(meter.spec, 1, silent_s), silent_s)
    last = meter.edges[-1]
    seen, over_s = last.pulses - first.pulses, now_s - first.at_s
    guess = rate_l_per_min(meter.spec, seen, last.at_s - first.at_s) or 0.0
    at_least, at_most = (rate_l_per_min(meter.spec, n, over_s) or 0.0 for n in (seen, seen + 1))
    return Flow(FlowState.FLOWING, min(guess, at_most), at_least, at_most, over_s)


def rate_l_per_min(spec: MeterSpec, pulses: int, duration_s: float) -> float | None:
    """Return the mean flow of so many pulses in so many seconds; None if that is no time at all."""
    return S_PER_MIN * pulses * spec.litres_per_pulse / duration_s if duration_s > 0 else None


def interval_s(spec: MeterSpec, flow_l_per_min: float) -> float:
    """Return the time from pulse to pulse at this flow."""
    return S_PER_MIN * spec.litres_per_pulse / flow_l_per_min if flow_l_per_min > 0 else float("inf")


def _sample(edges: tuple[Edge, ...]) -> Edge | None:
    """Return the pulse from which on the present flow is judged; None if there are not two to compare."""
    last, first, newest_gap_s = edges[-1] if edges else None, None, 0.0
    for index in range(len(edges) - 1, 0, -1):
        before, after = edges[index - 1], edges[index]
        gap_s = (after.at_s - before.at_s) / max(1, after.pulses - before.pulses)
        newest_gap_s = newest_gap_s or gap_s
        is_step = not newest_gap_s / _STEP <= gap_s <= newest_gap_s * _STEP
        if last is None or (first is not None and is_step):
            break
        if last.at_s > before.at_s:
            first = before
        if last.pulses - before.pulses >= _ENOUGH_PULSES and last.at_s - before.at_s >= _ENOUGH_S:
            break
    return first
