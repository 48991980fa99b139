"""What was remembered of a valve but read late: its strokes are known again, it stays where it is."""

from gateway.domain.effects import Effect
from gateway.domain.evolve import replace
from gateway.domain.model import Json
from gateway.domain.valve import memory as valve_memory
from gateway.domain.valve.model import Valve
from gateway.domain.valve.turn import Turn


def recall(valve: Valve, memory: Json, now_s: float) -> tuple[Valve, list[Effect]]:
    """Take over the learned travel of each direction that has made no stroke since the start."""
    turn, known = Turn(valve, now_s), valve_memory.from_json(memory)
    turn.valve = replace(
        valve,
        closing=valve.closing if valve.closing.strokes else known.closing,
        opening=valve.opening if valve.opening.strokes else known.opening,
    )
    return turn.done()
