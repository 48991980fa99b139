"""From the leak to the puddle to the line, and back."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import DriverError
from gateway.sim.building import Building
from gateway.sim.hands import Chill, Dry, Forge, Leak, Poke, Press, Tap
from gateway.sim.happening import ContactChanged, SensorWetted
from gateway.sim.look import look
from gateway.sim.plan import parse
from tests.sim.conftest import HOUSE


def changes(building: Building, line: str) -> list[tuple[bool, float]]:
    happened = [event for event in building.take() if isinstance(event, ContactChanged)]
    return [(event.closed, event.at_s) for event in happened if event.line == line]


def test_leak_wets_the_sensor_after_a_delay_and_it_dries_some_time_after_the_valve_has_closed(
    building: Building,
):
    Leak(pipe="main").do(building)
    building.run(1.0)
    building.set_output("main-close", True)
    building.run(60.0)

    (closed, wet_s), (reopened, dry_s) = changes(building, "leak-1")
    assert (closed, reopened) == (True, False)
    assert wet_s == pytest.approx(0.1 / (27 / 60), rel=0.02)
    assert 5.0 < dry_s < 30.0


def test_leak_that_nobody_stops_keeps_the_sensor_wet(building: Building):
    Leak(pipe="main").do(building)
    building.run(3600.0)

    assert [closed for closed, _ in changes(building, "leak-1")] == [True]
    assert building.pipes.leaked_l["main"] == pytest.approx(30.0 * 60, rel=0.01)


def test_normally_closed_contact_opens_when_wet(building: Building):
    Leak(pipe="kitchen").do(building)
    building.run(10.0)

    assert [closed for closed, _ in changes(building, "leak-2")] == [False]


def test_mopping_dries_at_once(building: Building):
    Leak(pipe="main").do(building)
    building.run(10.0)
    Dry(pipe="main").do(building)

    assert [closed for closed, _ in changes(building, "leak-1")] == [True, False]
    assert building.pipes.leak_l_per_min["main"] == 0.0


def test_drip_that_the_drain_takes_never_wets(building: Building):
    Leak(pipe="main", l_per_min=2.9).do(building)
    building.run(3600.0)

    assert changes(building, "leak-1") == []


def test_meter_gives_one_pulse_for_each_litre(building: Building):
    Tap(pipe="main", l_per_min=10.0).do(building)
    building.run(600.0)

    assert sum(closed for closed, _ in changes(building, "meter")) == pytest.approx(100, abs=1)


def test_building_sleeps_while_nothing_happens(building: Building):
    for transmitter in building.transmitters.values():
        assert transmitter.next_s() <= building.next_s() + 30

    building.transmitters.clear()

    assert building.next_s() == float("inf")


def test_a_day_takes_less_than_a_second(building: Building):
    start_s = time.process_time()
    building.run(86400.0)

    assert time.process_time() - start_s < 2.0


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(0.0, 30.0), max_size=8), st.floats(1, 300))
def test_how_time_is_cut_does_not_change_what_happens(pauses: list[float], rate: float):
    whole, cut = Building(parse(HOUSE)), Building(parse(HOUSE))
    for building in (whole, cut):
        Leak(pipe="main", l_per_min=rate).do(building)
    for pause_s in pauses:
        cut.run(cut.now_s + pause_s)
    whole.run(300.0)
    cut.run(300.0)

    seen = [[event for event in each.take() if isinstance(event, SensorWetted)] for each in (whole, cut)]
    assert [(event.sensor, event.wet) for event in seen[0]] == [
        (event.sensor, event.wet) for event in seen[1]
    ]
    for one, other in zip(*seen, strict=True):
        assert one.at_s == pytest.approx(other.at_s, abs=1e-3)


@pytest.mark.parametrize(
    ("poke", "problem"),
    [
        (Leak(pipe="roof"), 'there is no pipe "roof" in this building; it has main, kitchen, garden'),
        (Leak(pipe="main", l_per_min=float("nan")), "l_per_min is nan; allowed: 0 to 1e+06"),
        (Press(button="lobby", for_s=-1), "for_s is -1; allowed: 0 to 1e+06"),
        (Chill(room="cellar", degc=-300), "degc is -300; allowed: -270 to 300"),
        (Forge(sensor="sink"), "radio sensor sink has no key: nothing tells a forged frame from its own"),
    ],
)
def test_impossible_pokes_are_refused_and_change_nothing(building: Building, poke: Poke, problem: str):
    before = look(building)

    with pytest.raises(DriverError) as refused:
        poke.do(building)

    assert str(refused.value) == problem
    assert look(building) == before


def test_unknown_output_is_refused(building: Building):
    with pytest.raises(DriverError, match='line "x" is no output of this building'):
        building.set_output("x", True)
