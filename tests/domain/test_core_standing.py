"""What stands over a valve (override, lockout, request, latch) when a leak, a restart or time comes."""

from collections.abc import Mapping

import pytest

from gateway.domain.commands import SetCoil
from gateway.domain.events import (
    AcknowledgeRequested,
    AdapterFailed,
    ButtonChanged,
    DeadlinePassed,
    ExerciseRequested,
    ResetRequested,
    SensorRead,
    ValveFound,
    ValveRequested,
    WalkTestRequested,
)
from gateway.domain.model import ActorKind, Coil, Position, Reading, Wish
from gateway.domain.site import Action, OverridePolicy, Site, ZoneSpec
from tests.fakes.site import ALL_OPEN, Stage, small_site

LEAK = "leak/zone/plant"
SWITCH = Mapping[Position, bool]
MIDWAY: SWITCH = {Position.OPEN: False, Position.CLOSED: False}


def site_with(zone: ZoneSpec, override: OverridePolicy | None = None) -> Site:
    site = small_site(override)
    return Site(
        sensors=site.sensors,
        zones={**site.zones, zone.id: zone},
        valves=site.valves,
        buttons=site.buttons,
        override=site.override,
    )


def found(main: SWITCH, *, branch_open: bool = True) -> tuple[ValveFound, ...]:
    return (
        ValveFound("main", ALL_OPEN[0].coils, main),
        ValveFound("branch", {Coil.OPEN: branch_open}, {}),
        ALL_OPEN[2],
    )


# --- resets -------------------------------------------------------------------------------------------


def test_reset_of_a_leak_that_is_not_latched_is_refused_and_ends_nothing() -> None:
    unlatched = ZoneSpec(id="plant", sensors=("sump",), valves=("main",), confirm_s=0.0, latch=False)
    stage = Stage(site_with(unlatched))
    stage.wet()

    stage.handle(ResetRequested(LEAK, stage.request()))
    stage.ask(Wish.OPEN)

    assert stage.answers() == [("rejected", "not_latched"), ("rejected", "alarm_latched")]
    assert stage.valve()["authority"] == "leak"


def test_reset_out_of_turn_does_not_stop_a_leak_from_being_confirmed() -> None:
    stage = Stage()
    stage.handle(SensorRead("sink", Reading("switchbot", wet=True)))
    stage.wait(4.0)

    stage.handle(ResetRequested("leak/zone/kitchen", stage.request()))
    stage.wait(1.0)

    assert stage.answers() == [("rejected", "unknown_subject")]
    assert stage.coils["branch", Coil.OPEN] is False


def test_latched_leak_of_a_zone_that_the_site_has_no_more_can_be_reset() -> None:
    before = Stage()
    before.wet()
    plain = small_site()
    stage = Stage(Site(sensors=plain.sensors, valves=plain.valves), before.memory, now_s=5.0)

    stage.handle(ResetRequested(LEAK, stage.request()))

    assert stage.answers() == [("succeeded", "")]
    assert LEAK not in stage.alarm_ids()


def test_memory_of_valves_that_the_site_has_no_more_raises_nothing_for_ever() -> None:
    before = Stage()
    before.ask(Wish.LOCKOUT, "tap", kind=ActorKind.LOCAL)
    before.press(4.0)

    stage = Stage(Site(), before.memory, found=(), now_s=5.0)
    stage.wait(601.0)
    for alarm_id in stage.alarm_ids():
        stage.handle(AcknowledgeRequested(alarm_id, stage.request()))

    assert stage.alarm_ids() == set()


def test_person_may_vouch_for_a_sensor_also_when_its_last_refused_frame_is_long_ago() -> None:
    stage = Stage()
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=500, authentic=True)))
    wet = SensorRead("floor", Reading("bthome-v2", wet=True, counter=3, authentic=True))
    stage.handle(wet)
    stage.wait(3600.0)

    stage.handle(ResetRequested("replay/sensor/floor", stage.request()))
    stage.handle(wet)

    assert stage.coils["main", Coil.CLOSE] is True


# --- the button ---------------------------------------------------------------------------------------


