"""Scenes from the life of a building, told to the core as events."""

from gateway.domain.commands import Indicate, SetCoil
from gateway.domain.events import (
    AcknowledgeRequested,
    AdapterFailed,
    AdapterRecovered,
    LinkChanged,
    ResetRequested,
    SensorRead,
    ValveFound,
    WalkTestRequested,
)
from gateway.domain.model import ActorKind, Coil, LedPattern, Position, Reading, SounderPattern, Wish
from tests.fakes.site import ALL_OPEN, Stage

LEAK = "leak/zone/plant"


def closed_by_leak() -> Stage:
    stage = Stage()
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=1, authentic=True)))
    stage.wet()
    stage.main_travels(Position.CLOSED)
    stage.wait(10.0)
    return stage


def test_wet_contact_commands_both_valves_closed_first_of_all_and_in_the_same_call() -> None:
    stage = Stage()

    commands = stage.wet()

    assert commands[:2] == [SetCoil("main", Coil.CLOSE, True), SetCoil("branch", Coil.OPEN, False)]
    assert not any(isinstance(command, SetCoil) for command in commands[2:])
    assert LEAK in stage.alarm_ids()


def test_main_valve_stops_its_motor_at_the_end_switch_and_is_confirmed_closed() -> None:
    stage = closed_by_leak()

    assert stage.coils["main", Coil.CLOSE] is False
    assert (stage.valve()["state"], stage.valve()["closure"]) == ("closed", "confirmed")
    assert stage.valve("branch")["closure"] == "assumed"


def test_leak_in_a_zone_with_confirm_time_closes_only_if_it_lasts() -> None:
    stage = Stage()
    stage.handle(SensorRead("sink", Reading("switchbot", wet=True)))
    stage.wait(4.0)
    stage.handle(SensorRead("sink", Reading("switchbot", wet=False)))
    stage.wait(60.0)
    assert stage.coils["branch", Coil.OPEN] is True

    stage.handle(SensorRead("sink", Reading("switchbot", wet=True)))
    stage.wait(5.0)

    assert stage.coils["branch", Coil.OPEN] is False


def test_drying_never_reopens_and_the_alarm_stays_latched() -> None:
    stage = closed_by_leak()

    stage.wet(wet=False)
    stage.wait(24 * 3600.0)

    assert stage.valve()["state"] == "closed"
    assert LEAK in stage.alarm_ids()


def test_remote_opening_is_refused_while_latched_and_accepted_after_reset() -> None:
    stage = closed_by_leak()
    stage.ask(Wish.OPEN)
    assert stage.answers()[-1] == ("rejected", "alarm_latched")
    stage.handle(ResetRequested(LEAK, stage.request()))
    assert stage.answers()[-1][0] == "rejected"

    stage.wet(wet=False)
    stage.wait(61.0)
    stage.ask(Wish.OPEN)
    assert stage.answers()[-1] == ("rejected", "alarm_latched")
    stage.handle(AcknowledgeRequested(LEAK, stage.request()))
    stage.handle(ResetRequested(LEAK, stage.request()))
    assert stage.answers()[-1][0] == "succeeded"
    assert stage.valve()["state"] == "closed"
    stage.ask(Wish.OPEN)
    assert stage.coils["main", Coil.OPEN] is True
    stage.main_travels(Position.OPEN)

    assert stage.answers()[-1] == ("succeeded", "")
    assert stage.valve()["state"] == "open"


def test_person_without_step_up_may_close_but_not_open() -> None:
    stage = Stage()
    stage.ask(Wish.CLOSE, may_open=False)
    stage.main_travels(Position.CLOSED)
    assert stage.answers() == [("executing", ""), ("succeeded", "")]

    stage.ask(Wish.OPEN, may_open=False)

    assert stage.answers()[-1] == ("rejected", "not_authorised")


def test_short_press_closes_for_an_hour_and_expiry_does_not_reopen() -> None:
    stage = Stage()
    stage.press(0.3)
    stage.main_travels(Position.CLOSED)
    assert stage.valve()["authority"] == "button"

    stage.wait(3700.0)

    assert (stage.valve()["authority"], stage.valve()["state"]) == ("auto", "closed")
    assert stage.coils["branch", Coil.OPEN] is False


def test_short_press_against_a_latched_alarm_is_denied_and_a_long_one_opens() -> None:
    stage = closed_by_leak()
    commands = stage.press(0.3)
    assert not any(isinstance(command, SetCoil) for command in commands)
    assert Indicate(LedPattern.DENIED, SounderPattern.ALARM) in commands

    stage.wait(5.0)
    stage.press(4.0)

    assert stage.coils["main", Coil.OPEN] is True
    override = stage.valve()["override"]
    assert isinstance(override, dict)
    assert (override["mode"], override["position"]) == ("hold", "open")


def opened_by_button() -> Stage:
    stage = Stage()
    stage.press(0.3)
    stage.main_travels(Position.CLOSED)
    stage.press(0.3)
    stage.main_travels(Position.OPEN)
    return stage


