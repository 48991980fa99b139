"""What the meter of the simulated building counts."""

from itertools import pairwise

import pytest

from gateway.domain.model import Position
from gateway.sim.building import Building
from gateway.sim.hands import Free, Leak, Tap, Turn, Wear
from gateway.sim.happening import ContactChanged
from gateway.sim.look import look


def pulses(building: Building, until_s: float) -> list[float]:
    """Let the building go on; return when its meter closed its contact."""
    building.run(until_s)
    happened = [one for one in building.take() if isinstance(one, ContactChanged) and one.line == "meter"]
    return [one.at_s for one in happened if one.closed]


def test_leaks_and_taps_of_all_branches_go_through_the_meter(building: Building):
    Leak(pipe="kitchen", l_per_min=6.0).do(building)
    Tap(pipe="main", l_per_min=6.0).do(building)

    times = pulses(building, 600.0)
    gaps = {round(later - earlier, 3) for earlier, later in pairwise(times)}

    assert len(times) == pytest.approx(120, rel=0.05)
    assert len(gaps) == 1


def test_tap_that_is_shut_ends_the_pulses(building: Building):
    Tap(pipe="main", l_per_min=30.0).do(building)
    running = pulses(building, 60.0)
    Tap(pipe="main", l_per_min=0.0).do(building)

    assert len(running) == pytest.approx(30, abs=1)
    assert pulses(building, 3600.0) == []


def test_shut_valve_stops_the_meter_and_a_worn_one_lets_its_share_through(building: Building):
    Leak(pipe="main", l_per_min=30.0).do(building)
    Turn(valve="main", position=Position.CLOSED).do(building)
    building.take()
    shut = pulses(building, 3600.0)
    Wear(valve="main", l_per_min=2.0).do(building)
    worn = pulses(building, 2 * 3600.0)
    Free(valve="main").do(building)
    free = pulses(building, 3 * 3600.0)

    assert shut == free == []
    assert len(worn) == pytest.approx(2.0 * 60, rel=0.01)


def test_worn_valve_passes_nothing_where_nothing_is_open(building: Building):
    Turn(valve="main", position=Position.CLOSED).do(building)
    Wear(valve="main", l_per_min=2.0).do(building)

    assert pulses(building, 3600.0) == []


def test_worn_valve_hinders_nothing_while_it_is_open(building: Building):
    Tap(pipe="main", l_per_min=30.0).do(building)
    before = building.pipes.flow_l_per_min["main"]
    Wear(valve="main", l_per_min=2.0).do(building)

    assert building.pipes.flow_l_per_min["main"] == before


def test_dial_of_the_meter_can_be_read(building: Building):
    Tap(pipe="main", l_per_min=30.0).do(building)
    building.run(60.0)

    seen = look(building)["meters"]

    assert seen == {
        "main": {"flow_l_per_min": pytest.approx(30, rel=0.01), "passed_l": pytest.approx(30, rel=0.01)}
    }
