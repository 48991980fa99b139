"""Regular exercise: a valve is moved there and back when its time has come and all is quiet."""

from collections.abc import Mapping

from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.disruption import Lease
from gateway.domain.effects import Effect, Why
from gateway.domain.model import Actor, ActorKind
from gateway.domain.valve.machine import ValveState

PATIENCE_S = 86_400.0
"""Leases may put an exercise off for so long; then the exercise comes before the next lease."""


class Exercises:
    """Keeps the calendar.

    Args:
        arbiters: Valves by id.
        lease: While it runs nothing begins; what became due meanwhile comes afterwards.
    """

    def __init__(self, arbiters: Mapping[str, Arbiter], lease: Lease) -> None:
        self._arbiters = arbiters
        self._lease = lease
        self._due_s: dict[str, float] = {}

    def start(self, now_s: float) -> None:
        """Begin to count the time to the next exercise of each valve."""
        for valve_id, arbiter in self._arbiters.items():
            if arbiter.spec.exercise_every_s is not None:
                self._due_s[valve_id] = now_s + arbiter.spec.exercise_every_s

    def tick(self, now_s: float, *, quiet: bool) -> list[Effect]:
        """Exercise what is due, if the valve is open, nobody holds it and all is quiet; else next time."""
        effects: list[Effect] = []
        if self._lease.holds(now_s):
            return effects
        for valve_id in [key for key, due_s in self._due_s.items() if now_s >= due_s]:
            arbiter = self._arbiters[valve_id]
            self._due_s[valve_id] = now_s + (arbiter.spec.exercise_every_s or 0.0)
            if quiet and arbiter.is_free and arbiter.valve.state is ValveState.OPEN:
                why = Why(Actor(ActorKind.EXERCISE, "calendar"), "regular exercise", "")
                effects += arbiter.exercise(why, now_s)
        return effects

    def overdue(self, now_s: float) -> list[str]:
        """Return which valves were kept from their exercise for too long, one phrase each."""
        late = (valve_id for valve_id, due_s in self._due_s.items() if now_s >= due_s + PATIENCE_S)
        return [f"valve {valve_id} has waited too long for its exercise" for valve_id in late]

    def deadline_s(self) -> float | None:
        """Return when `tick` is wanted."""
        due_s = min(self._due_s.values(), default=None)
        return None if due_s is None else self._lease.not_before(due_s)
