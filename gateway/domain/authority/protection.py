"""Carries what zones, flow rules and meters want to the valves, each with its cause."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.authority.ranks import Rank, Standing
from gateway.domain.demand import Demand, Turn
from gateway.domain.effects import Clear, Effect, Raise, Why
from gateway.domain.flow.demand import Finding, FlowDemand
from gateway.domain.model import Actor, ActorKind


class _Source(NamedTuple):
    """Who demands: "zone" or "rule", the kind of its alarm, as whom it acts."""

    kind: str
    alarm: str
    actor: ActorKind
    rank: Rank


_ZONE = _Source("zone", "leak", ActorKind.LEAK_PROTECTION, Rank.LEAK)
_RULE = _Source("rule", "flow", ActorKind.FLOW_RULE, Rank.FLOW)


class Protection:
    """Leak protection and flow rules, as seen by the valves.

    Args:
        arbiters: Valves by id.
        why: Makes a cause with a correlation id of its own.
    """

    def __init__(self, arbiters: Mapping[str, Arbiter], why: Callable[[Actor, str], Why]) -> None:
        self.arbiters = arbiters
        self._why = why
        self._ties: dict[str, str] = {}

    def meet(self, demands: Iterable[Demand], now_s: float) -> list[Effect]:
        """Pass on to the valves what the zones want."""
        return [effect for demand in demands for effect in self._pass_on(_ZONE, demand, now_s)]

    def restrain(self, demands: Iterable[FlowDemand], now_s: float) -> list[Effect]:
        """Pass on to the valves what flow rules want and meters show."""
        effects: list[Effect] = []
        for demand in demands:
            match demand:
                case Demand():
                    effects += self._pass_on(_RULE, demand, now_s)
                case Finding(meter_id, valve_id, seen):
                    actor = Actor(ActorKind.FLOW_RULE, f"meter/{meter_id}")
                    why = self._why(actor, "water runs all the same")
                    effects += self.arbiters[valve_id].metered(seen, why, now_s)
        return effects

    def _pass_on(self, source: _Source, demand: Demand, now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        subject = f"{source.kind}/{demand.by}"
        why = self._why(Actor(source.actor, subject), demand.cause)
        if demand.turn is Turn.NEW:
            self._ties[f"{source.alarm}/{subject}"] = why.correlation_id
        for valve_id in demand.valves:
            arbiter = self.arbiters[valve_id]
            if demand.turn is Turn.ENDED:
                arbiter.relax(source.rank, demand.by)
            else:
                again = demand.turn is Turn.STANDING
                effects += arbiter.protect(source.rank, demand.by, why, now_s, again=again)
        return effects

    def tied(self, effect: Raise | Clear) -> Raise | Clear:
        """Tie an alarm to the closing that it caused."""
        if isinstance(effect, Clear) or effect.correlation_id:
            return effect
        return replace(effect, correlation_id=self._ties.get(effect.alarm_id, ""))


def standing(zones: Iterable[str], rules: Iterable[str]) -> Standing:
    """Return what zones and flow rules want from before a restart."""
    leaks = {name: _before(ActorKind.LEAK_PROTECTION, f"zone/{name}", "leak") for name in zones}
    return Standing(leaks, {name: _before(ActorKind.FLOW_RULE, f"rule/{name}", "flow") for name in rules})


def _before(kind: ActorKind, name: str, what: str) -> Why:
    return Why(Actor(kind, name), f"{what} before the restart", "")
