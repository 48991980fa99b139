"""One flow rule: too much water for too long, as BREEAM Wat 03 asks for.

    quiet --pulses faster than the limit--> counting --for_s--> alarm            (the rule does not close now)
      ^                                        |     --for_s--> warning --pre_alarm_s--> alarm, closing
      +---- pause, slump, or not its time -----+-------------------+

The alarm is latched: its condition ends with the flow, its demand for closed valves with a reset by a person.
Everything that begins, begins with a pulse, that is, with water; time alone only ends things. So a warning
becomes a closing with the first pulse after its end, and never if the water has stopped meanwhile.

A rule needs `MIN_PULSES` whole pulses of evidence. A meter that is too coarse for that within `for_s` makes
it later (`resolution.delay_s`), neither wrong nor silent. A restart, or a meter that could not be heard,
begins the count anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.domain.commands import Remember
from gateway.domain.demand import Demand, Turn
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.evolve import replace
from gateway.domain.flow.meter import Edge, rate_l_per_min
from gateway.domain.flow.resolution import MIN_PULSES
from gateway.domain.flow.run import Run, goes_on, silence_s
from gateway.domain.flow.setting import Setting, counts, why_not_closing
from gateway.domain.flow.words import duration
from gateway.domain.model import Json, SignalClass
from gateway.domain.site import Action, FlowRuleSpec, MeterSpec

Judged = tuple["Rule", list[Demand], list[Effect]]


@dataclass(frozen=True)
class Rule:
    """State of one rule.

    Args:
        counting: It counts in the present mode and period.
        notify_only: Why it would not close just now; "" if it would.
        run: Since when the flow is above the limit; None if it is not.
        ends_s: When silence proves that it is above no more; None if there is nothing to prove, or no way to.
        is_active: The alarm's condition is present, or was before the restart and nobody knows better.
        is_latched: No person has reset the alarm.
        is_closing: It wants the valves closed.
        closes_s: End of the warning.
        told: (is_closing, notify_only) as the alarm says.
    """

    spec: FlowRuleSpec
    meter: MeterSpec
    counting: bool = True
    notify_only: str = ""
    run: Run | None = None
    ends_s: float | None = None
    is_active: bool = False
    is_latched: bool = False
    is_closing: bool = False
    closes_s: float | None = None
    told: tuple[bool, str] = (False, "")

    @property
    def subject(self) -> str:
        """The rule's name in alarms, and under which it is remembered."""
        return f"rule/{self.spec.id}"


# --- what happens -------------------------------------------------------------------------------------


def latched(rule: Rule, memory: Json, now_s: float) -> Rule:
    """Return a rule whose alarm was latched before the restart: it stands, and so does its closing.

    Whether water still flows is known when pulses, or the lack of them, have told.
    """
    was_closing = isinstance(memory, Mapping) and memory.get("closing") is True
    is_closing = was_closing and rule.spec.action is Action.CLOSE
    ends_s = now_s + silence_s(rule.meter, rule.spec.above_l_per_min)
    return replace(rule, is_active=True, is_latched=True, is_closing=is_closing, ends_s=ends_s)


def set_to(rule: Rule, setting: Setting) -> tuple[Rule, list[Effect]]:
    """Take a new mode, another part of the week, or that the clock is trusted or not."""
    counting, notify_only = counts(rule.spec, setting), why_not_closing(rule.spec, rule.meter, setting)
    if (counting, notify_only) == (rule.counting, rule.notify_only):
        return rule, []
    rule = replace(rule, counting=counting, notify_only=notify_only)
    return (rule, []) if counting else _end(rule)


def pulsed(rule: Rule, edges: Sequence[Edge], now_s: float) -> Judged:
    """Take a pulse of the rule's meter; `edges` are its latest ones."""
    if not rule.counting:
        return rule, [], []
    limit = rule.spec.above_l_per_min
    run, effects = goes_on(rule.run, edges, rule.meter, limit), list[Effect]()
    if rule.run is not None and run.first is not rule.run.first:
        rule, effects = _end(rule)
    rule = replace(rule, run=run, ends_s=now_s + silence_s(rule.meter, limit))
    if run.pulses < MIN_PULSES or run.duration_s < rule.spec.for_s:
        return rule, [], effects
    rule, demands, more = _too_much(rule, now_s)
    return rule, demands, effects + more


def tick(rule: Rule, now_s: float) -> tuple[Rule, list[Effect]]:
    """Notice that no pulse came."""
    return _end(rule) if rule.ends_s is not None and now_s >= rule.ends_s else (rule, [])


def deafened(rule: Rule) -> tuple[Rule, list[Effect]]:
    """The meter cannot be heard: nothing goes on, and nothing that stands is over."""
    effects: list[Effect] = [] if rule.closes_s is None else [Clear("flow-warning", rule.subject)]
    return replace(rule, run=None, ends_s=None, closes_s=None), effects


def heard(rule: Rule, now_s: float) -> Rule:
    """The meter can be heard again: from now on its silence counts."""
    if not rule.is_active:
        return rule
    return replace(rule, ends_s=now_s + silence_s(rule.meter, rule.spec.above_l_per_min))


