"""How a valve gets from one end to the other: coils, dead time, bounds, arrival and failure.

Never both coils: a coil is set only after the other was released and the dead time has passed. Each run
of a motor coil ends at its switch or its time-out, each pulse after `pulse_s`; only the coil that holds a
spring-return valve open stays on.

Both switches made is judged when the stroke is over: on a fast valve the two edges may come in either
order. A switch that comes before the valve can have moved stops nothing; the stroke runs its full time and
the position counts as assumed.
"""

from gateway.domain.evolve import replace
from gateway.domain.model import Coil, Json, Position
from gateway.domain.site import ValveKind
from gateway.domain.valve import travel
from gateway.domain.valve.model import (
    BOTH_SWITCHES,
    COIL,
    EXERCISE_CUT,
    FAIL_TO_CLOSE,
    FAIL_TO_OPEN,
    IMPLAUSIBLE,
    MOVED_BY_HAND,
    MOVING,
    OPPOSITE,
    RESTING,
    SLOW,
    Move,
    Phase,
    Valve,
    ValveState,
)
from gateway.domain.valve.turn import Turn

LONGEST_PULSE_S = 1.0
"""A solenoid of a few ohms on a stuck pulse burns; no setting may ask for more."""


def begin(turn: Turn, goal: Position, state: ValveState | None = None, *, attempt: int = 1) -> None:
    """Start a stroke; what must be released first is released now.

    Args:
        turn: The call.
        goal: Where to.
        state: What to show meanwhile; None for opening or closing.
        attempt: From the second on the coil rests for the dead time first.
    """
    full = attempt == 1 and turn.valve.state is RESTING[OPPOSITE[goal]]
    move = Move(goal, Phase.PAUSE, turn.now_s, turn.now_s, attempt=attempt, full=full)
    turn.valve = replace(
        turn.valve, state=state or MOVING[goal], confirmed=False, move=move, rests_at=None, close_again_s=None
    )
    pause_s = 0.0
    if turn.valve.spec.kind is not ValveKind.SPRING_RETURN:
        pause_s = _release_for(turn, goal, again=attempt > 1)
    if pause_s <= 0:
        _run(turn)
        return
    turn.valve = replace(turn.valve, move=replace(move, ends_s=turn.now_s + pause_s))
    turn.record("intent", {"goal": goal.value, "attempt": attempt, "starts_in_s": round(pause_s, 3)})


def _release_for(turn: Turn, goal: Position, *, again: bool) -> float:
    """Release what stands in the way and return how long the coils must rest from now."""
    other = COIL[OPPOSITE[goal]]
    dead_time_s = turn.valve.spec.dead_time_s
    if again or turn.valve.doubt is not None:
        turn.release(other, COIL[goal])
        return dead_time_s
    if other in turn.valve.coils:
        turn.release(other)
        return dead_time_s
    coil, cut_s = turn.valve.cut or (COIL[goal], turn.now_s)
    pause_s = cut_s + dead_time_s - turn.now_s if coil is other else 0.0
    if pause_s > 0:
        turn.release(other)
    return pause_s


def _run(turn: Turn) -> None:
    """Set the coil for the move's goal, or let go of it where a spring does the work."""
    valve, move = turn.valve, turn.valve.move
    if move is None:
        return
    length_s = run_s(valve, move.goal)
    if valve.spec.kind is not ValveKind.SPRING_RETURN:
        turn.energise(COIL[move.goal])
    elif move.goal is Position.OPEN:
        turn.energise(Coil.OPEN)
    else:
        turn.release(Coil.OPEN)
    move = replace(move, phase=Phase.RUN, started_s=turn.now_s, ends_s=turn.now_s + length_s)
    turn.valve = replace(turn.valve, move=move)
    turn.record("intent", {"goal": move.goal.value, "attempt": move.attempt, "at_most_s": round(length_s, 3)})


def run_s(valve: Valve, goal: Position) -> float:
    """Return how long the coil may be on: one pulse, or the time-out of the stroke."""
    if valve.spec.kind is ValveKind.LATCHING:
        return min(valve.spec.pulse_s, LONGEST_PULSE_S)
    return travel.timeout_s(valve.travel(goal), valve.spec)


def repeat(turn: Turn) -> None:
    """Command the move under way once more; its bound stays."""
    move = turn.valve.move
    if move is None:
        return
    spring = turn.valve.spec.kind is ValveKind.SPRING_RETURN
    if move.goal is Position.CLOSED:
        if spring or move.phase is Phase.PAUSE:
            turn.release(Coil.OPEN)
        elif move.phase is Phase.RUN:
            turn.energise(Coil.CLOSE)
    turn.record("intent", {"goal": move.goal.value, "already": "on its way"})


def due(turn: Turn) -> None:
    """The phase of the move is over."""
    move = turn.valve.move
    if move is None:
        return
    if move.phase is Phase.PAUSE:
        _run(turn)
        return
    if move.phase is Phase.RUN and turn.valve.spec.kind is ValveKind.LATCHING:
        _end_pulse(turn, move)
        return
    _judge(turn, move)


def _end_pulse(turn: Turn, move: Move) -> None:
    turn.release(COIL[move.goal])
    turn.record("pulse", {"goal": move.goal.value, "lasted_s": round(turn.now_s - move.started_s, 3)})
    ends_s = move.started_s + travel.timeout_s(turn.valve.travel(move.goal), turn.valve.spec)
    turn.valve = replace(turn.valve, move=replace(move, phase=Phase.SETTLE, ends_s=max(ends_s, turn.now_s)))
    if move.seen_s is not None and not move.early:
        _arrive(turn, move)


