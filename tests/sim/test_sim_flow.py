"""A building with a meter and the whole gateway together, in virtual time that begins on a Monday, 00:00."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.model import Config
from gateway.config.read import read
from gateway.domain.events import OccupancyRequested, ResetRequested, ValveRequested
from gateway.domain.model import Actor, ActorKind, Occupancy, Request, Wish
from gateway.sim.building import Building
from gateway.sim.hands import Free, Leak, Tap, Wear
from gateway.sim.plan import parse
from tests.fakes.virtual import VirtualGateway, virtual_gateway

MIN_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
NIGHT_S = 23 * HOUR_S

PLAN = """
[room.cellar]
[room.kitchen]
drain_l_per_min = 100.0
[pipe.main]
room = "cellar"
valve = "main"
[pipe.kitchen]
branch_of = "main"
room = "kitchen"
[valve.main]
kind = "spring_return"
open_line = "main-open"
spring_s = 4.0
[contact.floor]
room = "cellar"
line = "leak"
[meter.street]
pipe = "main"
line = "meter"
"""

CONFIG = """
[gateway]
id = "house-7"
[board]
kind = "sim"
socket = "building.sock"
[sensor.floor]
kind = "contact"
line = "leak"
[zone.cellar]
sensors = ["floor"]
valves = ["main"]
confirm_s = 0
[valve.main]
kind = "spring_return"
open_line = "main-open"
travel_s = 4.0
[meter.street]
line = "meter"
litres_per_pulse = 1
valves = ["main"]
[flow_rule.night]
meter = "street"
above_l_per_min = 2
for_s = 600
periods = ["Mon-Sun 22:00-06:00"]
pre_alarm_s = 60
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return read(path)


@pytest.fixture
def building() -> Building:
    return Building(parse(PLAN))


def by(cause: str = "looked at it") -> Request:
    return Request("r1", Actor(ActorKind.LOCAL, "alice"), cause=cause, may_open=True)


def alarms(gateway: VirtualGateway) -> set[str]:
    return {alarm["id"] for alarm in gateway.view()["alarms"] if alarm["active"] or alarm["latched"]}


def valve(gateway: VirtualGateway) -> tuple[str, str | None, str | None]:
    seen = gateway.view()["valves"]["main"]
    return seen["state"], seen["closure"], seen["closure_by"]


def rule(gateway: VirtualGateway) -> str:
    state = gateway.view()["flow_rules"]["night"]["state"]
    assert isinstance(state, str)
    return state


async def test_tap_left_open_at_night_is_warned_of_then_closed_and_the_flow_confirms_it(
    config: Config, building: Building
):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(NIGHT_S)
        Tap(pipe="kitchen", l_per_min=10.0).do(building)
        gateway.advance(NIGHT_S + 9.5 * MIN_S)
        early = alarms(gateway), rule(gateway)
        gateway.advance(NIGHT_S + 10.8 * MIN_S)
        warned = alarms(gateway), rule(gateway), valve(gateway)[0]
        gateway.advance(NIGHT_S + 14 * MIN_S)
        passed_l = building.pipes.passed_l["main"]
        gateway.advance(NIGHT_S + HOUR_S)

        assert early == (set(), "counting")
        assert warned == ({"flow-warning/rule/night"}, "warning", "open")
        assert alarms(gateway) == {"flow/rule/night"}
        assert valve(gateway) == ("closed", "confirmed", "flow")
        assert gateway.view()["valves"]["main"]["authority"] == "flow"
        assert building.pipes.passed_l["main"] == passed_l < 10.0 * 13
        assert gateway.view()["meters"]["street"]["state"] == "none"


async def test_same_tap_by_day_closes_nothing(config: Config, building: Building):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(8 * HOUR_S)
        Tap(pipe="kitchen", l_per_min=10.0).do(building)
        gateway.advance(12 * HOUR_S)
        seen = gateway.view()["meters"]["street"]

        assert gateway.coils() == []
        assert alarms(gateway) == set()
        assert rule(gateway) == "off"
        assert (
            seen["at_least_l_per_min"] <= building.pipes.flow_l_per_min["main"] <= seen["at_most_l_per_min"]
        )
        assert seen["litres"] == pytest.approx(building.pipes.passed_l["main"], abs=1.0)


async def test_cleaner_who_shuts_the_tap_in_time_is_not_even_warned(config: Config, building: Building):
    async with virtual_gateway(config, building) as gateway:
        for start_s in (NIGHT_S, NIGHT_S + 12 * MIN_S, NIGHT_S + 24 * MIN_S):
            gateway.advance(start_s)
            Tap(pipe="kitchen", l_per_min=10.0).do(building)
            gateway.advance(start_s + 9 * MIN_S)
            Tap(pipe="kitchen", l_per_min=0.0).do(building)
        gateway.advance(DAY_S)

        assert gateway.coils() == []
        assert gateway.published("alarm") == []