def may_reset(rule: Rule, now_s: float) -> str | None:
    """Return why a latched flow alarm may not be reset; None if it may."""
    if not rule.is_active:
        return None
    run = rule.run
    if run is not None and run.pulses and now_s - run.last.at_s <= 2.0 * run.duration_s / run.pulses:
        return f"more than {rule.spec.above_l_per_min:g} l/min flow"
    if rule.ends_s is None:
        return f"meter {rule.meter.id} cannot be heard: nobody knows whether water flows"
    return f"whether the water has stopped is known in {duration(max(0.0, rule.ends_s - now_s))}"


def reset(rule: Rule) -> tuple[Rule, list[Demand], list[Effect]]:
    """End a latched alarm, as a person has asked for."""
    was_closing = rule.is_closing
    rule = replace(rule, is_latched=False, is_closing=False, is_active=False, told=(False, ""))
    if not was_closing:
        return rule, [], []
    return rule, [_demand(rule, Turn.ENDED)], [Remember(rule.subject, None)]


def view(rule: Rule, now_s: float) -> dict[str, Json]:
    """Return the rule as persons and programs see it (docs/protocol.md, snapshot)."""
    spec, is_above = rule.spec, rule.run is not None and rule.run.pulses > 0
    periods: list[Json] = [[period.start_min, period.end_min] for period in spec.periods]
    return {
        "name": spec.name,
        "meter": spec.meter,
        "above_l_per_min": spec.above_l_per_min,
        "for_s": spec.for_s,
        "pre_alarm_s": spec.pre_alarm_s,
        "action": spec.action.value,
        "modes": [*sorted(mode.value for mode in spec.modes)],
        "periods": periods,
        "state": _shown(rule, is_above=is_above),
        "latched": rule.is_latched,
        "closing": rule.is_closing,
        "above_s": now_s - rule.run.first.at_s if rule.run is not None and is_above else None,
        "closes_in_s": None if rule.closes_s is None else max(0.0, rule.closes_s - now_s),
        "notify_only": rule.notify_only,
    }


# --- inside -------------------------------------------------------------------------------------------


def _too_much(rule: Rule, now_s: float) -> Judged:
    """The flow has been above the limit for long enough."""
    if rule.is_closing:
        rule, effects = _alarm(rule)
        return rule, [] if rule.notify_only else [_demand(rule, Turn.STANDING)], effects
    if rule.notify_only:
        cleared: list[Effect] = [] if rule.closes_s is None else [Clear("flow-warning", rule.subject)]
        rule, effects = _alarm(replace(rule, closes_s=None))
        return rule, [], cleared + effects
    if rule.closes_s is None and rule.spec.pre_alarm_s > 0:
        return replace(rule, closes_s=now_s + rule.spec.pre_alarm_s), [], [_warning(rule)]
    if rule.closes_s is not None and now_s < rule.closes_s:
        return rule, [], []
    effects = [] if rule.closes_s is None else [Clear("flow-warning", rule.subject)]
    rule, raised = _alarm(replace(rule, is_closing=True, closes_s=None))
    return rule, [_demand(rule, Turn.NEW)], [*effects, *raised, Remember(rule.subject, {"closing": True})]


def _alarm(rule: Rule) -> tuple[Rule, list[Effect]]:
    says = (rule.is_closing, "" if rule.is_closing else rule.notify_only)
    if rule.is_active and rule.told == says:
        return rule, []
    detail = _what(rule)
    if not rule.is_closing and rule.spec.action is Action.CLOSE:
        detail += f"; no valve is closed ({rule.notify_only})"
    raised = Raise("flow", rule.subject, SignalClass.ALARM, detail, latched=True)
    return replace(rule, is_active=True, is_latched=True, told=says), [raised]


def _warning(rule: Rule) -> Raise:
    valves = ", ".join(rule.meter.valves)
    detail = f"{_what(rule)}; closes {valves} in {duration(rule.spec.pre_alarm_s)} unless the water stops"
    return Raise("flow-warning", rule.subject, SignalClass.SUPERVISORY, detail)


def _what(rule: Rule) -> str:
    run, spec = rule.run, rule.spec
    if run is None:
        return f"meter {spec.meter}: more than {spec.above_l_per_min:g} l/min"
    mean = rate_l_per_min(rule.meter, run.pulses, run.duration_s) or 0.0
    limit = f"limit {spec.above_l_per_min:g} l/min for {duration(spec.for_s)}"
    return f"meter {spec.meter}: {mean:.3g} l/min for {duration(run.duration_s)} ({limit})"


def _end(rule: Rule) -> tuple[Rule, list[Effect]]:
    effects: list[Effect] = [] if rule.closes_s is None else [Clear("flow-warning", rule.subject)]
    if rule.is_active:
        effects.append(Clear("flow", rule.subject))
    return replace(rule, run=None, ends_s=None, closes_s=None, is_active=False), effects


def _demand(rule: Rule, turn: Turn) -> Demand:
    return Demand(
        rule.spec.id, rule.meter.valves, turn, _what(rule) if turn is Turn.NEW else "water still runs"
    )


def _shown(rule: Rule, *, is_above: bool) -> str:
    if rule.is_latched:
        return "alarm"
    if rule.closes_s is not None:
        return "warning"
    if not rule.counting:
        return "off"
    return "counting" if is_above else "quiet"
