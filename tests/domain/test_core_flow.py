"""Scenes with flowing water: rules close, persons overrule, restarts and failing meters in between."""

import pytest

from gateway.domain.commands import Publish, SetCoil
from gateway.domain.events import (
    AcknowledgeRequested,
    AdapterFailed,
    AdapterRecovered,
    MemoryRead,
    MeterPulsed,
    ResetRequested,
    SensorRead,
    ValveFound,
    ValveRequested,
)
from gateway.domain.model import ActorKind, Coil, LedPattern, Occupancy, Position, Reading, Wish
from gateway.domain.site import OverridePolicy
from tests.fakes.metered import WaterStage, metered_site
from tests.fakes.site import ALL_OPEN

BURST = "flow/rule/burst"
CLOSE_MAIN = SetCoil("main", Coil.CLOSE, True)
MIDWAY = (
    ValveFound("main", ALL_OPEN[0].coils, {Position.OPEN: False, Position.CLOSED: False}),
    *ALL_OPEN[1:],
)


def burst(stage: WaterStage | None = None) -> WaterStage:
    """The burst rule has just commanded the main valve closed."""
    stage = stage or WaterStage()
    stage.flow(60.0, 65.0)
    return stage


def closed_by_flow(stage: WaterStage | None = None) -> WaterStage:
    stage = burst(stage)
    stage.main_travels(Position.CLOSED)
    stage.wait(60.0)
    return stage


# --- a rule closes ------------------------------------------------------------------------------------


def test_flow_rule_closes_its_valve_first_of_all_in_the_call_of_the_pulse_that_proves_it() -> None:
    stage = WaterStage()
    stage.flow(60.0, 60.9)
    assert stage.coils["main", Coil.CLOSE] is False

    stage.wait(0.1)
    commands = stage.handle(MeterPulsed("incoming"))

    assert commands[0] == CLOSE_MAIN
    assert stage.valve()["authority"] == "flow"
    assert BURST in stage.alarm_ids()
    intent = next(r for r in stage.records("valve.intent") if r.subject == "valve/main")
    assert str(intent.actor) == "flow_rule:rule/burst"
    assert "60 l/min for 60 s" in intent.cause
    alarm = next(p for p in stage.published() if p.body.get("alarm_id") == BURST)
    assert alarm.body["correlation_id"] == intent.correlation_id != ""


def test_valve_without_pulses_at_the_kitchen_stays_open() -> None:
    stage = burst()

    assert stage.coils["branch", Coil.OPEN] is True


def test_end_of_the_flow_reopens_nothing_and_the_alarm_stays_latched() -> None:
    stage = closed_by_flow()
    stage.wait(24 * 3600.0)

    assert stage.valve()["state"] == "closed"
    assert not stage.is_active(BURST)
    assert BURST in stage.alarm_ids()


def test_reset_takes_a_person_a_cause_and_the_end_of_the_water_and_leaves_the_valve_closed() -> None:
    stage = burst()
    stage.handle(ResetRequested(BURST, stage.request()))
    assert stage.answers()[-1] == ("rejected", "reset_refused")
    stage.main_travels(Position.CLOSED)
    stage.wait(60.0)
    stage.ask(Wish.OPEN)
    assert stage.answers()[-1] == ("rejected", "alarm_latched")

    stage.handle(ResetRequested(BURST, stage.request()))

    assert stage.answers()[-1] == ("succeeded", "")
    assert (stage.valve()["state"], stage.valve()["authority"]) == ("closed", "auto")
    stage.ask(Wish.OPEN)
    assert stage.coils["main", Coil.OPEN] is True


def test_acknowledging_a_flow_alarm_moves_nothing() -> None:
    stage = closed_by_flow()
    commands = stage.handle(AcknowledgeRequested(BURST, stage.request()))

    assert not any(isinstance(command, SetCoil) for command in commands)
    assert stage.rule()["latched"] is True


# --- who decides --------------------------------------------------------------------------------------


def test_flow_rule_outranks_a_remote_request_and_ends_one_to_open() -> None:
    stage = WaterStage()
    stage.press(0.3)
    stage.main_travels(Position.CLOSED)
    request = stage.request(expires_in_s=600.0)
    stage.handle(ValveRequested("main", Wish.OPEN, request))
    stage.flow(60.0, 65.0)

    assert ("failed", "alarm_latched") in stage.answers()


