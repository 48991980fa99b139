"""Water is neither made nor lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.model import Position
from gateway.sim.building import Building
from gateway.sim.hands import Dry, Leak, Poke, Stall, Tap, Turn, Wear
from gateway.sim.plan import Room, parse
from gateway.sim.water import Puddle

pokes = st.one_of(
    st.builds(Leak, pipe=st.sampled_from(["main", "branch", "other"]), l_per_min=st.floats(0, 500)),
    st.builds(Tap, pipe=st.sampled_from(["main", "branch", "other"]), l_per_min=st.floats(0, 500)),
    st.builds(Dry, pipe=st.sampled_from(["main", "branch", "other"])),
    st.builds(Stall, valve=st.sampled_from(["first", "second"])),
    st.builds(Wear, valve=st.sampled_from(["first", "second"]), l_per_min=st.floats(0, 2000)),
    st.builds(Turn, valve=st.sampled_from(["first", "second"]), position=st.sampled_from(Position)),
)
coils = st.tuples(st.sampled_from(["o1", "c1", "o2"]), st.booleans())

TREE = """
[room.a]
[room.b]
[pipe.main]
room = "a"
valve = "first"
[pipe.branch]
branch_of = "main"
room = "b"
valve = "second"
[pipe.other]
branch_of = "main"
room = "b"
[valve.first]
kind = "motorised"
open_line = "o1"
close_line = "c1"
[valve.second]
kind = "spring_return"
open_line = "o2"
[contact.a]
room = "a"
line = "a"
[meter.m]
pipe = "main"
line = "m"
"""


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 20), pokes | coils), max_size=12))
def test_all_water_that_enters_leaks_or_is_tapped_and_every_leaked_litre_is_on_a_floor_or_down_a_drain(
    story: list[tuple[float, Poke | tuple[str, bool]]],
):
    building = Building(parse(TREE))

    for pause_s, action in story:
        building.run(building.now_s + pause_s)
        if isinstance(action, tuple):
            building.set_output(*action)
        else:
            action.do(building)
    building.run(building.now_s + 60)

    pipes = building.pipes
    used_l = sum(pipes.leaked_l.values()) + sum(pipes.tapped_l.values())
    assert pipes.passed_l["main"] == pytest.approx(used_l, abs=1e-6)
    for room, leaking in (("a", ["main"]), ("b", ["branch", "other"])):
        puddle = building.puddles[room]
        leaked_l = sum(pipes.leaked_l[name] for name in leaking)
        assert puddle.volume_l + puddle.drained_l == pytest.approx(leaked_l, abs=1e-6)


@given(st.floats(0.1, 200), st.floats(0.1, 200))
def test_a_second_leak_never_makes_the_first_one_faster(first: float, second: float):
    building = Building(parse(TREE))
    Leak(pipe="branch", l_per_min=first).do(building)
    alone = building.pipes.leak_l_per_min["branch"]

    Leak(pipe="other", l_per_min=second).do(building)

    assert building.pipes.leak_l_per_min["branch"] <= alone
    assert alone <= first


def test_a_leak_loses_about_what_its_plan_says_and_nothing_once_the_valve_is_shut(building: Building):
    Leak(pipe="main").do(building)
    before = building.pipes.leak_l_per_min["main"]
    building.set_output("main-close", True)
    building.run(4.0)
    leaked_l = building.pipes.leaked_l["main"]
    building.run(3600.0)

    assert before == pytest.approx(30.0, rel=0.01)
    assert building.pipes.leaked_l["main"] == leaked_l
    assert leaked_l < 30.0 * 4.0 / 60


def test_a_valve_cuts_off_only_what_lies_behind_it(building: Building):
    Leak(pipe="main").do(building)
    Leak(pipe="kitchen").do(building)
    building.set_output("kitchen-open", False)
    building.run(10.0)

    assert building.pipes.leak_l_per_min["kitchen"] == 0.0
    assert building.pipes.leak_l_per_min["main"] == pytest.approx(30.0, rel=0.01)


def test_a_puddle_overflows_instead_of_growing_for_ever():
    puddle = Puddle(Room(full_l=0.5, drain_l_per_min=1.0))

    puddle.advance(60.0, 10.0)

    assert puddle.volume_l == 0.5
    assert puddle.drained_l == 9.5


def test_a_puddle_says_when_it_reaches_a_level():
    puddle = Puddle(Room(full_l=1.0, drain_l_per_min=2.0))
    rising = puddle.reaches_in_s(0.5, inflow_l_per_min=8.0)
    puddle.advance(5.0, 8.0 * 5 / 60)

    assert rising == pytest.approx(5.0)
    assert puddle.volume_l == pytest.approx(0.5)
    assert puddle.reaches_in_s(0.25, inflow_l_per_min=0.0) == pytest.approx(7.5)
    assert puddle.reaches_in_s(0.75, inflow_l_per_min=2.0) is None
    assert puddle.reaches_in_s(2.0, inflow_l_per_min=8.0) is None
