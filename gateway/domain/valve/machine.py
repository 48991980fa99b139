"""Valve controller: one pure state machine for all kinds of drive.

    found                  -> as found.py lists; nothing moves
    OPEN, UNKNOWN, OPENING -- drive(CLOSED) --> CLOSING -- switch or time --> CLOSED
    CLOSED, UNKNOWN        -- drive(OPEN) ----> OPENING -- switch or time --> OPEN
    CLOSING                -- too long twice -> FAULT   -- drive(CLOSED), every retry_every_s --> CLOSING
    OPENING                -- too long -------> FAULT   -- the switch comes late --> CLOSED, OPEN
    OPEN                   -- exercise -------> TESTING -- closed and open again --> OPEN
    OPEN, CLOSED           -- switch, by hand > UNKNOWN, CLOSED, OPEN
    any but moving         -- both switches --> FAULT   -- one released --> what the other says
    any -- take_out_of_service --> OUT_OF_SERVICE -- return_to_service --> what the switches say

Rules:
* Nothing but `drive(OPEN)`, or an exercise that began open, energises towards open.
* `drive(CLOSED)` sets the closing output, or cuts the opening one and sets it after the dead time, in the
  same call; only a confirmed closure and OUT_OF_SERVICE are left alone. FAULT closes but does not open.
* A failed close is repeated every `retry_every_s` until a switch confirms it, also after a restart.
* Closure is *confirmed* by its switch, else by a meter (flow.py), otherwise *assumed*.
* SetCoil effects come first in every list, each with a record of actor and cause.
"""

from gateway.domain.effects import Effect, Why
from gateway.domain.events import CoilFailed, DeadlinePassed, EndSwitchChanged, ValveFound
from gateway.domain.evolve import replace
from gateway.domain.model import Coil, Json, Position
from gateway.domain.site import ValveKind, ValveSpec
from gateway.domain.valve import motion as valve_motion
from gateway.domain.valve import switch as valve_switch
from gateway.domain.valve import travel
from gateway.domain.valve.found import adopt
from gateway.domain.valve.model import (
    BOTH_SWITCHES,
    COIL_FAILED,
    EXERCISE_CUT,
    FAIL_TO_CLOSE,
    FAIL_TO_OPEN,
    MOVED_BY_HAND,
    MOVING,
    Doubt,
    FlowSays,
    Phase,
    Valve,
    ValveState,
    resting,
)
from gateway.domain.valve.turn import Turn

__all__ = [
    "Valve",
    "ValveState",
    "deadline_s",
    "drive",
    "exercise",
    "found",
    "return_to_service",
    "step",
    "take_out_of_service",
    "tick",
    "unknown",
    "view",
]

RELEASE_AGAIN_S = 1.0
LONGEST_WAIT_S = 30.0
"""A line that refused is released again after this time, doubled with each failure up to the longest."""


def unknown(spec: ValveSpec) -> Valve:
    """Return a valve that nobody has looked at yet."""
    return Valve(spec)


def found(spec: ValveSpec, event: ValveFound, memory: Json, now_s: float) -> tuple[Valve, list[Effect]]:
    """Adopt a valve as it is at start; the only outputs are releases of coils that must not stay on.

    Args:
        spec: The valve.
        event: Levels of its lines, read before anything is driven.
        memory: What was last remembered under `valve/<id>`; None or nonsense counts as nothing.
        now_s: Monotonic seconds.
    """
    return adopt(spec, event, memory, now_s)


def drive(valve: Valve, position: Position, why: Why, now_s: float) -> tuple[Valve, list[Effect]]:
    """Move the valve there, whatever it does now; an exercise ends by it."""
    turn = Turn(valve, now_s)
    refusal = _refusal(valve, position)
    if refusal:
        turn.record("refused", {"goal": position.value, "problem": refusal}, why)
        return turn.done()
    turn.valve = replace(valve, why=why)
    is_sure = valve.confirmed and valve.flow is not FlowSays.PASSING
    if valve.position is position and is_sure and valve.is_held(position):
        turn.record("intent", {"goal": position.value, "already": "confirmed"})
    elif valve.move is not None and valve.move.goal is position:
        turn.valve = replace(turn.valve, state=MOVING[position])
        valve_motion.repeat(turn)
    else:
        valve_motion.begin(turn, position)
    return turn.done()


def _refusal(valve: Valve, position: Position) -> str:
    if valve.state is ValveState.OUT_OF_SERVICE:
        return "out of service"
    if position is Position.OPEN and valve.fault:
        return f"{valve.fault}: needs maintenance before it may open"
    return ""


def exercise(valve: Valve, why: Why, now_s: float) -> tuple[Valve, list[Effect]]:
    """Close an open valve fully and open it again; `drive` ends it at any time.

    Only from OPEN: an exercise that let water into a closed pipe would be an automatic opening. Without a
    SetCoil among the effects nothing has begun. A close that fails twice raises the fail-to-close alarm and
    the valve opens again.
    """
    turn = Turn(valve, now_s)
    if valve.state is not ValveState.OPEN or not valve.is_held(Position.OPEN):
        turn.record("refused", {"goal": "exercise", "problem": f"the valve is {valve.state}, not open"}, why)
        return turn.done()
    turn.valve = replace(valve, why=why)
    valve_motion.begin(turn, Position.CLOSED, ValveState.TESTING)
    return turn.done()