def test_leak_outranks_a_flow_rule_and_its_reset_leaves_the_rule_in_force() -> None:
    stage = closed_by_flow()
    stage.wet()
    assert stage.valve()["authority"] == "leak"
    stage.wet(wet=False)
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=1, authentic=True)))
    stage.wait(61.0)
    stage.handle(ResetRequested("leak/zone/plant", stage.request()))

    assert stage.valve()["authority"] == "flow"


def test_override_keeps_the_valve_open_without_a_countdown_and_the_rule_closes_when_it_ends() -> None:
    stage = WaterStage()
    stage.press(0.3)
    stage.main_travels(Position.CLOSED)
    stage.press(0.3)
    stage.main_travels(Position.OPEN)

    stage.flow(60.0, 600.0)

    assert (stage.valve()["state"], stage.valve()["authority"]) == ("open", "button")
    assert BURST in stage.alarm_ids()
    override = stage.valve()["override"]
    assert isinstance(override, dict)
    assert override["mode"] == "timed"
    stage.wait(3600.0)
    assert stage.coils["main", Coil.CLOSE] is True or stage.valve()["state"] != "open"


def test_short_press_reopens_what_a_flow_rule_closed_for_an_hour_only() -> None:
    stage = closed_by_flow()
    stage.press(0.3)
    stage.main_travels(Position.OPEN)
    assert (stage.valve()["state"], stage.valve()["authority"]) == ("open", "button")

    commands = stage.wait(3600.0)

    assert CLOSE_MAIN in commands


def test_hold_keeps_it_open_for_good() -> None:
    stage = closed_by_flow()
    stage.press(4.0)
    stage.main_travels(Position.OPEN)
    stage.flow(60.0, 24 * 3600.0 / 60)

    assert stage.valve()["state"] == "open"


def test_lockout_outranks_a_flow_rule_which_closes_when_it_is_removed() -> None:
    stage = WaterStage()
    stage.ask(Wish.LOCKOUT, kind=ActorKind.LOCAL)
    stage.flow(60.0, 120.0)
    assert stage.valve()["state"] == "out_of_service"

    commands = stage.ask(Wish.AUTO, kind=ActorKind.LOCAL)

    assert commands[0] == CLOSE_MAIN


def test_leak_that_comes_while_a_flow_alarm_is_overridden_still_starts_the_countdown() -> None:
    stage = closed_by_flow()
    stage.press(0.3)
    stage.main_travels(Position.OPEN)
    stage.wet()

    override = stage.valve()["override"]
    assert isinstance(override, dict)
    assert override["mode"] == "countdown"


def test_valve_that_somebody_turns_open_by_hand_is_closed_again_when_the_water_runs_on() -> None:
    stage = closed_by_flow()
    stage.switch(Position.CLOSED, made=False)
    stage.switch(Position.OPEN, made=True)
    assert stage.valve()["state"] == "open"

    assert CLOSE_MAIN in stage.flow(60.0, 65.0)


def test_valve_that_a_plumber_opens_by_hand_in_maintenance_is_left_open() -> None:
    stage = closed_by_flow()
    stage.occupy(Occupancy.MAINTENANCE)
    stage.switch(Position.CLOSED, made=False)
    stage.switch(Position.OPEN, made=True)

    assert CLOSE_MAIN not in stage.flow(60.0, 65.0)


def test_water_that_runs_on_through_a_closed_valve_does_not_fill_the_journal() -> None:
    stage = closed_by_flow()
    recorded = len(stage.records("valve.intent"))
    stage.flow(60.0, 600.0)

    assert len(stage.records("valve.intent")) - recorded <= 3 * 2


# --- warning ------------------------------------------------------------------------------------------


def test_warning_before_closing_is_supervisory_and_ends_with_the_flow() -> None:
    stage = WaterStage()
    stage.occupy(Occupancy.UNOCCUPIED)
    stage.flow(6.0, 640.0)
    assert "flow-warning/rule/away" in stage.alarm_ids()
    assert stage.rule("away")["state"] == "warning"

    stage.wait(600.0)

    assert stage.coils["main", Coil.CLOSE] is False
    assert not stage.is_active("flow-warning/rule/away")