def test_leak_closes_a_valve_that_a_person_at_the_button_wanted_closed() -> None:
    stage = Stage()
    stage.press(0.3)
    stage.main_travels(Position.CLOSED)
    stage.switch(Position.CLOSED, made=False)  # turned open by hand
    stage.switch(Position.OPEN, made=True)

    commands = stage.wet()

    assert SetCoil("main", Coil.CLOSE, True) in commands


def test_restart_finishes_the_closing_for_a_leak_also_under_a_hold_that_closes() -> None:
    before = Stage()
    before.press(4.0)
    before.wet()

    after = Stage(memory=before.memory, found=found(MIDWAY, branch_open=False))

    assert after.valve()["authority"] == "button"
    assert after.coils["main", Coil.CLOSE] is True


def opened_for_an_hour() -> Stage:
    stage = Stage()
    stage.press(0.3)
    stage.main_travels(Position.CLOSED)
    stage.press(0.3)
    stage.main_travels(Position.OPEN)
    return stage


def test_timed_override_that_a_restart_ended_does_not_come_back_with_the_next_restart() -> None:
    restarted = Stage(memory=opened_for_an_hour().memory)
    assert restarted.valve()["override"] is None
    assert not restarted.is_active("override/valve/main")
    restarted.wet()

    again = Stage(memory=restarted.memory, found=found(MIDWAY, branch_open=False))

    assert again.valve()["authority"] == "leak"
    assert again.coils["main", Coil.CLOSE] is True


def test_timed_override_under_a_lockout_counts_down_with_a_leak_and_does_not_reopen() -> None:
    stage = opened_for_an_hour()
    stage.ask(Wish.LOCKOUT, kind=ActorKind.LOCAL)
    stage.wet()
    override = stage.valve()["override"]
    assert isinstance(override, dict)
    assert override["mode"] == "countdown"

    stage.wait(121.0)
    stage.ask(Wish.AUTO, kind=ActorKind.LOCAL)

    assert stage.coils["main", Coil.CLOSE] is True


def test_end_of_a_lockout_opens_no_valve_against_a_leak_for_a_countdown() -> None:
    stage = opened_for_an_hour()
    stage.ask(Wish.LOCKOUT, kind=ActorKind.LOCAL)
    stage.switch(Position.OPEN, made=False)  # somebody closes it by hand
    stage.switch(Position.CLOSED, made=True)
    stage.wet()

    commands = stage.ask(Wish.AUTO, kind=ActorKind.LOCAL)

    assert SetCoil("main", Coil.OPEN, True) not in commands


def test_press_at_a_valve_that_failed_to_close_tries_again_at_once() -> None:
    stage = Stage()
    stage.press(0.3)
    stage.wait(60.0)  # the open switch stays made
    assert stage.valve()["state"] == "fault"

    commands = stage.press(0.3)

    assert SetCoil("main", Coil.CLOSE, True) in commands


def test_button_that_was_released_while_nobody_could_look_is_no_press() -> None:
    stage = Stage()
    stage.handle(ButtonChanged("lobby", pressed=True))
    stage.wait(4.0)

    commands = stage.handle(ButtonChanged("lobby", pressed=False, is_edge=False))

    assert not any(isinstance(command, SetCoil) for command in commands)
    assert stage.valve()["override"] is None


def test_button_that_is_held_since_before_the_start_gets_stuck_and_recovers() -> None:
    stage = Stage()
    stage.handle(ButtonChanged("lobby", pressed=True, is_edge=False))
    stage.wait(61.0)
    assert stage.is_active("button-stuck/button/lobby")

    stage.handle(ButtonChanged("lobby", pressed=False, is_edge=False))

    assert not stage.is_active("button-stuck/button/lobby")


def test_expired_override_leaves_the_valve_closed_that_one_of_two_zones_still_wants_closed() -> None:
    stage = opened_for_an_hour()
    stage.wet()
    stage.handle(SensorRead("sink", Reading("switchbot", wet=True)))
    stage.wait(6.0)
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=1, authentic=True)))
    stage.wet(wet=False)
    stage.wait(61.0)
    stage.handle(ResetRequested(LEAK, stage.request()))
    assert stage.answers() == [("succeeded", "")]

    stage.wait(120.0)

    assert stage.coils["branch", Coil.OPEN] is False
    assert (stage.valve("main")["state"], stage.valve("main")["authority"]) == ("open", "auto")