def test_leak_under_a_timed_override_counts_down_and_then_closes() -> None:
    stage = opened_by_button()
    stage.wet()
    assert LEAK in stage.alarm_ids()
    assert stage.valve()["state"] == "open"

    stage.wait(119.0)
    assert stage.coils["main", Coil.CLOSE] is False
    stage.wait(2.0)

    assert stage.coils["main", Coil.CLOSE] is True
    assert stage.valve()["authority"] == "leak"


def test_press_in_the_countdown_buys_one_more_and_a_long_press_holds() -> None:
    stage = opened_by_button()
    stage.wet()
    stage.wait(110.0)
    stage.press(0.3)
    stage.wait(110.0)
    assert stage.valve()["state"] == "open"

    stage.press(3.5)
    stage.wait(7 * 3600.0)

    assert stage.valve()["state"] == "open"


def test_very_long_press_gives_the_valve_back_to_leak_protection() -> None:
    stage = closed_by_leak()
    stage.press(4.0)
    stage.main_travels(Position.OPEN)

    stage.press(11.0)

    assert stage.coils["main", Coil.CLOSE] is True


def test_lockout_stops_everything_but_the_alarm_and_only_a_local_person_sets_it() -> None:
    stage = Stage()
    stage.ask(Wish.LOCKOUT)
    assert stage.answers()[-1] == ("rejected", "not_allowed")
    stage.ask(Wish.LOCKOUT, kind=ActorKind.LOCAL)

    stage.wet()

    assert stage.coils["main", Coil.CLOSE] is False
    assert {LEAK, "lockout/valve/main"} <= stage.alarm_ids()
    stage.ask(Wish.AUTO, kind=ActorKind.LOCAL)
    assert stage.coils["main", Coil.CLOSE] is True


def test_request_under_an_override_is_stored_and_obeyed_when_the_person_lets_go() -> None:
    stage = opened_by_button()
    stage.ask(Wish.CLOSE)
    assert stage.answers()[-1][0] == "executing"
    assert stage.coils["main", Coil.CLOSE] is False

    stage.press(11.0)
    stage.main_travels(Position.CLOSED)

    assert stage.answers()[-1] == ("succeeded", "")


def test_stored_opening_lapses_and_is_not_executed_by_time() -> None:
    stage = Stage()
    stage.press(0.3)
    stage.main_travels(Position.CLOSED)
    stage.ask(Wish.OPEN)
    assert stage.answers()[-1][0] == "executing"

    stage.wait(2 * 3600.0)

    assert stage.answers()[-1] == ("failed", "expired")
    assert stage.valve()["state"] == "closed"


def test_valve_turned_open_by_hand_is_closed_again_while_water_runs() -> None:
    stage = closed_by_leak()

    stage.switch(Position.CLOSED, made=False)
    stage.wait(2.0)
    stage.switch(Position.OPEN, made=True)

    assert stage.coils["main", Coil.CLOSE] is True
    assert "valve-moved-by-hand/valve/main" in stage.alarm_ids()


def test_restart_with_everything_open_moves_nothing() -> None:
    stage = Stage()

    assert not any(isinstance(command, SetCoil) for command in stage.log)
    assert stage.valve()["state"] == "open"


def test_restart_after_a_leak_keeps_the_latch_and_moves_nothing_if_closed() -> None:
    before = closed_by_leak()
    shut = (
        ValveFound("main", ALL_OPEN[0].coils, {Position.OPEN: False, Position.CLOSED: True}),
        ValveFound("branch", {Coil.OPEN: False}, {}),
        ALL_OPEN[2],
    )

    after = Stage(memory=before.memory, found=shut)

    assert not any(isinstance(command, SetCoil) for command in after.log)
    assert LEAK in after.alarm_ids()
    after.ask(Wish.OPEN)
    assert after.answers()[-1] == ("rejected", "alarm_latched")


def test_restart_finishes_a_closing_that_it_interrupted() -> None:
    before = Stage()
    before.wet()
    midway = (
        ValveFound("main", ALL_OPEN[0].coils, {Position.OPEN: False, Position.CLOSED: False}),
        ValveFound("branch", {Coil.OPEN: False}, {}),
        ALL_OPEN[2],
    )

    after = Stage(memory=before.memory, found=midway)

    assert after.coils["main", Coil.CLOSE] is True


def test_board_that_comes_late_or_again_is_adopted_and_an_open_leak_closes_then() -> None:
    stage = Stage(found=())
    stage.wet()

    commands = stage.handle(ALL_OPEN[0])
    assert SetCoil("main", Coil.CLOSE, True) in commands
    stage.main_travels(Position.CLOSED)
    shut = ValveFound("main", ALL_OPEN[0].coils, {Position.OPEN: False, Position.CLOSED: True})

    assert not any(isinstance(command, SetCoil) for command in stage.handle(shut))
    assert stage.valve()["state"] == "closed"


