"""`[meter.<id>]` and `[flow_rule.<id>]`: water meters, and how much water for how long is too much."""

import dataclasses
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.config import period
from gateway.config.table import Reader, Table, shown, suggestion
from gateway.domain.flow.resolution import problem
from gateway.domain.model import Occupancy
from gateway.domain.site import Action, FlowRuleSpec, MeterSpec
from gateway.drivers.meter import Config as MeterConfig
from gateway.errors import ConfigError

MOST_LITRES = 10_000.0
"""In one pulse: ten times what the coarsest meter for a building gives."""

TEMPLATES_FILE = Path(__file__).with_name("flow_templates.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRuleKeys:
    """Keys of `[flow_rule.<id>]`.

    Args:
        template: What is not given here comes from this template.
        meter: Id of the meter.
        above_l_per_min: The flow must stay above this.
        for_s: For this long.
        action: What happens then. "close" closes all valves of the meter.
        modes: The rule counts in these modes of occupancy only.
        periods: And within these parts of the week (local time), e.g. "Mon-Fri 22:00-06:00"; always if empty.
        pre_alarm_s: Warn this long before closing; nothing closes if the water stops meanwhile.
        name: For people.
    """

    template: str | None = None
    meter: str
    above_l_per_min: float
    for_s: float
    action: Action = Action.CLOSE
    modes: frozenset[Occupancy] = frozenset({Occupancy.OCCUPIED, Occupancy.UNOCCUPIED})
    periods: tuple[str, ...] = ()
    pre_alarm_s: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        wrong = [
            (
                "above_l_per_min",
                "0 is out of range; give more than 0 (litres per minute)",
                self.above_l_per_min,
            ),
            ("for_s", "0 is out of range; give more than 0 (seconds)", self.for_s),
            ("modes", "is empty; the rule would never count. Name a mode, or leave it out", self.modes),
        ]
        problems = [(key, problem) for key, problem, value in wrong if not value]
        for text in self.periods:
            try:
                period.parse(text)
            except ValueError as error:
                problems.append(("periods", f"{shown(text)}: {error}"))
        if problems:
            raise ConfigError(*problems)

    def spec(self, rule_id: str) -> FlowRuleSpec:
        """Return what the core must know."""
        periods = tuple(part for text in self.periods for part in period.parse(text))
        names = {field.name for field in dataclasses.fields(FlowRuleSpec)} - {"id", "periods"}
        return FlowRuleSpec(id=rule_id, periods=periods, **{name: getattr(self, name) for name in names})


@cache
def templates() -> Mapping[str, Table]:
    """Return the templates by name: `about`, `source` and the keys of `rule`."""
    return tomllib.loads(TEMPLATES_FILE.read_text(encoding="utf-8"))


def read_meter(reader: Reader, meter_id: str, table: Table) -> tuple[MeterSpec, MeterConfig] | None:
    """Return a meter and its line, or None after noting why not."""
    where = f"meter.{meter_id}"
    line_keys = {field.name for field in dataclasses.fields(MeterConfig)}
    spec_keys = {field.name for field in dataclasses.fields(MeterSpec)} - {"id"}
    reader.refuse_unknown(table, line_keys | spec_keys, where)
    config = reader.build(MeterConfig, {key: table[key] for key in table if key in line_keys}, where)
    own = {key: table[key] for key in table if key in spec_keys}
    spec = reader.build(MeterSpec, own, where, {"id": meter_id})
    if config is None or spec is None:
        return None
    for key, unit in (("litres_per_pulse", "litres"), ("passing_l_per_min", "litres per minute")):
        if getattr(spec, key) == 0:
            reader.add(f"{where}.{key}", f"0 is out of range; give more than 0 ({unit})")
    if spec.litres_per_pulse > MOST_LITRES:
        allowed = f"allowed: up to {MOST_LITRES:g} litres"
        reader.add(f"{where}.litres_per_pulse", f"{spec.litres_per_pulse:g} is out of range; {allowed}")
    return spec, config


def read_rule(reader: Reader, rule_id: str, table: Table) -> FlowRuleSpec | None:
    """Return a rule, completed from its template, or None after noting why not."""
    where = f"flow_rule.{rule_id}"
    name = table.get("template")
    if name is not None:
        if not isinstance(name, str) or name not in templates():
            reader.add(
                f"{where}.template", f"{shown(name)} is not allowed; {suggestion(str(name), templates())}"
            )
            return None
        table = {**templates()[name]["rule"], **table}
    keys = reader.build(FlowRuleKeys, table, where)
    return None if keys is None else keys.spec(rule_id)


def fit(reader: Reader, meters: Mapping[str, MeterSpec], rules: Mapping[str, FlowRuleSpec]) -> None:
    """Note rules that close what their meter does not name."""
    for rule_id, rule in rules.items():
        meter = meters.get(rule.meter)
        if meter is not None and rule.action is Action.CLOSE and not meter.valves:
            problem = f'"close", but meter.{rule.meter} names no valves; name them there, or set "notify"'
            reader.add(f"flow_rule.{rule_id}.action", problem)


def too_coarse(meters: Mapping[str, MeterSpec], rules: Mapping[str, FlowRuleSpec]) -> list[str]:
    """Return a line for each rule that its meter cannot judge in its time."""
    problems = {rule_id: problem(rule, meters[rule.meter]) for rule_id, rule in rules.items()}
    return [f"flow_rule.{rule_id}: {text}" for rule_id, text in problems.items() if text]


def elsewhere(rules: Mapping[str, FlowRuleSpec]) -> list[str]:
    """Return a line for each rule with hours of the day on a machine that nobody has told where it stands."""
    if time.tzname[0] != "UTC":
        return []
    advice = (
        "the zone of this machine is UTC; set that of the building: timedatectl set-timezone Europe/London"
    )
    return [f"flow_rule.{rule_id}.periods: {advice}" for rule_id, rule in rules.items() if rule.periods]


def described(rule: FlowRuleSpec, meters: Mapping[str, MeterSpec]) -> str:
    """Return a rule in words, with everything that it took from its template."""
    if rule.action is Action.CLOSE:
        warned = f" after a warning of {rule.pre_alarm_s:g} s" if rule.pre_alarm_s else ""
        then = f"close {', '.join(meters[rule.meter].valves)}{warned}"
    else:
        then = "notify"
    modes = " and ".join(mode for mode in Occupancy if mode in rule.modes)
    return (
        f"{rule.meter} above {rule.above_l_per_min:g} l/min for {rule.for_s:g} s, "
        f"{modes}, {period.shown(rule.periods)}: {then}"
    )