def test_warning_that_nobody_heeds_becomes_a_closing() -> None:
    stage = WaterStage()
    stage.occupy(Occupancy.UNOCCUPIED)
    commands = stage.flow(6.0, 760.0)

    assert CLOSE_MAIN in commands
    assert not stage.is_active("flow-warning/rule/away")


# --- occupancy ----------------------------------------------------------------------------------------


def test_occupancy_is_recorded_remembered_told_and_shown() -> None:
    stage = WaterStage()
    assert stage.core.view(stage.now_s)["occupancy"] == "occupied"
    stage.occupy(Occupancy.UNOCCUPIED, may_open=False)

    assert stage.answers()[-1] == ("succeeded", "")
    record = stage.records("occupancy")[-1]
    assert (str(record.actor), record.detail) == ("local:alice", {"mode": "unoccupied", "was": "occupied"})
    told = [p for p in stage.published() if p.kind == "occupancy"]
    assert told[-1].body["mode"] == "unoccupied"
    again = WaterStage(memory=stage.memory)
    assert again.core.view(again.now_s)["occupancy"] == "unoccupied"


def test_maintenance_takes_who_may_open_and_is_shown_until_it_ends_also_over_a_restart() -> None:
    stage = WaterStage()
    stage.occupy(Occupancy.MAINTENANCE, may_open=False)
    assert stage.answers()[-1] == ("rejected", "not_authorised")
    stage.occupy(Occupancy.MAINTENANCE)
    assert stage.is_active("maintenance/gateway")
    assert stage.core.view(stage.now_s)["state"] == "supervisory"

    again = WaterStage(memory=stage.memory)
    again.wait(3600.0)
    assert again.is_active("maintenance/gateway")
    again.flow(60.0, 300.0)
    assert again.coils["main", Coil.CLOSE] is False
    assert BURST in again.alarm_ids()
    again.occupy(Occupancy.OCCUPIED)

    assert not again.is_active("maintenance/gateway")
    assert CLOSE_MAIN in again.flow(60.0, 10.0)


def test_unknown_memory_means_occupied() -> None:
    for memory in ({}, {"occupancy": "party"}, {"occupancy": 7}):
        stage = WaterStage(memory=dict(memory))
        assert stage.core.view(stage.now_s)["occupancy"] == "occupied"


# --- time ---------------------------------------------------------------------------------------------


def test_rule_with_periods_closes_in_them_and_only_notifies_without_a_trusted_clock() -> None:
    stage = WaterStage()
    stage.flow(10.0, 200.0, "kitchen")
    assert "flow/rule/night" in stage.alarm_ids()
    assert stage.coils["branch", Coil.OPEN] is True

    other = WaterStage()
    other.time(12 * 60)
    other.flow(10.0, 120.0, "kitchen")
    assert "flow/rule/night" not in other.alarm_ids()
    other.time(22 * 60)
    other.flow(10.0, 140.0, "kitchen")
    assert other.coils["branch", Coil.OPEN] is False


def test_clock_that_falls_silent_is_not_believed_any_more() -> None:
    stage = WaterStage()
    stage.time(22 * 60)
    stage.wait(3600.0)
    stage.flow(10.0, 200.0, "kitchen")

    assert stage.rule("night")["notify_only"] != ""
    assert stage.coils["branch", Coil.OPEN] is True


# --- restart ------------------------------------------------------------------------------------------


def test_latched_flow_alarm_stands_after_a_restart_and_its_interrupted_closing_is_finished() -> None:
    before = burst()

    after = WaterStage(memory=before.memory, found=MIDWAY)

    assert after.coils["main", Coil.CLOSE] is True
    assert (after.rule()["latched"], after.rule()["closing"]) == (True, True)
    assert after.valve()["authority"] == "flow"
    after.handle(ResetRequested(BURST, after.request()))
    assert after.answers()[-1] == ("rejected", "reset_refused")
    after.wait(11.0)
    after.handle(ResetRequested(BURST, after.request()))
    assert after.answers()[-1] == ("succeeded", "")


