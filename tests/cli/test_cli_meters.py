"""Water meters, flow rules and occupancy for people and for scripts."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.__main__ import main
from gateway.cli.checks import building
from gateway.cli.message import sentence
from gateway.cli.meters import rule_state, when
from gateway.cli.table import amount, closure, flow
from gateway.domain.events import OccupancyRequested
from gateway.domain.model import Occupancy
from tests.fakes.gateway import Served, served
from tests.fakes.view import example_view

Reed = Callable[..., tuple[int, str]]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "control") as running:
        yield running


@pytest.fixture
def reed(gateway: Served, capsys: pytest.CaptureFixture[str]) -> Reed:
    """Run a command against the gateway; returns its status and output."""

    def run(*words: str) -> tuple[int, str]:
        status = main([*words, "--socket", str(gateway.config.socket)])
        return status, capsys.readouterr().out

    return run


def street(**changes: object) -> dict[str, Any]:
    return example_view()["meters"]["street"] | changes


def night(**changes: object) -> dict[str, Any]:
    return example_view()["flow_rules"]["night"] | changes


def test_meters_are_shown_with_what_their_pulses_leave_open_and_with_their_rules(reed: Reed):
    status, out = reed("meters")
    meter, rule = (" ".join(line.split()) for line in out.splitlines()[1:5:3])

    assert status == 0
    assert meter == "street 12 l/min (10 to 14.4) 210 l 4640 l 4810.36 m³ 4.2 s ago 10 l main"
    assert rule == (
        "night street above 4 l/min for 45 min occupied/unoccupied, Mon 22:00-06:00 above for 10 min "
        "close main 2 min later"
    )


def test_site_without_meters_says_so(reed: Reed, gateway: Served):
    gateway.gateway.state["meters"], gateway.gateway.state["flow_rules"] = {}, {}

    assert reed("meters") == (0, "no meters are configured\n")
    assert "METER" not in reed("status")[1]


def test_meters_are_there_as_json(reed: Reed, gateway: Served):
    view = gateway.gateway.view()

    assert json.loads(reed("meters", "--json")[1]) == {
        key: view[key] for key in ("occupancy", "meters", "flow_rules")
    }


def test_status_shows_meters_rules_and_occupancy(reed: Reed):
    _, out = reed("status")

    assert "clock trusted, occupied, version" in out.splitlines()[0]
    assert "street  12 l/min (10 to 14.4)" in out
    assert "night      street above 4 l/min" in out


@pytest.mark.parametrize(
    ("meter", "text"),
    [
        (street(), "12 l/min (10 to 14.4)"),
        (street(at_most_l_per_min=None), "12 l/min (10 to more)"),
        (street(state="none", l_per_min=0.0, at_most_l_per_min=0.0412), "none (at most 0.041 l/min)"),
        (street(state="none", l_per_min=0.0, at_most_l_per_min=None), "none"),
        (street(state="unknown", l_per_min=None), "unknown"),
    ],
)
def test_flow_is_told_as_exactly_as_it_is_known(meter: dict[str, Any], text: str):
    assert flow(meter) == text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (night(state="off", above_s=None), "off"),
        (night(), "above for 10 min"),
        (night(state="warning", closes_in_s=95.0), "warning, closes in 1 min 35 s"),
        (night(state="alarm", latched=True), "alarm, latched"),
    ],
)
def test_state_of_a_rule_tells_what_comes_next(rule: dict[str, Any], text: str):
    assert rule_state(rule) == text


def test_rule_without_periods_counts_always():
    assert when(night(modes=["unoccupied"], periods=[])) == "unoccupied, always"


def test_rule_that_would_not_close_just_now_says_why(reed: Reed, gateway: Served):
    gateway.gateway.state["flow_rules"]["night"]["notify_only"] = "maintenance"

    assert "close main 2 min later (not now: maintenance)" in reed("meters")[1]


def test_water_behind_a_closed_valve_is_shouted(reed: Reed, gateway: Served):
    gateway.gateway.state["meters"]["street"]["still_flowing"] = True
    gateway.gateway.state["valves"]["kitchen"]["closure"] = "passing"

    assert "12 l/min (10 to 14.4), VALVE CLOSED" in reed("meters")[1]
    assert "closed (PASSING WATER)" in reed("status")[1]


@pytest.mark.parametrize(
    ("said", "by", "text"),
    [
        ("confirmed", "switch", "confirmed"),
        ("confirmed", "flow", "confirmed by flow"),
        ("assumed", "time", "assumed"),
        ("passing", "flow", "PASSING WATER"),
        (None, None, ""),
    ],
)
def test_closure_is_told_with_what_it_rests_on(said: str | None, by: str | None, text: str):
    assert closure({"closure": said, "closure_by": by}) == text


@pytest.mark.parametrize(
    ("litres", "text"), [(0.0, "0 l"), (0.5, "0.5 l"), (9999.0, "9999 l"), (4_810_360.0, "4810.36 m³")]
)
def test_amount_is_written_as_a_meter_shows_it(litres: float, text: str):
    assert amount(litres) == text


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("water", {"meter_id": "street", "litres": 210.0, "period": "hour"}, "street 210 l in this hour"),
        ("flow", {"meter_id": "street"} | street(), "street 12 l/min (10 to 14.4)"),
        ("occupancy", {"mode": "unoccupied", "cause": "weekend"}, "mode=unoccupied  cause=weekend"),
    ],
)
def test_messages_of_water_are_sentences(kind: str, body: dict[str, Any], text: str):
    assert sentence({"kind": kind, "body": body}) == text


def test_occupancy_is_shown_and_said(reed: Reed, gateway: Served):
    assert reed("occupancy") == (0, "occupied\n")

    status, out = reed("occupancy", "unoccupied", "--cause", "closed over Christmas")

    [event] = gateway.gateway.events
    assert isinstance(event, OccupancyRequested)
    assert (event.mode, event.request.cause) == (Occupancy.UNOCCUPIED, "closed over Christmas")
    assert (status, out) == (0, "occupancy unoccupied: succeeded\n")
    assert json.loads(reed("occupancy", "--json")[1]) == {"occupancy": "unoccupied"}


def test_mode_that_there_is_not_is_wrong_usage(reed: Reed, gateway: Served):
    with pytest.raises(SystemExit) as stop:
        reed("occupancy", "asleep")

    assert stop.value.code == 64
    assert gateway.gateway.events == []


def test_doctor_names_a_meter_that_cannot_be_heard():
    view = example_view()
    assert ("meters", "ok") in [(found.check, found.verdict) for found in building.inspect(view)]

    view["meters"]["street"]["state"] = "unknown"
    assert "street: cannot be heard" in [found.text for found in building.inspect(view)]
