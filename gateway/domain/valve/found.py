"""The valve at start: take it over as it is. A restart moves nothing.

coils and switches found                      adopted as
both switches made                            FAULT
closing motor or pulse on, end not reached    CLOSING, with a fresh bound
opening motor or pulse on, or both            released; the switch tells, else UNKNOWN
spring coil on                                OPEN unless a switch denies it
spring coil off                               CLOSED, or CLOSING while a switch denies it
all off                                       the switch tells; else where it was left, assumed
"""

from gateway.domain.effects import Effect, Why
from gateway.domain.events import ValveFound
from gateway.domain.evolve import replace
from gateway.domain.model import SYSTEM, Coil, Json, Position
from gateway.domain.site import ValveKind, ValveSpec
from gateway.domain.valve import memory as valve_memory
from gateway.domain.valve import switch as valve_switch
from gateway.domain.valve.memory import Memory
from gateway.domain.valve.model import (
    BOTH_SWITCHES,
    COIL_FAILED,
    EXERCISE_CUT,
    FAIL_TO_CLOSE,
    FAIL_TO_OPEN,
    MOVED_BY_HAND,
    Move,
    Phase,
    Valve,
    ValveState,
    resting,
)
from gateway.domain.valve.motion import run_s
from gateway.domain.valve.turn import Turn

_CLOSED_ALONE = frozenset({Position.CLOSED})


def adopt(spec: ValveSpec, event: ValveFound, memory: Json, now_s: float) -> tuple[Valve, list[Effect]]:
    """Return the valve as found; the only outputs are releases."""
    known = valve_memory.from_json(memory)
    before = Valve(
        spec,
        coils=frozenset(coil for coil, energised in event.coils.items() if energised),
        made=frozenset(
            end for end, made in event.switches.items() if made and end.value in spec.end_switches
        ),
        why=Why(SYSTEM, "found at start", f"start/{spec.id}/{now_s:.3f}"),
        conditions=known.conditions,
        closing=known.closing,
        opening=known.opening,
    )
    turn = Turn(before, now_s, remembered=memory)
    left = _release(turn)
    _place(turn, None if left else known.position)
    _recall_fault(turn, known)
    turn.valve = replace(turn.valve, rests_at=turn.valve.position)
    turn.record("found", _detail(before, turn.valve))
    _conditions(turn, None if left else known.position)
    if known.testing and turn.valve.state is not ValveState.OPEN:
        # nothing reopens it by itself: a person must know why there is no water
        turn.raise_(EXERCISE_CUT, "the gateway restarted during an exercise; the valve was open before")
    return turn.done()


def _release(turn: Turn) -> bool:
    """Release a motor or pulse that must not stay on; return whether the valve may be between its ends."""
    valve = turn.valve
    if valve.spec.kind is ValveKind.SPRING_RETURN or not valve.coils:
        return False
    if Coil.OPEN in valve.coils or valve.made == _CLOSED_ALONE:
        turn.release(*(coil for coil in Coil if coil in valve.coils))
    return True


def _place(turn: Turn, hint: Position | None) -> None:
    valve = turn.valve
    state, confirmed = resting(valve, hint)
    if _is_closing(valve):
        length_s = run_s(valve, Position.CLOSED)
        move = Move(Position.CLOSED, Phase.RUN, turn.now_s + length_s, turn.now_s)
        turn.valve = replace(valve, state=ValveState.CLOSING, move=move)
    elif _is_held_open(valve) and valve.made == _CLOSED_ALONE:
        # it was about to open: the switch is not made for long
        turn.valve = replace(valve, state=ValveState.UNKNOWN)
    else:
        fault = BOTH_SWITCHES if state is ValveState.FAULT else ""
        turn.valve = replace(valve, state=state, confirmed=confirmed, fault=fault)


def _is_closing(valve: Valve) -> bool:
    if valve.spec.kind is not ValveKind.SPRING_RETURN:
        return Coil.CLOSE in valve.coils
    if Coil.OPEN in valve.coils or Position.CLOSED in valve.made:
        return False
    return valve.has_switch(Position.CLOSED) or Position.OPEN in valve.made


def _is_held_open(valve: Valve) -> bool:
    return valve.spec.kind is ValveKind.SPRING_RETURN and Coil.OPEN in valve.coils


def _recall_fault(turn: Turn, known: Memory) -> None:
    """A failed close was demanded and is not done: it goes on being tried."""
    valve = turn.valve
    if known.fault == FAIL_TO_CLOSE and valve.state is ValveState.CLOSING:
        turn.valve = replace(valve, fault=FAIL_TO_CLOSE)
    elif known.fault == FAIL_TO_CLOSE and valve.state is not ValveState.CLOSED:
        again_s = turn.now_s + valve.spec.retry_every_s
        turn.valve = replace(valve, state=ValveState.FAULT, fault=FAIL_TO_CLOSE, close_again_s=again_s)
    elif known.fault == FAIL_TO_OPEN and valve.state is ValveState.UNKNOWN:
        turn.valve = replace(valve, state=ValveState.FAULT, fault=FAIL_TO_OPEN)


def _conditions(turn: Turn, left_at: Position | None) -> None:
    valve = turn.valve
    turn.clear(COIL_FAILED)
    valve_switch.tell_both(turn)
    if valve.confirmed:
        turn.clear(FAIL_TO_CLOSE if valve.state is ValveState.CLOSED else FAIL_TO_OPEN)
    moved = left_at is not None and left_at is not valve.position and not valve.fault
    # a spring valve closes by itself when the gateway loses its supply
    if moved and valve.spec.kind is not ValveKind.SPRING_RETURN:
        turn.raise_(MOVED_BY_HAND, f"was {left_at}, found {valve.state} after the restart")


def _detail(before: Valve, after: Valve) -> dict[str, Json]:
    return {
        "state": after.state.value,
        "closure": after.closure,
        "coils": [coil.value for coil in Coil if coil in before.coils],
        "switches": [end.value for end in Position if end in before.made],
        "released": [coil.value for coil in Coil if coil in before.coils - after.coils],
    }
