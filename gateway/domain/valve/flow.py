"""What a water meter says of a closed valve: a second opinion beside its switch."""

from gateway.domain.effects import Effect, Why
from gateway.domain.evolve import replace
from gateway.domain.model import Position
from gateway.domain.valve import motion as valve_motion
from gateway.domain.valve.model import FlowSays, Valve, ValveState
from gateway.domain.valve.turn import Turn


def says(valve: Valve, flow: FlowSays, now_s: float) -> tuple[Valve, list[Effect]]:
    """Take what a meter shows; a valve that is not closed has nothing to be shown."""
    turn = Turn(valve, now_s)
    if valve.state is ValveState.CLOSED and flow is not valve.flow:
        turn.valve = replace(valve, flow=flow)
        turn.record("result", {"flow": flow.value, "closure": turn.valve.closure})
    return turn.done()


def close_again(valve: Valve, why: Why, now_s: float) -> tuple[Valve, list[Effect]]:
    """Drive a closed valve closed once more, whatever its switch says; any other is left alone."""
    turn = Turn(valve, now_s)
    if valve.state is ValveState.CLOSED:
        turn.valve = replace(valve, why=why)
        valve_motion.begin(turn, Position.CLOSED)
    return turn.done()
