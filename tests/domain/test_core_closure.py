"""After closing: does the water stop? The meter says so, or says that it does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.commands import SetCoil
from gateway.domain.events import AdapterFailed, AdapterRecovered, MeterPulsed, ResetRequested, ValveFound
from gateway.domain.flow import closure as closures
from gateway.domain.flow.closure import Closure
from gateway.domain.model import ActorKind, Coil, Position, Wish
from gateway.domain.valve.model import ValveState
from tests.fakes.metered import WaterStage, metered_site
from tests.fakes.site import ALL_OPEN

STILL = "still-flowing/meter/kitchen"
STILL_MAIN = "still-flowing/meter/incoming"


def close_branch(stage: WaterStage) -> None:
    """The branch is a spring-return valve without switches: closed, as assumed, after 7.5 s."""
    stage.ask(Wish.CLOSE, "branch")
    stage.wait(7.5)


def closure(stage: WaterStage, valve: str = "branch") -> tuple[object, object]:
    return stage.valve(valve)["closure"], stage.valve(valve)["closure_by"]


# --- the water stops ----------------------------------------------------------------------------------


def test_water_that_ran_and_stops_confirms_a_closure_that_no_switch_can() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    close_branch(stage)
    assert closure(stage) == ("assumed", "time")

    stage.wait(45.0)

    assert closure(stage) == ("confirmed", "flow")
    told = [p.body for p in stage.published() if p.kind == "valve" and p.body["valve_id"] == "branch"]
    assert (told[-1]["closure"], told[-1]["closure_by"]) == ("confirmed", "flow")
    assert stage.records("valve.result")[-1].detail == {"flow": "stopped", "closure": "confirmed"}


def test_silence_of_a_pipe_in_which_nothing_ran_confirms_nothing() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    stage.wait(60.0)
    close_branch(stage)
    stage.wait(24 * 3600.0)

    assert closure(stage) == ("assumed", "time")


def test_switch_confirms_by_itself() -> None:
    stage = WaterStage()
    stage.flow(10.0, 60.0)
    stage.ask(Wish.CLOSE)
    stage.main_travels(Position.CLOSED)

    assert closure(stage, "main") == ("confirmed", "switch")
    stage.wait(3600.0)
    assert closure(stage, "main") == ("confirmed", "switch")


@pytest.mark.parametrize(
    ("pulse_l", "l_per_min", "window_s"), [(1.0, 20.0, 30.0), (10.0, 20.0, 300.0), (1000.0, 20.0, 30_000.0)]
)
def test_window_follows_from_pulse_size_and_cadence(
    pulse_l: float, l_per_min: float, window_s: float
) -> None:
    stage = WaterStage(metered_site(litres_per_pulse=pulse_l, rules=()))
    stage.flow(l_per_min, 3 * 60.0 * pulse_l / l_per_min, "kitchen")
    close_branch(stage)
    stage.wait(10.0 + window_s - 1.0)
    assert closure(stage) == ("assumed", "time")

    stage.wait(2.0)

    assert closure(stage) == ("confirmed", "flow")


def test_one_pulse_after_closing_is_free() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    close_branch(stage)
    stage.wait(12.0)
    stage.handle(MeterPulsed("kitchen"))
    stage.wait(31.0)

    assert closure(stage) == ("confirmed", "flow")
    assert STILL not in stage.alarm_ids()


def test_opening_takes_the_confirmation_away() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    close_branch(stage)
    stage.wait(45.0)
    stage.ask(Wish.OPEN, "branch")
    stage.wait(10.0)
    assert closure(stage) == (None, None)

    close_branch(stage)
    stage.wait(3600.0)

    assert closure(stage) == ("assumed", "time")


def test_of_two_valves_that_closed_nobody_knows_which_one_stopped_the_water() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    stage.ask(Wish.CLOSE, "tap")
    close_branch(stage)
    stage.wait(3600.0)

    assert closure(stage, "branch") == closure(stage, "tap") == ("assumed", "time")


def test_valve_that_leaks_is_not_confirmed_by_another_one_that_stops_the_water() -> None:
    stage = passing()
    assert closure(stage) == ("passing", "flow")
    stage.ask(Wish.CLOSE, "tap")
    stage.wait(200.0)

    assert not stage.is_active(STILL)
    assert closure(stage) == ("assumed", "time")


def test_trickle_below_the_limit_must_miss_three_pulses_before_it_counts_as_stopped() -> None:
    stage = WaterStage()
    stage.flow(0.1, 3 * 600.0 + 30.0, "kitchen")
    close_branch(stage)
    stage.wait(1700.0)
    assert closure(stage) == ("assumed", "time")

    stage.wait(200.0)
    assert closure(stage) == ("confirmed", "flow")


# --- the water does not stop --------------------------------------------------------------------------


def passing(l_per_min: float = 20.0) -> WaterStage:
    stage = WaterStage()
    stage.flow(l_per_min, 60.0, "kitchen")
    stage.ask(Wish.CLOSE, "branch")
    stage.flow(l_per_min, 30.0, "kitchen")
    return stage


def test_water_through_a_closed_valve_is_the_first_of_all_alarms() -> None:
    stage = passing()
    stage.wet()  # newer

    alarms = stage.core.view(stage.now_s)["alarms"]
    assert isinstance(alarms, list)
    first = alarms[0]
    assert isinstance(first, dict)
    assert (first["id"], first["class"], first["latched"]) == (STILL, "alarm", True)
    assert "shut the water off by hand" in str(first["detail"])
    assert stage.meter("kitchen")["still_flowing"] is True
    assert stage.core.view(stage.now_s)["indicator"] == {"led": "alarm", "sounder": "alarm"}


def test_leaking_valve_is_driven_closed_again_at_once_and_then_every_few_minutes() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    stage.ask(Wish.CLOSE, "tap")
    close = SetCoil("tap", Coil.CLOSE, True)

    commands = stage.flow(20.0, 1000.0, "kitchen")

    assert 3 <= commands.count(close) <= 4
    intents = [r for r in stage.records("valve.intent") if str(r.actor) == "flow_rule:meter/kitchen"]
    assert intents[0].cause == "water runs all the same"


def test_valve_that_lets_water_through_is_shown_as_passing_even_against_its_switch() -> None:
    stage = WaterStage()
    stage.flow(10.0, 60.0)
    stage.ask(Wish.CLOSE)
    stage.main_travels(Position.CLOSED)
    assert closure(stage, "main") == ("confirmed", "switch")

    commands = stage.flow(10.0, 30.0)
    assert SetCoil("main", Coil.CLOSE, True) in commands
    assert STILL_MAIN in stage.alarm_ids()
    stage.flow(10.0, 60.0)

    assert closure(stage, "main") == ("passing", "flow")


def test_pulses_while_the_pipe_settles_are_no_leak() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    close_branch(stage)
    stage.flow(60.0, 9.9, "kitchen")
    stage.wait(3600.0)

    assert STILL not in stage.alarm_ids()


def test_drip_below_the_limit_is_no_alarm_and_one_above_it_is() -> None:
    stage = WaterStage()
    close_branch(stage)
    stage.flow(0.45, 3600.0, "kitchen")
    assert STILL not in stage.alarm_ids()

    stage.flow(0.6, 600.0, "kitchen")

    assert STILL in stage.alarm_ids()


def test_alarm_clears_when_the_water_has_stopped_and_stays_latched_until_a_person_resets_it() -> None:
    stage = passing()
    stage.handle(ResetRequested(STILL, stage.request()))
    assert stage.answers()[-1] == ("rejected", "reset_refused")

    stage.wait(120.0)

    assert not stage.is_active(STILL)
    assert STILL in stage.alarm_ids()
    assert closure(stage) == ("confirmed", "flow")
    stage.handle(ResetRequested(STILL, stage.request()))
    assert stage.answers()[-1] == ("succeeded", "")
    assert STILL not in stage.alarm_ids()


def test_opening_the_valve_ends_the_condition() -> None:
    stage = passing()
    stage.wait(8.0)
    stage.ask(Wish.OPEN, "branch")
    stage.wait(10.0)

    assert stage.valve("branch")["state"] == "open"
    assert not stage.is_active(STILL)


def test_valve_that_was_found_closed_and_leaks_is_noticed_without_having_closed_it() -> None:
    found = (ALL_OPEN[0], ValveFound("branch", {Coil.OPEN: False}, {}), ALL_OPEN[2])
    stage = WaterStage(found=found)
    stage.flow(5.0, 60.0, "kitchen")

    assert STILL in stage.alarm_ids()


def test_locked_out_valve_is_not_driven_by_its_meter() -> None:
    stage = WaterStage()
    close_branch(stage)
    stage.ask(Wish.LOCKOUT, "branch", kind=ActorKind.LOCAL)
    commands = stage.flow(20.0, 60.0, "kitchen")

    assert not any(isinstance(c, SetCoil) and c.valve_id == "branch" for c in commands)


def test_valve_that_lets_water_through_is_driven_for_whoever_asks_whatever_its_switch_says() -> None:
    stage = WaterStage(metered_site(rules=()))
    stage.ask(Wish.CLOSE)
    stage.main_travels(Position.CLOSED)
    stage.flow(20.0, 60.0)
    stage.main_travels(Position.CLOSED)
    stage.flow(20.0, 60.0)
    assert stage.valve()["closure"] == "passing"

    assert SetCoil("main", Coil.CLOSE, True) in stage.ask(Wish.CLOSE)


# --- a meter that cannot be heard ---------------------------------------------------------------------


def test_silence_of_a_dead_meter_neither_confirms_nor_clears() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    stage.ask(Wish.CLOSE, "branch")
    stage.handle(AdapterFailed("meter/kitchen", "line lost"))
    stage.wait(3600.0)
    assert closure(stage) == ("assumed", "time")

    other = passing()
    other.handle(AdapterFailed("meter/kitchen", "line lost"))
    other.wait(3600.0)
    assert other.is_active(STILL)
    other.handle(AdapterRecovered("meter/kitchen"))
    other.wait(200.0)
    assert not other.is_active(STILL)


def test_meter_that_comes_back_must_be_silent_anew_before_the_alarm_ends() -> None:
    stage = passing()
    stage.handle(AdapterFailed("meter/kitchen", "line lost"))
    stage.flow(5.0, 600.0)  # the other meter keeps the core awake
    assert stage.is_active(STILL)
    stage.handle(AdapterRecovered("meter/kitchen"))
    stage.flow(5.0, 8.0)
    assert stage.is_active(STILL)
    stage.wait(200.0)

    assert not stage.is_active(STILL)


def test_closure_during_which_the_meter_could_not_be_heard_stays_assumed() -> None:
    stage = WaterStage()
    stage.flow(20.0, 60.0, "kitchen")
    close_branch(stage)
    stage.handle(AdapterFailed("meter/kitchen", "line lost"))
    stage.handle(AdapterRecovered("meter/kitchen"))
    stage.wait(3600.0)

    assert closure(stage) == ("assumed", "time")


@pytest.mark.parametrize(
    "way",
    [
        (ValveState.CLOSING, ValveState.FAULT, ValveState.CLOSING, ValveState.CLOSED),
        (ValveState.CLOSING, ValveState.CLOSED),
        (ValveState.CLOSED,),
    ],
)
def test_silence_proves_a_closure_that_took_several_attempts_as_well(way: tuple[ValveState, ...]) -> None:
    spec = metered_site().meters["incoming"]
    known = Closure(ValveState.OPEN)
    cadence_s: float | None = 3.0
    for state in way:
        known = closures.valve_is(known, state, cadence_s, 0.0)
        cadence_s = None  # the water stops with the first attempt

    assert closures.deadline_s(known, spec) == closures.SETTLE_S + closures.stopped_after_s(spec, 3.0)


# --- properties ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1.0, 10.0, 100.0]), st.floats(0.51, 60.0), st.floats(0.0, 0.99))
def test_any_flow_above_the_limit_through_a_closed_valve_is_found_within_three_pulses(
    pulse_l: float, l_per_min: float, phase: float
) -> None:
    stage = WaterStage(metered_site(litres_per_pulse=pulse_l, rules=()))
    stage.reeds["kitchen"]._phase_l = phase * pulse_l
    close_branch(stage)

    stage.flow(l_per_min, 11.0 + 2 * 60.0 * pulse_l / l_per_min, "kitchen")

    assert STILL in stage.alarm_ids()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1.0, 10.0, 100.0]), st.floats(0.01, 0.499), st.floats(0.0, 0.99))
def test_no_flow_below_the_limit_is_ever_an_alarm(pulse_l: float, l_per_min: float, phase: float) -> None:
    stage = WaterStage(metered_site(litres_per_pulse=pulse_l, rules=()))
    stage.reeds["kitchen"]._phase_l = phase * pulse_l
    close_branch(stage)
    stage.wait(3.0)

    stage.flow(l_per_min, 20 * 60.0 * pulse_l / l_per_min, "kitchen")

    assert STILL not in stage.alarm_ids()