def test_process_that_slept_over_opening_and_countdown_never_drives_both_ways() -> None:
    stage = Stage(small_site(OverridePolicy(leak_breaks_hold=True)))
    stage.wet()
    stage.main_travels(Position.CLOSED)
    stage.switch(Position.CLOSED, made=False)
    stage.wait(2.0)  # it is being closed again
    stage.press(4.0)
    assert stage.core.next_deadline_s() == stage.now_s + 0.5, "the coils rest between the directions"

    stage.now_s += 500.0
    for _ in range(5):
        stage.handle(DeadlinePassed())
        assert not (stage.coils["main", Coil.OPEN] and stage.coils["main", Coil.CLOSE])
        stage.now_s += 0.6

    assert stage.coils["main", Coil.CLOSE] is True


# --- lockout ------------------------------------------------------------------------------------------


def test_lockout_tells_who_set_it_after_each_restart() -> None:
    stage = Stage()
    stage.ask(Wish.LOCKOUT, kind=ActorKind.LOCAL)

    for _ in range(2):
        stage = Stage(memory=stage.memory)

    alarms = stage.core.view(stage.now_s)["alarms"]
    assert isinstance(alarms, list)
    assert "local:alice" in str(alarms)


# --- requests -----------------------------------------------------------------------------------------


def test_leak_ends_a_request_to_open_for_good() -> None:
    stage = Stage()
    stage.ask(Wish.CLOSE)
    stage.main_travels(Position.CLOSED)
    stage.ask(Wish.OPEN)
    stage.wait(1.0)

    stage.wet()

    assert stage.answers()[-1] == ("failed", "alarm_latched")
    assert stage.coils["main", Coil.OPEN] is False


def test_request_that_expires_while_the_valve_moves_is_seen_through_without_hurry() -> None:
    stage = Stage()
    stage.handle(ValveRequested("main", Wish.CLOSE, stage.request(expires_in_s=3.0)))

    stage.main_travels(Position.CLOSED)

    assert stage.answers()[-1] == ("succeeded", "")


@pytest.mark.parametrize("wish", [Wish.OPEN, Wish.CLOSE])
def test_request_that_somebody_holds_back_lapses_at_its_expiry(wish: Wish) -> None:
    stage = Stage() if wish is Wish.OPEN else opened_for_an_hour()
    if wish is Wish.OPEN:
        stage.press(0.3)
        stage.main_travels(Position.CLOSED)
    before = stage.valve()["state"]
    stage.ask(wish)

    stage.wait(61.0)
    assert stage.answers()[-1] == ("failed", "expired")
    stage.press(11.0)

    assert stage.valve()["state"] == before
    assert "wish/main" not in stage.memory


# --- sensors, walk tests, exercise --------------------------------------------------------------------


def test_sensor_whose_driver_failed_is_not_dry_and_leaves_the_quorum() -> None:
    both = ZoneSpec(id="plant", sensors=("sump", "sink"), valves=("main",), confirm_s=0.0, quorum=2)
    stage = Stage(site_with(both))
    stage.handle(SensorRead("sink", Reading("switchbot", wet=False)))
    stage.wet(wet=False)

    stage.handle(AdapterFailed("sensor/sump", "the line is gone"))
    commands = stage.handle(SensorRead("sink", Reading("switchbot", wet=True)))

    assert SetCoil("main", Coil.CLOSE, True) in commands


def test_failed_adapter_that_bears_the_name_of_a_sensor_is_not_that_sensor() -> None:
    stage = Stage()

    stage.handle(AdapterFailed("sump", "something else"))

    assert "sensor-fault/sensor/sump" not in stage.alarm_ids()


def test_zone_that_only_notifies_moves_nothing_though_it_shares_sensor_and_valve() -> None:
    notify = ZoneSpec(id="plant", sensors=("sump",), valves=("main",), confirm_s=0.0, action=Action.NOTIFY)
    slow = ZoneSpec(id="slow", sensors=("sump",), valves=("main",), confirm_s=10.0)
    site = site_with(notify)
    stage = Stage(Site(sensors=site.sensors, zones={**site.zones, "slow": slow}, valves=site.valves))

    stage.wet()
    assert LEAK in stage.alarm_ids()
    assert stage.coils["main", Coil.CLOSE] is False
    stage.wait(10.0)

    assert stage.coils["main", Coil.CLOSE] is True


