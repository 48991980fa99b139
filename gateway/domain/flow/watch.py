"""All meters and flow rules of a site: what a pulse, or the lack of one, means for the valves.

The answer is a list of demands, in the order in which they are to be met; who may refuse one is decided
elsewhere (authority/protection.py).
"""

from collections.abc import Callable, Container, Mapping
from typing import TypeAlias

from gateway.domain.commands import AnswerRequest, Remember
from gateway.domain.effects import Clear, Effect
from gateway.domain.events import MeterPulsed, OccupancyRequested, TimeTold
from gateway.domain.flow import occupancy
from gateway.domain.flow import rule as rules
from gateway.domain.flow.demand import FlowDemand
from gateway.domain.flow.metered import Metered
from gateway.domain.flow.rule import Rule
from gateway.domain.flow.setting import Clock, Setting
from gateway.domain.model import Json, Occupancy
from gateway.domain.site import Site
from gateway.domain.valve.model import ValveState

Judged: TypeAlias = tuple[list[FlowDemand], list[Effect]]


class FlowWatch:
    """Meters, rules and how the building is used."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._mode = Occupancy.OCCUPIED
        self._clock = Clock()
        self._minute: int | None = None
        self._meters: dict[str, Metered] = {}
        self._rules: dict[str, Rule] = {}
        self._rules_of: dict[str, list[str]] = {}
        for meter in site.meters.values():
            retry_every_s = {key: site.valves[key].retry_every_s for key in meter.valves}
            self._meters[meter.id] = Metered(meter, retry_every_s)
        for spec in site.flow_rules.values():
            self._rules[spec.id] = Rule(spec, site.meters[spec.meter])
            self._rules_of.setdefault(spec.meter, []).append(spec.id)
        # asking all of them after each event costs more than deciding: asked only after a change
        self._due_s: float | None = None

    def start(
        self, memory: Mapping[str, Json], is_latched: Callable[[str], bool], now_s: float
    ) -> list[Effect]:
        """Take over what was known before the restart; `is_latched` tells of an alarm id."""
        self._mode = occupancy.remembered(memory)
        for meter_id, metered in self._meters.items():
            metered.start(memory.get(f"meter/{meter_id}"), now_s)
        self._find_rules(memory, is_latched, now_s)
        return self._done([*self._warnings_over(), *occupancy.standing(self._mode), *self._set(now_s)])

    def _find_rules(
        self, memory: Mapping[str, Json], is_latched: Callable[[str], bool], now_s: float
    ) -> None:
        """Let alarms stand that were latched before the restart, unless they are known already."""
        for rule_id, known in self._rules.items():
            if is_latched(f"flow/{known.subject}") and not known.is_latched:
                stands = rules.latched(known, memory.get(known.subject), now_s)
                is_deaf = self._meters[known.meter.id].is_deaf
                self._rules[rule_id] = rules.deafened(stands)[0] if is_deaf else stands

    def recall(
        self,
        memory: Mapping[str, Json],
        newer: Container[str],
        is_latched: Callable[[str], bool],
        now_s: float,
    ) -> list[Effect]:
        """Take over what was known before the restart, late; keys in `newer` were decided since."""
        effects: list[Effect] = []
        for meter_id, metered in self._meters.items():
            effects += metered.recall(memory.get(f"meter/{meter_id}"), self._clock, now_s)
        if occupancy.KEY not in newer:
            self._mode = occupancy.remembered(memory)
        effects += occupancy.standing(self._mode)
        self._find_rules(memory, is_latched, now_s)
        return self._done([*effects, *self._warnings_over(), *self._set(now_s)])

    def _warnings_over(self) -> list[Effect]:
        """End warnings from before the restart: their count begins anew."""
        known = self._rules.values()
        return [Clear("flow-warning", rule.subject) for rule in known if rule.closes_s is None]

    # --- what happens -------------------------------------------------------------------------------

    def handle(self, event: MeterPulsed | TimeTold, now_s: float) -> Judged:
        """Take a pulse or the time."""
        if isinstance(event, TimeTold):
            return [], self._done(self._time(event, now_s))
        if event.meter_id not in self._meters or event.pulses <= 0:
            return [], []
        self.heard(event.meter_id, now_s)
        clock_fell_silent = self._minute is not None and not self._clock.is_trusted(now_s)
        changes = self._set(now_s) if clock_fell_silent else []
        metered = self._meters[event.meter_id]
        findings, effects = metered.pulsed(event.pulses, self._clock, now_s)
        effects = changes + effects
        demands: list[FlowDemand] = [*findings]
        for rule_id in self._rules_of.get(event.meter_id, ()):
            rule, wanted, changes = rules.pulsed(self._rules[rule_id], metered.edges, now_s)
            self._rules[rule_id] = rule
            demands += wanted
            effects = changes + effects
        return demands, self._done(effects)

    def valve_is(self, valve_id: str, state: ValveState, now_s: float) -> list[Effect]:
        """Take a new state of a valve."""
        effects: list[Effect] = []
        for meter_id, spec in self._site.meters.items():
            if valve_id in spec.valves:
                effects += self._meters[meter_id].valve_is(valve_id, state, now_s)
        return self._done(effects)

    def tick(self, now_s: float) -> Judged:
        """Notice that no pulse came; do what is due."""
        if self._due_s is None or now_s < self._due_s:
            return [], []
        demands: list[FlowDemand] = []
        effects: list[Effect] = []
        for metered in self._meters.values():
            findings, changes = metered.tick(now_s)
            demands += findings
            effects += changes
        for rule_id, before in self._rules.items():
            self._rules[rule_id], changes = rules.tick(before, now_s)
            effects += changes
        return demands, self._done(effects)

    def deafened(self, meter_id: str) -> list[Effect]:
        """A meter cannot be heard any more."""
        effects: list[Effect] = []
        if meter_id in self._meters:
            self._meters[meter_id].deafened()
            for rule_id in self._rules_of.get(meter_id, ()):
                self._rules[rule_id], changes = rules.deafened(self._rules[rule_id])
                effects += changes
        return self._done(effects)

    def heard(self, meter_id: str, now_s: float) -> None:
        """A meter can be heard again."""
        if meter_id in self._meters and self._meters[meter_id].is_deaf:
            self._meters[meter_id].heard(now_s)
            for rule_id in self._rules_of.get(meter_id, ()):
                self._rules[rule_id] = rules.heard(self._rules[rule_id], now_s)
            self._done([])

    def occupy(self, event: OccupancyRequested, now_s: float) -> list[Effect]:
        """Use the building in another way from now on, or say why not."""
        refusal = occupancy.refusal(event)
        if refusal is not None:
            return [refusal]
        before, self._mode = self._mode, event.mode
        effects = [*self._set(now_s), *occupancy.changed(before, event)]
        return self._done([*effects, AnswerRequest(event.request.command_id, "succeeded")])

    def reset(self, rule_id: str) -> Judged:
        """End a latched alarm, after it was reset in the table."""
        self._rules[rule_id], demands, effects = rules.reset(self._rules[rule_id])
        return [*demands], self._done(effects)

    def save(self, now_s: float) -> list[Remember]:
        """Return what is to survive a stop."""
        return [metered.save(now_s) for metered in self._meters.values()]

    # --- questions ----------------------------------------------------------------------------------

    def has_rule(self, rule_id: str) -> bool:
        """Tell whether the site has this rule."""
        return rule_id in self._rules

    def may_reset(self, rule_id: str, now_s: float) -> str | None:
        """Return why this rule's alarm may not be reset; None if it may."""
        return rules.may_reset(self._rules[rule_id], now_s)

    def demanding(self, valve_id: str) -> list[str]:
        """Return the rules that want this valve closed."""
        return [
            rule_id
            for rule_id, rule in self._rules.items()
            if rule.is_closing and valve_id in rule.meter.valves
        ]

    def deadline_s(self) -> float | None:
        """Return when `tick` is wanted."""
        return self._due_s

    def view(self, now_s: float) -> dict[str, Json]:
        """Return occupancy, meters and rules as persons see them."""
        meters: dict[str, Json] = {key: metered.view(now_s) for key, metered in self._meters.items()}
        shown: dict[str, Json] = {key: rules.view(rule, now_s) for key, rule in self._rules.items()}
        return {"occupancy": self._mode.value, "meters": meters, "flow_rules": shown}

    # --- inside -------------------------------------------------------------------------------------

    def _time(self, event: TimeTold, now_s: float) -> list[Effect]:
        self._clock = Clock(event, now_s)
        effects: list[Effect] = []
        for metered in self._meters.values():
            effects += metered.clock_told(self._clock, now_s)
        return self._set(now_s) + effects

    def _set(self, now_s: float) -> list[Effect]:
        """Tell the rules which of them count now."""
        told, is_trusted = self._clock.told, self._clock.is_trusted(now_s)
        self._minute = told.minute_of_week if told is not None and is_trusted else None
        setting = Setting(self._mode, self._minute)
        effects: list[Effect] = []
        for rule_id, before in self._rules.items():
            self._rules[rule_id], changes = rules.set_to(before, setting)
            effects += changes
        return effects

    def _done(self, effects: list[Effect]) -> list[Effect]:
        due = [metered.deadline_s() for metered in self._meters.values()]
        due += [rule.ends_s for rule in self._rules.values() if rule.ends_s is not None]
        due_s = min(due, default=float("inf"))
        self._due_s = due_s if due_s < float("inf") else None
        return effects