def test_restart_closes_nothing_for_a_rule_that_had_only_notified() -> None:
    before = WaterStage()
    before.occupy(Occupancy.MAINTENANCE)
    burst(before)
    assert BURST in before.alarm_ids()

    after = WaterStage(memory=before.memory)

    assert not any(isinstance(command, SetCoil) for command in after.log)
    assert after.rule()["latched"] is True


def test_restart_closes_nothing_for_a_flow_alarm_that_was_reset() -> None:
    before = closed_by_flow()
    before.handle(ResetRequested(BURST, before.request()))

    after = WaterStage(memory=before.memory, found=MIDWAY)

    assert not any(isinstance(command, SetCoil) for command in after.log)


def test_restart_during_an_override_against_a_flow_rule_gives_the_countdown() -> None:
    before = closed_by_flow()
    before.press(0.3)
    before.main_travels(Position.OPEN)

    after = WaterStage(memory=before.memory)

    assert not any(isinstance(command, SetCoil) for command in after.log)
    assert CLOSE_MAIN in after.wait(121.0)


def test_totals_survive_a_restart_and_a_stop_keeps_the_last_litre() -> None:
    before = WaterStage()
    before.flow(20.0, 100.0)
    counted = before.meter()["litres"]
    before._take([*before.core.stop(before.now_s)])

    after = WaterStage(memory=before.memory)

    assert after.meter()["litres"] == counted == 33.0


def test_restart_midway_of_a_valve_that_is_held_open_against_an_alarm_opens_nothing() -> None:
    before = closed_by_flow()
    before.press(4.0)
    again = WaterStage(memory=before.memory, found=MIDWAY)

    assert again.valve()["override"] is not None
    assert not any(isinstance(c, SetCoil) and c.coil is Coil.OPEN and c.energised for c in again.log)


def test_restart_ends_a_warning_since_the_count_begins_anew() -> None:
    before = WaterStage()
    before.occupy(Occupancy.UNOCCUPIED)
    before.flow(6.0, 640.0)
    late = WaterStage(readable=False)
    late.handle(MemoryRead(dict(before.memory)))

    for again in (WaterStage(memory=before.memory), late):
        assert not again.is_active("flow-warning/rule/away")


# --- memory that comes late ---------------------------------------------------------------------------


def test_memory_that_is_read_late_brings_back_latches_lockouts_and_totals_and_finishes_the_closing() -> None:
    before = burst()
    before.ask(Wish.LOCKOUT, "tap", kind=ActorKind.LOCAL)
    after = WaterStage(memory=before.memory, found=MIDWAY, readable=False)
    assert not any(isinstance(command, SetCoil) for command in after.log)
    assert "memory-lost/gateway" in after.alarm_ids()
    after.handle(MeterPulsed("incoming"))

    commands = after.handle(MemoryRead(before.memory))

    assert commands[0] == CLOSE_MAIN
    assert after.valve()["authority"] == "flow"
    assert after.valve("tap")["authority"] == "lockout"
    assert BURST in after.alarm_ids()
    assert int(str(after.meter()["pulses"])) > 1
    after.handle(AcknowledgeRequested("memory-lost/gateway", after.request()))
    assert "memory-lost/gateway" not in after.alarm_ids()


def test_late_memory_finishes_an_interrupted_closing_for_a_leak() -> None:
    before = WaterStage()
    before.wet()
    after = WaterStage(memory=before.memory, found=MIDWAY, readable=False)

    commands = after.handle(MemoryRead(before.memory))

    assert CLOSE_MAIN in commands
    assert "leak/zone/plant" in after.alarm_ids()
    after.ask(Wish.OPEN)
    assert after.answers()[-1] == ("rejected", "alarm_latched")


def test_what_persons_decided_since_the_start_is_newer_than_late_memory() -> None:
    before = WaterStage()
    before.wet()
    before.press(4.0)  # a hold
    old = dict(before.memory)
    after = WaterStage(found=ALL_OPEN, readable=False)
    after.press(4.0)
    after.main_travels(Position.CLOSED)
    after.press(11.0)
    after.press(4.0)
    after.main_travels(Position.OPEN)
    after.occupy(Occupancy.UNOCCUPIED)

    commands = after.handle(MemoryRead({**old, "occupancy": "maintenance"}))

    moved = [command.valve_id for command in commands if isinstance(command, SetCoil)]
    assert moved == ["branch"]  # nobody has touched that one
    override = after.valve()["override"]
    assert isinstance(override, dict)
    assert (override["position"], override["mode"]) == ("open", "hold")
    assert after.core.view(after.now_s)["occupancy"] == "unoccupied"
    assert "leak/zone/plant" in after.alarm_ids()