def test_unreadable_memory_moves_nothing_and_blocks_remote_opening_until_reset() -> None:
    stage = Stage(readable=False)
    assert not any(isinstance(command, SetCoil) for command in stage.log)
    stage.ask(Wish.OPEN)
    assert stage.answers()[-1] == ("rejected", "alarm_latched")

    stage.handle(ResetRequested("memory-lost/gateway", stage.request()))
    stage.ask(Wish.OPEN)

    assert stage.answers()[-1][0] == "succeeded"


def test_hold_and_lockout_survive_a_restart() -> None:
    before = Stage()
    before.press(4.0)
    before.ask(Wish.LOCKOUT, "tap", kind=ActorKind.LOCAL)

    after = Stage(memory=before.memory)

    assert (after.valve("branch")["authority"], after.valve("tap")["authority"]) == ("button", "lockout")


def test_lost_cloud_is_trouble_after_its_patience_and_clears() -> None:
    stage = Stage()
    stage.handle(LinkChanged(up=False))
    stage.wait(899.0)
    assert "cloud-lost/gateway" not in stage.alarm_ids()
    stage.wait(2.0)
    assert "cloud-lost/gateway" in stage.alarm_ids()

    stage.handle(LinkChanged(up=True))

    assert not stage.is_active("cloud-lost/gateway")


def test_a_cloud_that_turns_us_away_is_trouble_at_once_and_until_there_is_a_session() -> None:
    stage = Stage()
    stage.handle(LinkChanged(up=False))
    stage.handle(LinkChanged(up=False, denied="our certificate is revoked"))

    view = stage.core.view(stage.now_s)
    (alarm,) = [alarm for alarm in view["alarms"] if alarm["id"] == "cloud-denied/gateway"]
    assert alarm["class"] == "trouble"
    assert alarm["detail"] == "our certificate is revoked; the building is protected all the same"
    assert view["indicator"]["led"] == LedPattern.CLOUD_DENIED

    stage.handle(LinkChanged(up=False))
    stage.wait(1000.0)
    assert stage.is_active("cloud-denied/gateway")
    assert "cloud-lost/gateway" not in stage.alarm_ids()

    stage.handle(LinkChanged(up=True))
    assert not stage.is_active("cloud-denied/gateway")


def test_a_broker_out_of_reach_is_no_denial() -> None:
    stage = Stage()
    stage.handle(LinkChanged(up=False))
    stage.wait(1000.0)

    assert stage.is_active("cloud-lost/gateway")
    assert "cloud-denied/gateway" not in stage.alarm_ids()


def test_a_leak_closes_the_valves_of_a_gateway_that_the_cloud_turns_away() -> None:
    stage = Stage()
    stage.handle(LinkChanged(up=False, denied="banned"))

    assert SetCoil("main", Coil.CLOSE, True) in stage.wet()


def test_failed_adapter_is_trouble_until_it_recovers() -> None:
    stage = Stage()
    stage.handle(AdapterFailed("ble", "no adapter hci0"))
    assert "adapter/ble" in stage.alarm_ids()

    stage.handle(AdapterRecovered("ble"))

    assert stage.coils["main", Coil.CLOSE] is False


def test_walk_test_shows_water_without_moving_a_valve() -> None:
    stage = Stage()
    stage.handle(WalkTestRequested("plant", on=True, request=stage.request(kind=ActorKind.LOCAL)))

    stage.wet()

    assert stage.coils["main", Coil.CLOSE] is False
    assert LEAK not in stage.alarm_ids()


def test_old_counter_is_trouble_until_a_person_vouches_for_the_sensor() -> None:
    stage = Stage()
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=500, authentic=True)))
    wet = SensorRead("floor", Reading("bthome-v2", wet=True, counter=3, authentic=True))
    stage.handle(wet)
    assert stage.coils["main", Coil.CLOSE] is False
    assert stage.is_active("replay/sensor/floor")

    stage.handle(ResetRequested("replay/sensor/floor", stage.request()))
    stage.handle(wet)

    assert stage.answers()[-1] == ("succeeded", "")
    assert stage.coils["main", Coil.CLOSE] is True


def test_request_for_an_unknown_valve_is_answered() -> None:
    stage = Stage()

    stage.ask(Wish.CLOSE, "nowhere")

    assert stage.answers() == [("rejected", "unknown_subject")]


def test_every_motion_is_recorded_with_actor_and_cause() -> None:
    stage = closed_by_leak()

    intents = stage.records("valve.intent")

    assert {record.subject for record in intents} == {"valve/main", "valve/branch"}
    assert {str(record.actor) for record in intents} == {"leak_protection:zone/plant"}
    assert all(record.cause and record.correlation_id for record in intents)
    alarm = next(message for message in stage.published() if message.body.get("alarm_id") == LEAK)
    assert alarm.body["correlation_id"] == intents[0].correlation_id
