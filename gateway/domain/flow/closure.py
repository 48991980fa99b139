"""A valve on a meter: after it has closed, does the water stop?

    not closed --closed--> settling --SETTLE_S--> watched --no pulse for long enough--> stopped
                                                     |  ^                                  |
                               pulses above the limit|  |no pulse for long enough          |
                                                     v  |                                  |
                                                   passing <----pulses above the limit-----+

"Stopped" confirms a closure only if water ran when the valve began to close: if none ran, that none runs
now says nothing about the valve. "Long enough" follows from the cadence of that water: three pulses are
missed, and what may still run is less than a tenth of what ran, or than the limit.

"Passing" takes whole pulses that come faster than the limit after the pipe has settled. The first one is
free: it may be what the pipe still held, or a reed contact on the edge of its magnet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.evolve import replace
from gateway.domain.flow.demand import Seen
from gateway.domain.flow.meter import Edge, interval_s
from gateway.domain.flow.run import Run, goes_on
from gateway.domain.site import MeterSpec
from gateway.domain.valve.model import ValveState

SETTLE_S = 10.0
"""After closing, a pipe still fills or empties for some seconds."""

MISSED_PULSES = 3.0
REST = 0.1
"""Water that ran is stopped when less than this part of it may still run, or less than the limit."""

_SHUTTING = (ValveState.CLOSING, ValveState.FAULT)
SHUT = (ValveState.CLOSED, *_SHUTTING)
"""A valve in one of these may be why no water runs."""


@dataclass(frozen=True)
class Closure:
    """What the meter shows of one valve.

    Args:
        state: The valve's state, as seen last.
        cadence_s: Time per pulse of the water that ran when the valve began to close, or that passes it;
            None if none did, or the meter could not be heard since.
        quiet_s: Since when no pulse came, not before the pipe had settled; None while it is not closed.
        run: Pulses since then, faster than the limit.
        seen: What they show so far.
        again_s: When a valve that lets water through is driven closed once more.
    """

    state: ValveState = ValveState.UNKNOWN
    cadence_s: float | None = None
    quiet_s: float | None = None
    run: Run | None = None
    seen: Seen | None = None
    again_s: float = 0.0

    @property
    def is_passing(self) -> bool:
        """Water runs, or ran when the meter was heard last, though the valve is closed."""
        return self.seen is Seen.PASSING


def valve_is(before: Closure, state: ValveState, cadence_s: float | None, now_s: float) -> Closure:
    """Take a new state of the valve; `cadence_s` is that of the water that runs now."""
    if state is ValveState.CLOSED:
        known = before if before.state in _SHUTTING else Closure(cadence_s=cadence_s)
        return replace(known, state=state, quiet_s=now_s + SETTLE_S, run=None)
    if state not in _SHUTTING:
        return Closure(state)
    if before.state in SHUT:
        kept = before if before.is_passing else replace(before, seen=None)
        return replace(kept, state=state, quiet_s=None, run=None)
    return Closure(state, cadence_s=cadence_s)


def pulsed(
    closure: Closure, edges: Sequence[Edge], spec: MeterSpec, retry_every_s: float, now_s: float
) -> tuple[Closure, Seen | None]:
    """Take a pulse; return what is news of the valve, if anything."""
    if closure.quiet_s is None or now_s < closure.quiet_s:
        return closure, None
    run = goes_on(closure.run, edges, spec, spec.passing_l_per_min)
    closure = replace(closure, quiet_s=now_s, run=run)
    if not run.pulses:
        return closure, None
    closure = replace(closure, cadence_s=run.duration_s / run.pulses)
    if closure.is_passing and now_s < closure.again_s:
        return closure, None
    seen = Seen.STILL_PASSING if closure.is_passing else Seen.PASSING
    return replace(closure, seen=Seen.PASSING, again_s=now_s + retry_every_s), seen


def tick(closure: Closure, spec: MeterSpec, now_s: float) -> tuple[Closure, Seen | None]:
    """Notice that no pulse came; return what is news of the valve, if anything."""
    due_s = deadline_s(closure, spec)
    if due_s is None or now_s < due_s:
        return closure, None
    return replace(closure, seen=Seen.STOPPED, run=None), Seen.STOPPED


def deafened(closure: Closure) -> Closure:
    """The meter cannot be heard: its silence proves nothing, and what is known of the valve stays."""
    return replace(closure, cadence_s=closure.cadence_s if closure.is_passing else None, run=None)


def heard(closure: Closure, now_s: float) -> Closure:
    """The meter can be heard again: silence counts from now."""
    return closure if closure.quiet_s is None else replace(closure, quiet_s=max(closure.quiet_s, now_s))


def deadline_s(closure: Closure, spec: MeterSpec) -> float | None:
    """Return when silence will prove that the water has stopped; None if it will not, or has."""
    if closure.quiet_s is None or closure.cadence_s is None or closure.seen is Seen.STOPPED:
        return None
    return closure.quiet_s + stopped_after_s(spec, closure.cadence_s)


def stopped_after_s(spec: MeterSpec, cadence_s: float) -> float:
    """Return how long no pulse must come until water that ran at this cadence counts as stopped."""
    is_little_s = min(interval_s(spec, spec.passing_l_per_min), cadence_s / REST)
    return max(SETTLE_S, MISSED_PULSES * cadence_s, is_little_s)