def test_late_memory_moves_nothing_without_a_latched_alarm() -> None:
    before = WaterStage()
    before.ask(Wish.CLOSE)
    after = WaterStage(readable=False)

    commands = after.handle(MemoryRead(before.memory))

    assert not any(isinstance(command, SetCoil) for command in commands)
    assert after.valve()["authority"] == "request"


def test_replay_counters_of_late_memory_count() -> None:
    before = WaterStage()
    before.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=500, authentic=True)))
    after = WaterStage(readable=False)
    after.handle(MemoryRead(before.memory))

    after.handle(SensorRead("floor", Reading("bthome-v2", wet=True, counter=400, authentic=True)))

    assert "leak/zone/plant" not in after.alarm_ids()
    assert "replay/sensor/floor" in after.alarm_ids()


def test_memory_that_comes_twice_or_was_never_missed_changes_nothing() -> None:
    before = burst()
    after = WaterStage()

    assert [*after.handle(MemoryRead(before.memory))] == []
    assert after.alarm_ids() == set()


def test_mode_that_somebody_confirmed_before_the_memory_came_is_newer_than_it() -> None:
    before = WaterStage()
    before.occupy(Occupancy.MAINTENANCE)
    stage = WaterStage(readable=False)
    stage.occupy(Occupancy.OCCUPIED)
    stage.handle(MemoryRead(dict(before.memory)))

    assert stage.core.view(stage.now_s)["occupancy"] == "occupied"
    assert not stage.is_active("maintenance/gateway")


def test_lockout_that_somebody_on_site_removed_does_not_come_back_with_late_memory() -> None:
    before = WaterStage()
    before.ask(Wish.LOCKOUT, kind=ActorKind.LOCAL)
    local, remote = WaterStage(readable=False), WaterStage(readable=False)
    local.ask(Wish.AUTO, kind=ActorKind.LOCAL)
    local.handle(MemoryRead(dict(before.memory)))
    assert local.valve()["state"] == "open"
    assert not local.is_active("lockout/valve/main")

    remote.ask(Wish.AUTO, kind=ActorKind.REMOTE)
    remote.handle(MemoryRead(dict(before.memory)))
    assert remote.valve()["state"] == "out_of_service"
    assert remote.is_active("lockout/valve/main")


def test_very_long_press_before_the_memory_came_ends_the_hold_in_it() -> None:
    before = WaterStage()
    before.press(4.0)
    assert before.is_active("override/valve/main")
    stage = WaterStage(readable=False)
    stage.press(12.0)
    stage.handle(MemoryRead(dict(before.memory)))

    assert stage.valve()["override"] is None
    assert not stage.is_active("override/valve/main")


def test_alarm_of_late_memory_cannot_be_reset_while_its_meter_cannot_be_heard() -> None:
    before = closed_by_flow()
    stage = WaterStage(readable=False)
    stage.handle(AdapterFailed("meter/incoming", "line lost"))
    stage.handle(MemoryRead(dict(before.memory)))
    stage.wait(300.0)
    stage.handle(ResetRequested(BURST, stage.request()))
    assert stage.answers()[-1] == ("rejected", "reset_refused")

    stage.handle(AdapterRecovered("meter/incoming"))
    stage.wait(20.0)
    stage.handle(ResetRequested(BURST, stage.request()))
    assert stage.answers()[-1] == ("succeeded", "")


def test_rule_that_closes_anew_since_the_start_goes_on_closing_when_the_memory_comes() -> None:
    before = WaterStage()
    before.occupy(Occupancy.MAINTENANCE)
    burst(before)
    stage = burst(WaterStage(readable=False))
    assert stage.rule()["closing"] is True
    stage.handle(MemoryRead(dict(before.memory)))

    assert stage.rule()["closing"] is True