def _judge(turn: Turn, move: Move) -> None:
    """The stroke has had its time: there or not?"""
    made = turn.valve.made
    if len(made) > 1:
        fail(turn, "both end switches are made")
        turn.raise_(BOTH_SWITCHES, "both end switches are made: check switches and wiring")
    elif move.goal in made or (not made and not turn.valve.has_switch(move.goal)):
        _arrive(turn, move)
    elif made:
        fail(turn, f"the switch of the {OPPOSITE[move.goal]} end is still made")
    else:
        fail(turn, f"the switch of the {move.goal} end was not made in time")


def seen(turn: Turn) -> None:
    """An end switch changed while the valve moves."""
    move = turn.valve.move
    if move is None:
        return
    if turn.valve.made != {move.goal} or move.phase is Phase.PAUSE:
        turn.valve = replace(turn.valve, move=replace(move, seen_s=None))
        return
    took_s = turn.now_s - move.started_s
    early = move.full and turn.valve.travel(move.goal).is_early(took_s)
    move = replace(move, seen_s=turn.now_s, early=move.early or early)
    turn.valve = replace(turn.valve, move=move)
    if move.early:
        turn.raise_(IMPLAUSIBLE, f"the switch of the {move.goal} end came after {took_s:.2f} s")
        return
    # a pulse is never cut short: half a pulse may not latch
    if move.phase is Phase.RUN and turn.valve.spec.kind is ValveKind.LATCHING:
        return
    _arrive(turn, move)


def _arrive(turn: Turn, move: Move) -> None:
    """The valve is there, by its switch or by its time."""
    if turn.valve.spec.kind is ValveKind.MOTORISED:
        turn.release(COIL[move.goal])
    before, edge = turn.valve, move.full and move.seen_s is not None and not move.early
    confirmed = move.goal in before.made and (edge or IMPLAUSIBLE not in before.conditions)
    turn.valve = replace(
        before, state=RESTING[move.goal], confirmed=confirmed, move=None, fault="", rests_at=move.goal
    )
    turn.record(
        "result", {"reached": move.goal.value, "by": "switch" if confirmed else "time", **_took(move)}
    )
    turn.clear(BOTH_SWITCHES, MOVED_BY_HAND, *([IMPLAUSIBLE] if edge else []))
    if move.goal is Position.OPEN:
        turn.clear(EXERCISE_CUT)
    turn.clear(FAIL_TO_OPEN if move.goal is Position.OPEN else FAIL_TO_CLOSE)
    if edge and move.seen_s is not None:
        _learn(turn, move.goal, move.seen_s - move.started_s)
    elif move.attempt > 1 and not before.fault:
        turn.raise_(SLOW, f"reached the {move.goal} end only on attempt {move.attempt}")
    if before.state is ValveState.TESTING and move.goal is Position.CLOSED:
        begin(turn, Position.OPEN, ValveState.TESTING)


def _took(move: Move) -> dict[str, Json]:
    return {} if move.seen_s is None else {"travel_s": round(move.seen_s - move.started_s, 3)}


def _learn(turn: Turn, goal: Position, took_s: float) -> None:
    known = turn.valve.travel(goal)
    if known.is_slow(took_s):
        turn.raise_(SLOW, f"{goal} took {took_s:.1f} s, {known.baseline_s:.1f} s when it was new")
    else:
        turn.clear(SLOW)
    if goal is Position.OPEN:
        turn.valve = replace(turn.valve, opening=known.after(took_s), took_s=took_s)
    else:
        turn.valve = replace(turn.valve, closing=known.after(took_s), took_s=took_s)


def fail(turn: Turn, problem: str) -> None:
    """The stroke did not succeed: once more towards closed, then it is a fault."""
    move = turn.valve.move
    if move is None:
        return
    testing = turn.valve.state is ValveState.TESTING
    if move.goal is Position.OPEN:
        _fail_to_open(turn, problem)
    elif move.attempt == 1:
        turn.record("result", {"failed": "closed", "attempt": 1, "problem": problem})
        begin(turn, Position.CLOSED, ValveState.TESTING if testing else None, attempt=2)
    else:
        _fail_to_close(turn, problem, testing=testing)


def _fail_to_close(turn: Turn, problem: str, *, testing: bool) -> None:
    _release_all(turn)
    turn.record("result", {"failed": "closed", "attempt": 2, "problem": problem})
    turn.raise_(FAIL_TO_CLOSE, f"{problem}: close the manual shutoff")
    if testing:
        # nobody wants it closed: give the building its water back, the alarm tells that it cannot protect
        begin(turn, Position.OPEN, ValveState.TESTING)
        return
    again_s = turn.now_s + turn.valve.spec.retry_every_s
    if turn.valve.doubt is not None:
        again_s = min(again_s, turn.valve.doubt.due_s)
    turn.valve = replace(
        turn.valve, state=ValveState.FAULT, move=None, fault=FAIL_TO_CLOSE, close_again_s=again_s
    )


def _fail_to_open(turn: Turn, problem: str) -> None:
    _release_all(turn)
    turn.record("result", {"failed": "open", "problem": problem})
    turn.raise_(FAIL_TO_OPEN, problem)
    turn.valve = replace(turn.valve, state=ValveState.FAULT, move=None, fault=FAIL_TO_OPEN)


def _release_all(turn: Turn) -> None:
    turn.release(*(coil for coil in Coil if coil in turn.valve.coils))