async def test_tap_that_is_shut_during_the_warning_closes_nothing(config: Config, building: Building):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(NIGHT_S)
        Tap(pipe="kitchen", l_per_min=10.0).do(building)
        gateway.advance(NIGHT_S + 10.8 * MIN_S)
        warned = rule(gateway)
        Tap(pipe="kitchen", l_per_min=0.0).do(building)
        gateway.advance(NIGHT_S + 30 * MIN_S)

        assert (warned, rule(gateway)) == ("warning", "quiet")
        assert gateway.coils() == []
        assert alarms(gateway) == set()


async def test_valve_that_passes_water_is_the_first_of_all_alarms_and_ends_with_a_reset(
    config: Config, building: Building
):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(NIGHT_S)
        Wear(valve="main", l_per_min=3.0).do(building)
        Leak(pipe="main", l_per_min=40.0).do(building)
        gateway.advance(NIGHT_S + 10 * MIN_S)
        passing = gateway.view()["alarms"][0]["id"], valve(gateway), gateway.view()["meters"]["street"]
        Free(valve="main").do(building)
        Leak(pipe="main", l_per_min=0.0).do(building)
        gateway.advance(NIGHT_S + 2 * HOUR_S)
        gateway.emit(ResetRequested("still-flowing/meter/street", by("valve replaced")))
        gateway.advance(NIGHT_S + 2 * HOUR_S + 1)

        assert passing[:2] == ("still-flowing/meter/street", ("closed", "passing", "flow"))
        assert passing[2]["still_flowing"]
        assert "still-flowing/meter/street" not in alarms(gateway)
        assert not gateway.view()["meters"]["street"]["still_flowing"]


async def test_leak_closes_at_once_and_its_closure_is_confirmed_by_the_flow_that_was(
    config: Config, building: Building
):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(10 * HOUR_S)
        Tap(pipe="kitchen", l_per_min=12.0).do(building)
        gateway.advance(10 * HOUR_S + 5 * MIN_S)
        Leak(pipe="main", l_per_min=40.0).do(building)
        gateway.advance(10 * HOUR_S + 5 * MIN_S + 10)
        soon = valve(gateway)
        gateway.advance(11 * HOUR_S)

        assert soon[0] == "closed"
        assert valve(gateway) == ("closed", "confirmed", "flow")
        assert "still-flowing/meter/street" not in alarms(gateway)


async def test_plumbers_at_work_are_told_and_keep_their_water(config: Config, building: Building):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(NIGHT_S)
        gateway.emit(OccupancyRequested(Occupancy.MAINTENANCE, by()))
        Tap(pipe="kitchen", l_per_min=10.0).do(building)
        gateway.advance(NIGHT_S + HOUR_S)

        assert alarms(gateway) == {"flow/rule/night", "maintenance/gateway"}
        assert gateway.coils() == []
        assert gateway.published("occupancy")[-1]["mode"] == "maintenance"


async def test_water_comes_back_only_by_a_person_after_a_reset(config: Config, building: Building):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(NIGHT_S)
        Tap(pipe="kitchen", l_per_min=10.0).do(building)
        gateway.advance(NIGHT_S + HOUR_S)
        Tap(pipe="kitchen", l_per_min=0.0).do(building)
        gateway.advance(DAY_S + 8 * HOUR_S)
        morning = valve(gateway)[0]
        gateway.emit(ResetRequested("flow/rule/night", by("tap was left open")))
        gateway.advance(DAY_S + 8 * HOUR_S + MIN_S)
        after_reset = valve(gateway)[0]
        gateway.emit(ValveRequested("main", Wish.OPEN, by()))
        gateway.advance(DAY_S + 9 * HOUR_S)

        assert (morning, after_reset, valve(gateway)[0]) == ("closed", "closed", "open")
        assert alarms(gateway) == set()


async def test_every_litre_of_the_week_is_told_once_by_the_hour_and_once_by_the_day(
    config: Config, building: Building
):
    async with virtual_gateway(config, building) as gateway:
        for day in range(3):
            gateway.advance(day * DAY_S + 9 * HOUR_S)
            Tap(pipe="kitchen", l_per_min=6.0 + day).do(building)
            gateway.advance(day * DAY_S + 12.5 * HOUR_S)
            Tap(pipe="kitchen", l_per_min=0.0).do(building)
        gateway.advance(3 * DAY_S + 2 * HOUR_S)
        told = gateway.published("water")
        of: Callable[[str], float] = lambda period: sum(  # noqa: E731
            message["litres"] for message in told if message["period"] == period
        )

        passed_l = building.pipes.passed_l["main"]
        assert of("hour") == of("day") == pytest.approx(passed_l, abs=1.0)
        assert {message["start_unix_s"] % HOUR_S for message in told} == {0.0}
        assert [message["litres"] for message in told if message["period"] == "day"][:3] == pytest.approx(
            [6.0 * 210, 7.0 * 210, 8.0 * 210], abs=1.0
        )
