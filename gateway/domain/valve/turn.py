"""One call of the valve controller: the valve as it changes, and the effects in their order.

Outputs come first, then the rest as it happened, then one message and one remembered value if there
is news. Filling a list in place keeps the controller's functions short; outside it stays pure.
"""

from collections.abc import Mapping

from gateway.domain.commands import Publish, Record, Remember, SetCoil
from gateway.domain.effects import Clear, Effect, Raise, Why
from gateway.domain.evolve import replace
from gateway.domain.model import Channel, Coil, Json
from gateway.domain.valve import memory as valve_memory
from gateway.domain.valve.model import CONDITIONS, FAIL_TO_CLOSE, FlowSays, Valve, ValveState

_SHUT = (ValveState.CLOSED, ValveState.CLOSING, ValveState.FAULT)


class Turn:
    """The work of one call.

    Args:
        valve: The valve before the call; `self.valve` is how it stands now.
        now_s: Monotonic seconds.
        remembered: What is kept of the valve so far; None: as the valve is before the call.
    """

    def __init__(self, valve: Valve, now_s: float, remembered: Json = None) -> None:
        self.valve = valve
        self.now_s = now_s
        self._before = valve
        self._remembered = remembered
        self._coils: list[Effect] = []
        self._rest: list[Effect] = []

    @property
    def subject(self) -> str:
        """The valve's name in journal and alarms."""
        return f"valve/{self.valve.spec.id}"

    def energise(self, coil: Coil) -> None:
        """Switch a coil on; the caller has made sure that the other one is off."""
        self._coils.append(SetCoil(self.valve.spec.id, coil, energised=True))
        self.valve = replace(self.valve, coils=self.valve.coils | {coil})

    def release(self, *coils: Coil) -> None:
        """Switch coils off, even if they should be off already."""
        for coil in coils:
            self._coils.append(SetCoil(self.valve.spec.id, coil, energised=False))
            if coil in self.valve.coils:
                left = self.valve.coils - {coil}
                self.valve = replace(self.valve, coils=left, cut=(coil, self.now_s))

    def record(self, kind: str, detail: Mapping[str, Json], why: Why | None = None) -> None:
        """Journal it, with the cause of the present move unless another is given."""
        why = why or self.valve.why
        self._rest.append(
            Record(f"valve.{kind}", self.subject, why.actor, why.cause, why.correlation_id, detail)
        )

    def raise_(self, kind: str, detail: str) -> None:
        """Report a condition, once."""
        if kind in self.valve.conditions:
            return
        self.valve = replace(self.valve, conditions=self.valve.conditions | {kind})
        self._rest.append(
            Raise(
                kind,
                self.subject,
                CONDITIONS[kind],
                detail,
                latched=kind == FAIL_TO_CLOSE,
                correlation_id=self.valve.why.correlation_id,
            )
        )

    def clear(self, *kinds: str) -> None:
        """Report the end of conditions that were raised."""
        for kind in kinds:
            if kind in self.valve.conditions:
                self.valve = replace(self.valve, conditions=self.valve.conditions - {kind})
                self._rest.append(Clear(kind, self.subject))

    def done(self) -> tuple[Valve, list[Effect]]:
        """Return the valve and everything to do about it."""
        effects = self._coils + self._rest
        if self.valve.flow is not FlowSays.NOTHING and self.valve.state not in _SHUT:
            self.valve = replace(self.valve, flow=FlowSays.NOTHING)
        after, before = self.valve, self._before
        if (after.state, after.closure) != (before.state, before.closure):
            effects.append(Publish(Channel.EVENT, "valve", self._message()))
        if self._remembered is None and valve_memory.is_same(before, after):
            return after, effects
        remembered = valve_memory.to_json(after)
        known = valve_memory.to_json(before) if self._remembered is None else self._remembered
        if remembered != known:
            effects.append(Remember(valve_memory.key(after.spec.id), remembered))
        return after, effects

    def _message(self) -> dict[str, Json]:
        valve = self.valve
        return {
            "valve_id": valve.spec.id,
            "state": valve.state.value,
            "closure": valve.closure,
            "closure_by": valve.closure_by,
            "fault": valve.fault,
            "actor": str(valve.why.actor),
            "cause": valve.why.cause,
            "correlation_id": valve.why.correlation_id,
            "travel_s": None if valve.took_s is None else round(valve.took_s, 3),
        }