def test_dry_that_a_sensor_said_since_the_start_is_newer_than_late_memory() -> None:
    stage = WaterStage(readable=False)
    stage.handle(SensorRead("sink", Reading("switchbot", wet=False)))
    stage.handle(MemoryRead({"counter/sink": {"counter": None, "wet": True}}))

    zone = stage.core.view(stage.now_s)["zones"]
    assert isinstance(zone, dict)
    kitchen = zone["kitchen"]
    assert isinstance(kitchen, dict)
    assert kitchen["wet"] == []


def test_late_memory_closes_no_valve_that_somebody_has_asked_to_open_since() -> None:
    before = burst()
    stage = WaterStage(readable=False)
    stage.handle(ResetRequested("memory-lost/gateway", stage.request()))
    stage.ask(Wish.OPEN)
    commands = stage.handle(MemoryRead(dict(before.memory)))

    assert CLOSE_MAIN not in commands
    assert stage.valve()["authority"] == "flow"


# --- a meter that fails -------------------------------------------------------------------------------


def test_meter_that_fails_is_a_trouble_shown_as_unknown_and_closes_nothing() -> None:
    stage = WaterStage()
    stage.flow(60.0, 30.0)
    stage.handle(AdapterFailed("meter/incoming", "line lost"))
    assert stage.meter()["state"] == "unknown"
    assert "adapter/meter/incoming" in stage.alarm_ids()
    stage.wait(3600.0)
    assert stage.coils["main", Coil.CLOSE] is False

    stage.handle(AdapterRecovered("meter/incoming"))

    assert stage.meter()["state"] == "none"
    assert CLOSE_MAIN in stage.flow(60.0, 65.0)


def test_unknown_meters_and_impossible_counts_are_ignored() -> None:
    stage = WaterStage()
    for event in (MeterPulsed("cellar"), MeterPulsed("incoming", 0), MeterPulsed("incoming", -4)):
        assert stage.handle(event) == []


def test_meter_that_counts_can_be_heard_again_and_its_silence_counts_from_then_on() -> None:
    stage = burst()
    stage.handle(AdapterFailed("meter/incoming", "line lost"))
    stage.wait(600.0)
    assert stage.is_active(BURST)
    stage.handle(MeterPulsed("incoming"))
    stage.wait(9.0)
    assert stage.is_active(BURST)
    stage.wait(60.0)

    assert not stage.is_active(BURST)


# --- telling ------------------------------------------------------------------------------------------


def test_begin_and_end_of_a_flow_are_told_sparingly() -> None:
    stage = WaterStage()
    for _ in range(60):
        stage.flow(20.0, 20.0)
        stage.wait(40.0)

    told = [p.body["state"] for p in stage.published() if p.kind == "flow"]
    assert 1 <= len(told) <= 61
    assert told[:2] == ["flowing", "none"] or told[:1] == ["flowing"]


def test_a_flow_that_goes_on_is_told_once() -> None:
    stage = WaterStage()
    stage.flow(20.0, 3600.0)
    stage.wait(3600.0)

    told = [p.body for p in stage.published() if p.kind == "flow"]
    assert [body["state"] for body in told] == ["flowing", "none"]
    assert told[0]["l_per_min"] == pytest.approx(20.0)


def test_that_a_meter_cannot_be_heard_is_told_as_sparingly() -> None:
    stage = WaterStage()
    stage.flow(20.0, 120.0)
    for _ in range(100):
        stage.handle(AdapterFailed("meter/incoming", "line lost"))
        stage.wait(1.0)
    told = [p.body for p in stage.published() if p.kind == "flow"]

    assert [body["state"] for body in told] == ["flowing", "unknown"]
    assert told[-1]["l_per_min"] is None
    stage.wait(3600.0)
    assert stage.core.next_deadline_s() is None


def test_telemetry_never_goes_out_as_an_alarm_or_event() -> None:
    stage = burst()
    kinds = {p.kind for p in stage.published() if isinstance(p, Publish) and p.channel.name == "TELE"}

    assert kinds <= {"flow", "water"}


def test_flow_alarm_sounds_and_flashes() -> None:
    stage = burst(WaterStage(metered_site(OverridePolicy())))
    indicator = stage.core.view(stage.now_s)["indicator"]

    assert indicator == {"led": LedPattern.ALARM.value, "sounder": "alarm"}
