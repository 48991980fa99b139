"""An end switch changed while nobody drives the valve: turned by hand, late after a fault, or broken."""

from gateway.domain.effects import Why
from gateway.domain.evolve import replace
from gateway.domain.model import SYSTEM, Position
from gateway.domain.valve.model import (
    BOTH_SWITCHES,
    FAIL_TO_CLOSE,
    FAIL_TO_OPEN,
    MOVED_BY_HAND,
    RESTING,
    ValveState,
    resting,
)
from gateway.domain.valve.turn import Turn


def moved(turn: Turn, end: Position) -> None:
    """A switch changed though nobody drives the valve: somebody turned it, or a switch is broken."""
    valve = turn.valve
    state, confirmed = resting(valve)
    correlation_id = f"hand/{valve.spec.id}/{turn.now_s:.3f}"
    change = "made" if end in valve.made else "released"
    why = Why(SYSTEM, f"{end} switch {change} without a command", correlation_id)
    turn.valve = replace(
        valve,
        why=why,
        state=state,
        confirmed=confirmed,
        fault=BOTH_SWITCHES if state is ValveState.FAULT else "",
    )
    turn.record("result", {"seen": state.value})
    tell_both(turn)
    if state is not ValveState.FAULT:
        _compare(turn)


def _compare(turn: Turn) -> None:
    """Tell if the valve is not where it was left."""
    left_at, position = turn.valve.rests_at, turn.valve.position
    if left_at is None:
        turn.valve = replace(turn.valve, rests_at=position)
    elif position is left_at:
        turn.clear(MOVED_BY_HAND)
    else:
        turn.raise_(MOVED_BY_HAND, f"was {left_at}, now {turn.valve.state}")


def recover(turn: Turn) -> None:
    """A switch changed in FAULT: it may be there after all."""
    state, confirmed = resting(turn.valve)
    tell_both(turn)
    if state not in RESTING.values() and turn.valve.fault != BOTH_SWITCHES:
        return
    if state is ValveState.FAULT or (turn.valve.fault == FAIL_TO_CLOSE and state is not ValveState.CLOSED):
        return
    turn.valve = replace(turn.valve, state=state, confirmed=confirmed, fault="", close_again_s=None)
    turn.record("result", {"seen": state.value})
    _compare(turn)
    if state is ValveState.CLOSED:
        turn.clear(FAIL_TO_CLOSE)
    elif state is ValveState.OPEN:
        turn.clear(FAIL_TO_OPEN)


def tell_both(turn: Turn) -> None:
    """Raise or clear the fault of two ends at once."""
    if len(turn.valve.made) > 1:
        turn.raise_(BOTH_SWITCHES, "both end switches are made: check switches and wiring")
    else:
        turn.clear(BOTH_SWITCHES)
