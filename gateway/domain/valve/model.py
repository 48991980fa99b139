"""What is known of one valve: the states, the move that runs, and what survives a restart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.effects import Why
from gateway.domain.model import SYSTEM, Coil, Position, SignalClass
from gateway.domain.site import ValveKind, ValveSpec
from gateway.domain.valve import travel

FAIL_TO_CLOSE = "fail-to-close"
FAIL_TO_OPEN = "fail-to-open"
BOTH_SWITCHES = "both-switches"
SLOW = "valve-slow"
IMPLAUSIBLE = "switch-implausible"
COIL_FAILED = "coil-failed"
MOVED_BY_HAND = "valve-moved-by-hand"
EXERCISE_CUT = "exercise-interrupted"

CONDITIONS: Mapping[str, SignalClass] = {
    FAIL_TO_CLOSE: SignalClass.ALARM,
    FAIL_TO_OPEN: SignalClass.TROUBLE,
    BOTH_SWITCHES: SignalClass.TROUBLE,
    SLOW: SignalClass.TROUBLE,
    IMPLAUSIBLE: SignalClass.TROUBLE,
    COIL_FAILED: SignalClass.TROUBLE,
    MOVED_BY_HAND: SignalClass.SUPERVISORY,
    EXERCISE_CUT: SignalClass.SUPERVISORY,
}
"""What a valve can raise."""

FAULTS = (FAIL_TO_CLOSE, FAIL_TO_OPEN, BOTH_SWITCHES)


class ValveState(StrEnum):
    """Where the controller stands; valve.py draws the arrows."""

    UNKNOWN = "unknown"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    OPENING = "opening"
    TESTING = "testing"
    FAULT = "fault"
    OUT_OF_SERVICE = "out_of_service"


RESTING: Mapping[Position, ValveState] = {Position.OPEN: ValveState.OPEN, Position.CLOSED: ValveState.CLOSED}
MOVING: Mapping[Position, ValveState] = {
    Position.OPEN: ValveState.OPENING,
    Position.CLOSED: ValveState.CLOSING,
}
OPPOSITE: Mapping[Position, Position] = {
    Position.OPEN: Position.CLOSED,
    Position.CLOSED: Position.OPEN,
}
COIL: Mapping[Position, Coil] = {Position.OPEN: Coil.OPEN, Position.CLOSED: Coil.CLOSE}


class Phase(StrEnum):
    """Part of a move."""

    PAUSE = "pause"
    """Dead time: both coils off."""
    RUN = "run"
    """Motor or pulse on; a spring valve on its way."""
    SETTLE = "settle"
    """The pulse is over, the switch has yet to tell."""


@dataclass(frozen=True)
class Move:
    """A stroke under way.

    Args:
        ends_s: When this phase is over.
        started_s: When the coil was set.
        full: It began at the other end, so its time can be learned.
        seen_s: Since when the goal's switch alone is made; None while it is not.
        early: The switch came sooner than any valve can move.
    """

    goal: Position
    phase: Phase
    ends_s: float
    started_s: float
    attempt: int = 1
    full: bool = False
    seen_s: float | None = None
    early: bool = False


@dataclass(frozen=True)
class Doubt:
    """A line refused: what its coil does is unknown until it was released again without complaint."""

    due_s: float
    wait_s: float
    released: bool = False


class FlowSays(StrEnum):
    """What a meter shows of a closed valve."""

    NOTHING = "nothing"
    STOPPED = "stopped"
    PASSING = "passing"
    """Water runs through all the same."""


@dataclass(frozen=True)
class Valve:
    """One valve. Made by `valve.found`, changed only by the functions of valve.py.

    Args:
        confirmed: An end switch shows the position; else it is assumed.
        flow: What a meter shows, while it is closed.
        coils: Energised, as last commanded.
        made: End switches that are made.
        why: Who last had the valve moved, and why.
        fault: Which of `FAULTS` forbids opening; "" none.
        conditions: Raised and not yet cleared.
        rests_at: Where it was left; a switch that says otherwise means that somebody turned it by hand.
        cut: The coil last released and when, for the dead time.
        close_again_s: When a failed close is tried again.
        took_s: Time of the last measured stroke.
    """

    spec: ValveSpec
    state: ValveState = ValveState.UNKNOWN
    confirmed: bool = False
    flow: FlowSays = FlowSays.NOTHING
    coils: frozenset[Coil] = frozenset()
    made: frozenset[Position] = frozenset()
    why: Why = field(default=Why(SYSTEM, "start", ""))
    move: Move | None = None
    fault: str = ""
    conditions: frozenset[str] = frozenset()
    rests_at: Position | None = None
    cut: tuple[Coil, float] | None = None
    doubt: Doubt | None = None
    close_again_s: float | None = None
    closing: travel.Travel = field(default=travel.Travel())
    opening: travel.Travel = field(default=travel.Travel())
    took_s: float | None = None

    @property
    def position(self) -> Position | None:
        """Where it rests; None while it moves or nobody knows."""
        for position, state in RESTING.items():
            if self.state is state:
                return position
        return None

    @property
    def closure(self) -> str | None:
        """How sure the closure is: "confirmed", "assumed", "passing", or None if it is not closed."""
        if self.state is not ValveState.CLOSED:
            return None
        if self.flow is FlowSays.PASSING:
            return "passing"
        return "confirmed" if self.confirmed or self.flow is FlowSays.STOPPED else "assumed"

    @property
    def closure_by(self) -> str | None:
        """What says so: "switch", "flow", "time", or None if it is not closed."""
        if self.state is not ValveState.CLOSED:
            return None
        if self.confirmed and self.flow is not FlowSays.PASSING:
            return "switch"
        return "time" if self.flow is FlowSays.NOTHING else "flow"

    def travel(self, goal: Position) -> travel.Travel:
        """Return what was learned of this direction."""
        return self.opening if goal is Position.OPEN else self.closing

    def has_switch(self, end: Position) -> bool:
        """Return whether this end reports."""
        return end.value in self.spec.end_switches

    def is_held(self, position: Position) -> bool:
        """Return whether the coils agree with this position: a spring valve stays open only by its coil."""
        if self.spec.kind is not ValveKind.SPRING_RETURN:
            return True
        return (Coil.OPEN in self.coils) == (position is Position.OPEN)


def resting(valve: Valve, hint: Position | None = None) -> tuple[ValveState, bool]:
    """Return the state of a valve that nobody drives, and whether a switch confirms it.

    `hint` is where it should be; believed only for an end that has no switch to contradict it. The coil of a
    spring-return valve takes its place.
    """
    if len(valve.made) > 1:
        return ValveState.FAULT, False
    for end in valve.made:
        return RESTING[end], IMPLAUSIBLE not in valve.conditions
    if valve.spec.kind is ValveKind.SPRING_RETURN:
        hint = Position.OPEN if Coil.OPEN in valve.coils else Position.CLOSED
    if hint is None or valve.has_switch(hint):
        return ValveState.UNKNOWN, False
    return RESTING[hint], False
