"""Meters and flow rules: what a table becomes, and what is said of a wrong one."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from gateway.config import flow
from gateway.config.check import warnings
from gateway.config.read import read
from gateway.domain.model import Occupancy
from gateway.domain.site import Action, FlowRuleSpec, MeterSpec
from gateway.drivers import meter

Write: TypeAlias = Callable[..., Path]
Problems: TypeAlias = Callable[[Path], dict[str, str]]

METER = """
[meter.street]
line = "water-meter"
litres_per_pulse = 1
valves = ["main"]
name = "Street"
"""

NIGHT = """
[flow_rule.night]
template = "breeam-wat-03-night"
meter = "street"
"""


def test_meter_becomes_its_line_and_what_the_core_must_know(write: Write):
    config = read(write(more=METER))

    assert config.meters["street"] == meter.Config(line="water-meter")
    assert config.site.meters["street"] == MeterSpec(
        id="street", litres_per_pulse=1.0, valves=("main",), name="Street"
    )


def test_rule_in_full_becomes_the_rule_of_the_core(write: Write):
    rule = """
[flow_rule.day]
meter = "street"
above_l_per_min = 80
for_s = 240
action = "notify"
modes = ["occupied"]
periods = ["Mon 06:00-22:00"]
"""
    config = read(write(more=METER + rule))
    spec = config.site.flow_rules["day"]

    assert (spec.meter, spec.above_l_per_min, spec.for_s, spec.action) == ("street", 80.0, 240.0, "notify")
    assert spec.modes == {Occupancy.OCCUPIED}
    assert [(part.start_min, part.end_min) for part in spec.periods] == [(360, 1320)]


def test_template_fills_in_what_the_rule_does_not_say(write: Write):
    site = read(write(more=METER + NIGHT + "for_s = 600\n")).site
    numbers = flow.templates()["breeam-wat-03-night"]["rule"]
    spec = site.flow_rules["night"]

    assert spec.for_s == 600.0 != numbers["for_s"]
    assert spec.above_l_per_min == numbers["above_l_per_min"]
    assert len(spec.periods) == 7 + 2


@pytest.mark.parametrize("name", flow.templates())
def test_every_template_makes_a_sound_rule_and_says_where_its_numbers_come_from(write: Write, name: str):
    rule = f'[flow_rule.r]\ntemplate = "{name}"\nmeter = "street"\nabove_l_per_min = 30\n'
    template = flow.templates()[name]

    assert isinstance(read(write(more=METER + rule)).site.flow_rules["r"], FlowRuleSpec)
    assert template["about"]
    assert template["source"]


def test_burst_asks_for_the_flow_of_this_building(write: Write, problems: Problems):
    rule = '[flow_rule.burst]\ntemplate = "breeam-wat-03-burst"\nmeter = "street"\n'

    assert problems(write(more=METER + rule)) == {
        "flow_rule.burst.above_l_per_min": "missing; give a number (litres per minute)"
    }


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        (("litres_per_pulse = 1\n", ""), "meter.street.litres_per_pulse", "missing; give a number (litres)"),
        (("litres_per_pulse = 1", "litres_per_pulse = 0"), "meter.street.litres_per_pulse", "more than 0"),
        (
            ("litres_per_pulse = 1", "litres_per_pulse = 1e308"),
            "meter.street.litres_per_pulse",
            "up to 10000",
        ),
        (('["main"]', '["mian"]'), "meter.street.valves", 'did you mean "main"?'),
        (('"water-meter"', '"leak-1"'), "sensor.cellar.line", "already used by meter.street.line"),
        (('name = "Street"', "debounce_s = 2"), "meter.street.debounce_s", "allowed: 0.002 to 0.2"),
        (('name = "Street"', "pulse = 2"), "meter.street.pulse", "unknown key"),
        (('meter = "street"', 'meter = "steet"'), "flow_rule.night.meter", 'did you mean "street"?'),
        (('meter = "street"\n', ""), "flow_rule.night.meter", "missing"),
        (("-night", "-nite"), "flow_rule.night.template", 'did you mean "breeam-wat-03-night"?'),
        (('meter = "street"', 'meter = "street"\nfor_s = 0'), "flow_rule.night.for_s", "more than 0"),
        (
            ('meter = "street"', 'meter = "street"\nmodes = ["asleep"]'),
            "flow_rule.night.modes",
            'a list of "occupied" or "unoccupied" or "maintenance", each once',
        ),
        (('meter = "street"', 'meter = "street"\nmodes = []'), "flow_rule.night.modes", "never count"),
        (
            ('meter = "street"', 'meter = "street"\nperiods = ["nights"]'),
            "flow_rule.night.periods",
            'write it as "Mon-Fri 22:00-06:00"',
        ),
        (
            ('valves = ["main"]\n', ""),
            "flow_rule.night.action",
            '"close", but meter.street names no valves',
        ),
    ],
)
def test_problem_is_named_with_what_is_allowed(
    write: Write, problems: Problems, change: tuple[str, str], key: str, says: str
):
    found = problems(write(more=(METER + NIGHT).replace(*change)))

    assert list(found) == [key]
    assert says in found[key]


def test_rule_that_only_notifies_needs_no_valve(write: Write):
    text = (METER + NIGHT).replace('valves = ["main"]\n', "") + 'action = "notify"\n'

    assert read(write(more=text)).site.flow_rules["night"].action is Action.NOTIFY


def test_valve_that_only_a_flow_rule_closes_is_not_called_idle(write: Write):
    rule = NIGHT + '[button.stairs]\nline = "stairs"\n'
    metered = METER.replace('["main"]', '["main", "kitchen"]')
    idle = "valve.kitchen: in no zone; no leak closes it"

    assert idle in warnings(read(write(more=metered)))
    assert idle not in warnings(read(write(more=metered + rule)))


def test_worked_example_of_the_document_is_sound(write: Write):
    document = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(\[meter.*?)```", document, re.DOTALL)

    rules = read(write(more=example)).site.flow_rules

    assert set(rules) == {"burst", "night", "day", "drip"}
    assert rules["drip"].action is Action.NOTIFY


@pytest.mark.parametrize(("zone", "noted"), [("UTC", 1), ("GMT0BST,M3.5.0/1,M10.5.0", 0)])
def test_hours_of_the_day_on_a_machine_without_a_zone_are_noted(
    write: Write, monkeypatch: pytest.MonkeyPatch, zone: str, noted: int
):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    found = [line for line in warnings(read(write(more=METER + NIGHT))) if "timedatectl" in line]
    monkeypatch.undo()
    time.tzset()

    assert len(found) == noted


def test_rule_that_its_meter_cannot_judge_in_its_time_is_noted_with_the_time_it_takes(write: Write):
    def notes(litres: str) -> list[str]:
        text = METER.replace("litres_per_pulse = 1", f"litres_per_pulse = {litres}") + NIGHT
        return [line for line in warnings(read(write(more=text))) if line.startswith("flow_rule.night: ")]

    assert notes("10") == []
    (note,) = notes("100")
    assert note.startswith("flow_rule.night: a pulse of 100 l comes every 50 min at 2 l/min")


def test_rule_is_described_with_everything_it_took_from_its_template(write: Write):
    site = read(write(more=METER + NIGHT)).site

    assert flow.described(site.flow_rules["night"], site.meters) == (
        "street above 2 l/min for 1800 s, occupied and unoccupied, "
        "Mon-Sun 22:00-06:00, Sat-Sun 06:00-22:00: close main after a warning of 120 s"
    )
