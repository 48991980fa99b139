"""Carries what zones, flow rules and meters want to the valves, each with its cause."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.authority.ranks import Rank, Standing
from gateway.domain.effects import Clear, Effect, Raise, Why
from gateway.domain.flow import demand as flow
from gateway.domain.flow.demand import Finding, FlowDemand, RuleDemand
from gateway.domain.leak import watch as leak
from gateway.domain.leak.watch import Demand
from gateway.domain.model import Actor, ActorKind


class Protection:
    """Leak protection and flow rules, as seen by the valves.

    Args:
        arbiters: Valves by id.
        why: Makes a cause with a correlation id of its own.
    """

    def __init__(self, arbiters: Mapping[str, Arbiter], why: Callable[[Actor, str], Why]) -> None:
        self._arbiters = arbiters
        self._why = why
        self._ties: dict[str, str] = {}

    def meet(self, demands: Iterable[Demand], now_s: float) -> list[Effect]:
        """Pass on to the valves what the zones want."""
        effects: list[Effect] = []
        for demand in demands:
            subject = f"zone/{demand.zone_id}"
            why = self._why(Actor(ActorKind.LEAK_PROTECTION, subject), "leak confirmed")
            self._ties[f"leak/{subject}"] = why.correlation_id
            for valve_id in demand.valves:
                arbiter = self._arbiters[valve_id]
                if demand.turn is leak.Turn.ENDED:
                    arbiter.relax(Rank.LEAK, demand.zone_id)
                else:
                    again = demand.turn is leak.Turn.STANDING
                    effects += arbiter.protect(Rank.LEAK, demand.zone_id, why, now_s, again=again)
        return effects

    def restrain(self, demands: Iterable[FlowDemand], now_s: float) -> list[Effect]:
        """Pass on to the valves what flow rules want and meters show."""
        effects: list[Effect] = []
        for demand in demands:
            match demand:
                case RuleDemand():
                    effects += self._rule(demand, now_s)
                case Finding(meter_id, valve_id, seen):
                    why = self._why(
                        Actor(ActorKind.FLOW_RULE, f"meter/{meter_id}"), "water runs all the same"
                    )
                    effects += self._arbiters[valve_id].metered(seen, why, now_s)
        return effects

    def _rule(self, demand: RuleDemand, now_s: float) -> list[Effect]:
        subject, effects = f"rule/{demand.rule_id}", list[Effect]()
        why = self._why(Actor(ActorKind.FLOW_RULE, subject), demand.cause or "water still runs")
        if demand.turn is flow.Turn.NEW:
            self._ties[f"flow/{subject}"] = why.correlation_id
        for valve_id in demand.valves:
            arbiter = self._arbiters[valve_id]
            if demand.turn is flow.Turn.ENDED:
                arbiter.relax(Rank.FLOW, demand.rule_id)
            else:
                again = demand.turn is flow.Turn.STANDING
                effects += arbiter.protect(Rank.FLOW, demand.rule_id, why, now_s, again=again)
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