def take_out_of_service(valve: Valve, why: Why, now_s: float) -> tuple[Valve, list[Effect]]:
    """Stop a motor or pulse and drive nothing until `return_to_service`; a spring valve keeps its coil."""
    turn = Turn(valve, now_s)
    if valve.state is ValveState.OUT_OF_SERVICE:
        return turn.done()
    turn.valve = replace(
        valve, why=why, state=ValveState.OUT_OF_SERVICE, confirmed=False, move=None, close_again_s=None
    )
    if valve.spec.kind is not ValveKind.SPRING_RETURN:
        turn.release(*(coil for coil in Coil if coil in valve.coils))
    turn.record("service", {"out_of_service": True})
    return turn.done()


def return_to_service(valve: Valve, why: Why, now_s: float) -> tuple[Valve, list[Effect]]:
    """Trust the valve again after maintenance: faults are forgotten, the switches tell where it is."""
    turn = Turn(valve, now_s)
    if valve.state is not ValveState.OUT_OF_SERVICE:
        return turn.done()
    state, confirmed = resting(valve)
    turn.valve = replace(
        valve, why=why, state=state, confirmed=confirmed, fault=BOTH_SWITCHES if len(valve.made) > 1 else ""
    )
    turn.valve = replace(turn.valve, rests_at=turn.valve.position)
    turn.record("service", {"out_of_service": False, "state": state.value})
    turn.clear(FAIL_TO_OPEN, FAIL_TO_CLOSE, MOVED_BY_HAND, EXERCISE_CUT)
    valve_switch.tell_both(turn)
    return turn.done()


def step(
    valve: Valve, event: EndSwitchChanged | CoilFailed | DeadlinePassed, now_s: float
) -> tuple[Valve, list[Effect]]:
    """Take in what the valve's lines or the time say."""
    turn = Turn(valve, now_s)
    match event:
        case EndSwitchChanged(_, end, made):
            _switched(turn, end, made)
        case CoilFailed(_, problem):
            _coil_failed(turn, problem)
        case DeadlinePassed():
            _due(turn)
    return turn.done()


def tick(valve: Valve, now_s: float) -> tuple[Valve, list[Effect]]:
    """Do what is due; nothing if called early."""
    return step(valve, DeadlinePassed(), now_s)


def deadline_s(valve: Valve) -> float | None:
    """Return when `tick` is wanted, monotonic seconds; None never."""
    due = [
        valve.move.ends_s if valve.move else None,
        valve.close_again_s,
        valve.doubt.due_s if valve.doubt else None,
    ]
    return min((at_s for at_s in due if at_s is not None), default=None)


def view(valve: Valve, now_s: float) -> dict[str, Json]:
    """Return what status shows.

    Keys: name, kind, state, closure ("confirmed", "assumed", "passing" or None), closure_by ("switch",
    "flow", "time" or None), travel_s (last measured stroke), goal and progress_percent of the stroke under
    way (None at rest).
    """
    return {
        "name": valve.spec.name or valve.spec.id,
        "kind": valve.spec.kind.value,
        "state": valve.state.value,
        "closure": valve.closure,
        "closure_by": valve.closure_by,
        "travel_s": None if valve.took_s is None else round(valve.took_s, 3),
        "goal": valve.move.goal.value if valve.move else None,
        "progress_percent": _progress_percent(valve, now_s),
    }


def _progress_percent(valve: Valve, now_s: float) -> int | None:
    if valve.move is None:
        return None
    if valve.move.phase is Phase.PAUSE:
        return 0
    usual_s = travel.expected_s(valve.travel(valve.move.goal), valve.spec)
    return max(0, min(99, int(100 * (now_s - valve.move.started_s) / max(usual_s, 0.001))))


def _due(turn: Turn) -> None:
    now_s, move, again_s = turn.now_s, turn.valve.move, turn.valve.close_again_s
    if move is not None and now_s >= move.ends_s:
        valve_motion.due(turn)
    elif move is None and again_s is not None and now_s >= again_s:
        valve_motion.begin(turn, Position.CLOSED, attempt=2)
    doubt = turn.valve.doubt
    if doubt is not None and now_s >= doubt.due_s:
        _release_again(turn, doubt)


def _release_again(turn: Turn, doubt: Doubt) -> None:
    if doubt.released:
        turn.valve = replace(turn.valve, doubt=None)
        turn.clear(COIL_FAILED)
        return
    again = replace(doubt, due_s=turn.now_s + doubt.wait_s, released=True)
    turn.valve = replace(turn.valve, doubt=again)
    spring = turn.valve.spec.kind is ValveKind.SPRING_RETURN
    turn.release(*(c for c in ((Coil.OPEN,) if spring else Coil) if c not in turn.valve.coils))
    turn.record("release", {"problem": "a line had refused"})


def _coil_failed(turn: Turn, problem: str) -> None:
    doubt = turn.valve.doubt
    wait_s = min(2.0 * doubt.wait_s, LONGEST_WAIT_S) if doubt else RELEASE_AGAIN_S
    turn.valve = replace(turn.valve, doubt=Doubt(turn.now_s + wait_s, wait_s))
    turn.record("result", {"failed": "line", "problem": problem})
    turn.raise_(COIL_FAILED, problem)
    valve_motion.fail(turn, problem)


def _switched(turn: Turn, end: Position, made: bool) -> None:
    valve = turn.valve
    if not valve.has_switch(end) or (end in valve.made) == made:
        return
    turn.valve = replace(valve, made=valve.made | {end} if made else valve.made - {end})
    if valve.move is not None:
        valve_motion.seen(turn)
    elif valve.state is ValveState.FAULT:
        valve_switch.recover(turn)
    elif valve.state is not ValveState.OUT_OF_SERVICE:
        valve_switch.moved(turn, end)