def test_water_that_is_left_when_a_walk_test_ends_closes_the_valve() -> None:
    stage = Stage()
    walk = WalkTestRequested("plant", on=True, request=stage.request(kind=ActorKind.LOCAL))
    stage.handle(walk)
    stage.wet()

    stage.wait(3601.0)

    assert LEAK in stage.alarm_ids()
    assert stage.valve()["state"] in ("closing", "fault")


def test_leak_in_a_neighbouring_zone_closes_a_shared_valve_during_a_walk_test() -> None:
    stage = Stage()
    stage.handle(WalkTestRequested("plant", on=True, request=stage.request(kind=ActorKind.LOCAL)))

    stage.handle(SensorRead("sink", Reading("switchbot", wet=True)))
    stage.wait(5.0)

    assert stage.coils["branch", Coil.OPEN] is False


@pytest.mark.parametrize("seconds", [2.0, 12.0])
def test_leak_ends_an_exercise_in_either_direction_and_the_valve_stays_closed(seconds: float) -> None:
    stage = Stage()
    stage.handle(ExerciseRequested("main", stage.request()))
    stage.wait(1.0)
    stage.switch(Position.OPEN, made=False)
    if seconds > 10.0:
        stage.wait(7.0)
        stage.switch(Position.CLOSED, made=True)
        stage.wait(2.0)
        stage.switch(Position.CLOSED, made=False)

    stage.wet()
    stage.wait(1.0)
    assert stage.coils["main", Coil.OPEN] is False
    assert stage.coils["main", Coil.CLOSE] is True
    stage.switch(Position.CLOSED, made=True)
    stage.wait(3600.0)

    assert (stage.valve()["state"], stage.coils["main", Coil.OPEN]) == ("closed", False)


def test_override_that_runs_out_does_not_open_for_a_request_that_waits() -> None:
    stage = Stage()
    stage.press(0.3)
    stage.main_travels(Position.CLOSED)
    stage.wait(3570.0)
    stage.ask(Wish.OPEN)
    assert stage.answers()[-1][0] == "executing"

    commands = stage.wait(40.0)

    assert stage.valve()["override"] is None
    assert not any(isinstance(command, SetCoil) for command in commands)


def test_short_press_opens_nothing_while_the_memory_is_lost_and_a_long_one_does() -> None:
    shut = found({Position.OPEN: False, Position.CLOSED: True}, branch_open=False)
    stage = Stage(found=shut, readable=False)

    refused = stage.press(0.3)
    opened = stage.press(4.0)

    assert not any(isinstance(command, SetCoil) for command in refused)
    assert SetCoil("main", Coil.OPEN, True) in opened


@pytest.mark.parametrize("kind", ["main", "branch"])
def test_exercise_that_a_restart_cut_short_is_shown_until_somebody_opens_the_valve(kind: str) -> None:
    before = Stage()
    before.handle(ExerciseRequested(kind, before.request()))
    shut = found({Position.OPEN: False, Position.CLOSED: True}, branch_open=False)

    after = Stage(memory=before.memory, found=shut)
    assert not any(isinstance(command, SetCoil) for command in after.log)
    assert after.is_active(f"exercise-interrupted/valve/{kind}")

    after = Stage(memory=after.memory, found=shut)
    assert after.is_active(f"exercise-interrupted/valve/{kind}")
    after.ask(Wish.OPEN, kind)
    if kind == "main":
        after.main_travels(Position.OPEN)
    after.wait(20.0)

    assert not after.is_active(f"exercise-interrupted/valve/{kind}")


def test_dry_hold_after_a_restart_begins_when_the_last_sensor_has_said_dry() -> None:
    before = Stage()
    before.wet()
    stage = Stage(memory=before.memory, found=found(MIDWAY, branch_open=False))

    stage.wet(wet=False)
    stage.wait(120.0)
    assert stage.is_active(LEAK)
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=1, authentic=True)))
    stage.handle(ResetRequested(LEAK, stage.request()))
    assert stage.answers()[-1] == ("rejected", "reset_refused")

    stage.wait(60.0)
    stage.handle(ResetRequested(LEAK, stage.request()))
    assert stage.answers()[-1] == ("succeeded", "")
