"""Motorised valves: one that works, one that never arrives, one whose end switches are both made."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.wires.gateway import HEAD, alarms, contact, install, motor, until
from tests.vm.wires.levels import changes, levels
from tests.vm.wires.times import Times

OPEN, CLOSE = 0, 1
TRAVEL_S = 2.0
DEAD_TIME_S = 0.5
TIMEOUT_S = 1.5 * TRAVEL_S

SOUND, SEIZED, CONFUSED = ("sound", 4), ("seized", 5), ("confused", 6)
COILS = {"sound": (20, 21), "seized": (22, 23), "confused": (24, 25)}
SWITCHES = {"sound": (7, 8), "seized": (9, 10), "confused": (11, 12)}
SITE = HEAD + "".join(
    motor(valve, COILS[valve], SWITCHES[valve], TRAVEL_S) + contact(f"under-{valve}", line, valve)
    for valve, line in (SOUND, SEIZED, CONFUSED)
)


@pytest.fixture(scope="module")
def plant(booted_pi: VirtualPi) -> Iterator[Rig]:
    """Three open valves with a contact each, under one gateway for all stories here."""
    booted_pi.stop_gateway()
    rig = booted_pi.rig
    rig.reset()
    for valve in ("sound", "seized"):
        install(rig, valve, COILS[valve], SWITCHES[valve], travel_s=TRAVEL_S)
    rig.ask("lines.pull", line=SWITCHES["confused"][OPEN], to="low")
    booted_pi.start_gateway(SITE)
    assert {valve["state"] for valve in rig.ask("daemon.view")["valves"].values()} == {"open"}
    yield rig
    booted_pi.stop_gateway()


def test_a_start_drives_no_coil(plant: Rig) -> None:
    for coils in COILS.values():
        for line in coils:
            assert levels(plant, line, 0, 0.0) == []


def test_a_valve_closes_until_its_switch_confirms(plant: Rig, times: Times) -> None:
    valve, line = SOUND
    wet_s = plant.ask("lines.pull", line=line, to="low")
    view = until(plant, lambda view: view["valves"][valve]["state"] == "closed")
    assert (view["valves"][valve]["closure"], view["valves"][valve]["closure_by"]) == ("confirmed", "switch")
    (on_s, on), (off_s, off) = changes(plant, COILS[valve][CLOSE], 0, wet_s)
    ((made_s, made),) = changes(plant, SWITCHES[valve][CLOSE], 1, wet_s)
    assert (on, off, made) == (1, 0, 0)
    assert on_s + 0.98 * TRAVEL_S <= made_s < off_s
    assert levels(plant, COILS[valve][OPEN], 0, wet_s) == []
    assert view["valves"][valve]["travel_s"] == pytest.approx(made_s - on_s, abs=0.5)
    times.note("end switch made -> motor off, with 5 ms of debouncing", off_s - made_s)


def test_a_valve_that_never_arrives_is_tried_once_more_and_then_is_an_alarm(plant: Rig, times: Times) -> None:
    valve, line = SEIZED
    plant.ask("valves.break_", name=valve, stuck_at=0.5)
    wet_s = plant.ask("lines.pull", line=line, to="low")
    view = until(plant, lambda view: f"fail-to-close/valve/{valve}" in alarms(view))
    runs = changes(plant, COILS[valve][CLOSE], 0, wet_s)
    assert [level for _, level in runs] == [1, 0, 1, 0]
    first_s, pause_s, second_s = (end_s - start_s for (start_s, _), (end_s, _) in pairwise(runs))
    assert min(first_s, second_s) >= TIMEOUT_S - 0.01
    assert pause_s >= DEAD_TIME_S - 0.01
    assert levels(plant, COILS[valve][OPEN], 0, wet_s) == []
    (alarm,) = [alarm for alarm in view["alarms"] if alarm["id"] == f"fail-to-close/valve/{valve}"]
    assert alarm["class"] == "alarm"
    assert view["valves"][valve]["state"] == "fault"
    times.note(
        f"valve of {TRAVEL_S:g} s that never arrives: wet -> given up after two runs", runs[-1][0] - wet_s
    )


def test_both_switches_at_once_are_a_fault_and_a_leak_closes_all_the_same(plant: Rig) -> None:
    valve, line = CONFUSED
    trouble, alarm = f"both-switches/valve/{valve}", f"fail-to-close/valve/{valve}"
    plant.ask("lines.pull", line=SWITCHES[valve][CLOSE], to="low")
    view = until(plant, lambda view: trouble in alarms(view))
    assert view["valves"][valve]["state"] == "fault"
    wet_s = plant.ask("lines.pull", line=line, to="low")
    until(plant, lambda view: alarm in alarms(view))
    assert levels(plant, COILS[valve][CLOSE], 0, wet_s) == [1, 0, 1, 0]
    plant.ask("lines.pull", line=SWITCHES[valve][OPEN], to="open")
    view = until(plant, lambda view: view["valves"][valve]["state"] == "closed")
    assert trouble not in alarms(view)
    assert levels(plant, COILS[valve][OPEN], 0, wet_s) == []
