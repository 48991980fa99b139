"""Valves move, stop, stall and break as real ones do."""

import pytest

from gateway.domain.model import Position
from gateway.sim.building import Building
from gateway.sim.hands import Free, Press, Slow, Stall, Turn
from gateway.sim.happening import ContactChanged, Damaged, ValveStopped
from gateway.sim.wires import Cut, Short


def contacts(building: Building) -> list[tuple[str, bool, float]]:
    return [
        (change.line, change.closed, pytest.approx(change.at_s))
        for change in building.take()
        if isinstance(change, ContactChanged)
    ]


def test_motorised_valve_leaves_one_switch_at_once_and_makes_the_other_after_its_travel_time(
    building: Building,
):
    building.set_output("main-close", True)
    building.run(10.0)

    assert contacts(building) == [("main-is-open", False, 0.0), ("main-is-closed", True, 4.0)]


def test_motorised_valve_stays_half_way_when_its_coil_is_released(building: Building):
    building.set_output("main-close", True)
    building.run(1.0)
    building.set_output("main-close", False)
    building.run(100.0)

    assert building.valves["main"].position == pytest.approx(0.75)
    assert building.contacts["main-is-open"] is building.contacts["main-is-closed"] is False


def test_both_coils_together_move_nothing_and_count_as_damage(building: Building):
    building.set_output("main-open", True)
    building.set_output("main-close", True)
    building.run(10.0)

    assert building.valves["main"].position == 1.0
    assert building.damage == ["valve main: both coils driven together"]


def test_spring_return_valve_closes_by_its_spring_and_opens_by_its_motor(building: Building):
    building.set_output("kitchen-open", False)
    building.run(2.0)
    shut = building.valves["kitchen"].position
    building.set_output("kitchen-open", True)
    building.run(4.5)

    assert shut == 0.0
    assert building.valves["kitchen"].position == pytest.approx(0.5)


def test_latching_valve_moves_by_a_pulse_and_stays(building: Building):
    building.set_output("garden-close", True)
    building.run(0.05)
    building.set_output("garden-close", False)
    building.run(100.0)

    assert building.valves["garden"].position == 0.0
    assert building.damage == []


def test_latching_valve_ignores_a_pulse_that_is_too_short(building: Building):
    building.set_output("garden-close", True)
    building.run(0.005)
    building.set_output("garden-close", False)
    building.run(1.0)

    assert building.valves["garden"].position == 1.0


def test_latching_coil_left_energised_burns_and_then_moves_nothing(building: Building):
    building.set_output("garden-close", True)
    building.run(10.0)
    building.set_output("garden-close", False)
    building.set_output("garden-open", True)
    building.run(20.0)

    assert building.damage == ["valve garden: close coil burnt: energised for 2 s"]
    assert [event.at_s for event in building.take() if isinstance(event, Damaged)] == [pytest.approx(2.0)]
    assert building.valves["garden"].position == 0.0


def test_stalled_valve_stands_until_it_is_freed(building: Building):
    building.set_output("main-close", True)
    building.run(2.0)
    Stall(valve="main").do(building)
    building.run(60.0)
    stalled_at = building.valves["main"].position
    Free(valve="main").do(building)
    building.run(62.5)

    assert stalled_at == pytest.approx(0.5)
    assert building.valves["main"].position == 0.0
    stops = [event.position for event in building.take() if isinstance(event, ValveStopped)]
    assert stops == [pytest.approx(0.5), 0.0]


def test_slow_valve_takes_longer(building: Building):
    Slow(valve="main", times=3).do(building)
    building.set_output("main-close", True)
    building.run(11.9)
    early = building.contacts["main-is-closed"]
    building.run(12.1)

    assert (early, building.contacts["main-is-closed"]) == (False, True)


def test_valve_turned_by_hand_changes_its_switches(building: Building):
    Turn(valve="main", position=Position.CLOSED).do(building)

    assert contacts(building) == [("main-is-open", False, 0.0), ("main-is-closed", True, 0.0)]


def test_cut_wire_reads_open_and_shorted_wire_reads_closed(building: Building):
    Cut(line="main-is-open").do(building)
    Short(line="main-is-closed").do(building)
    building.set_output("main-close", True)
    building.run(10.0)

    assert contacts(building) == [("main-is-open", False, 0.0), ("main-is-closed", True, 0.0)]


def test_button_is_pressed_as_long_as_it_is_held(building: Building):
    Press(button="lobby", for_s=3.5).do(building)
    building.run(10.0)

    assert contacts(building) == [("lobby", True, 0.0), ("lobby", False, 3.5)]
