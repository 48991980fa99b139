"""When an update has to wait, told to a real core as events; and the lease it gets."""

from dataclasses import replace

import pytest

from gateway.domain.commands import SetCoil
from gateway.domain.disruption import GONE_S, SOON_S, UNDELIVERED_MAX_S, Lease, reasons, undelivered
from gateway.domain.events import (
    AcknowledgeRequested,
    ExerciseRequested,
    MeterPulsed,
    ResetRequested,
    SensorRead,
    TimeTold,
    UpdateReported,
    ValveFound,
    WalkTestRequested,
)
from gateway.domain.model import Coil, Json, Position, Reading, Wish
from gateway.domain.site import FlowRuleSpec, MeterSpec, Site, ValveKind, ValveSpec
from gateway.domain.update.trouble import UPDATE_FAILED
from gateway.domain.update.words import Step
from tests.fakes.site import Stage, small_site

LEAK = "leak/zone/plant"
CHANGES = (Step.INSTALL, Step.REBOOT)


def said(stage: Stage, step: Step = Step.INSTALL) -> list[str]:
    return stage.core.disruption(stage.now_s, step)


def calm() -> Stage:
    stage = Stage()
    stage.wet("sump", wet=False)
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=1, authentic=True)))
    stage.handle(SensorRead("sink", Reading("switchbot", wet=False)))
    return stage


@pytest.mark.parametrize("step", Step)
def test_in_a_calm_building_everything_may_be_done(step: Step) -> None:
    assert said(calm(), step) == []


@pytest.mark.parametrize("step", Step)
def test_water_and_a_valve_on_its_way_hold_up_everything(step: Step) -> None:
    stage = calm()
    stage.wet()

    waits = said(stage, step)

    assert "zone plant is wet: sump" in waits
    assert "valve main is closing" in waits


def test_water_that_is_not_confirmed_yet_holds_up_a_download() -> None:
    stage = calm()
    stage.handle(SensorRead("sink", Reading("switchbot", wet=True)))

    assert said(stage, Step.DOWNLOAD) == ["zone kitchen is wet: sink"]


def test_a_closed_valve_with_a_latched_leak_is_no_peace_but_a_download_may_come() -> None:
    stage = calm()
    stage.wet()
    stage.main_travels(Position.CLOSED)
    stage.wet(wet=False)
    stage.wait(300.0)

    assert [said(stage, step) for step in CHANGES] == [[f"alarm {LEAK} has not been reset"]] * 2
    assert said(stage, Step.DOWNLOAD) == []

    stage.handle(ResetRequested(LEAK, stage.request()))
    assert said(stage) == []


def test_a_leak_from_before_a_restart_holds_up_also_while_nothing_is_heard() -> None:
    before = calm()
    before.wet()

    assert any(reason.startswith(f"alarm {LEAK}") for reason in said(Stage(memory=before.memory)))


def test_a_valve_that_fails_to_close_is_no_time_for_an_update() -> None:
    stage = calm()
    stage.ask(Wish.CLOSE)
    stage.wait(1000.0)

    assert "alarm fail-to-close/valve/main is not over" in said(stage)


def test_a_walk_test_is_finished_first() -> None:
    stage = calm()
    stage.handle(WalkTestRequested("plant", True, stage.request()))

    assert said(stage) == ["a walk test of zone plant runs"]
    assert said(stage, Step.DOWNLOAD) == []


def test_a_timed_override_ends_with_a_restart_and_is_waited_for_a_hold_is_not() -> None:
    short, long = calm(), calm()
    short.press(0.3)
    long.press(4.0)
    short.main_travels(Position.CLOSED)
    long.main_travels(Position.CLOSED)
    short.wait(30.0)
    long.wait(30.0)

    assert "somebody at the button holds valve main" in said(short)
    assert said(long) == []

    short.wait(3600.0)
    assert said(short) == []


def test_a_person_who_holds_a_valve_open_against_a_leak_is_waited_for() -> None:
    stage = calm()
    stage.press(0.3)
    stage.press(0.3)
    stage.wet()

    assert any("held open against a leak" in reason for reason in said(stage))


def metered() -> Stage:
    valve = ValveSpec(id="main", kind=ValveKind.SPRING_RETURN)
    meter = MeterSpec(id="street", litres_per_pulse=10.0, valves=("main",))
    rule = FlowRuleSpec(id="night", meter="street", above_l_per_min=4.0, for_s=2700.0, pre_alarm_s=120.0)
    site = Site(valves={"main": valve}, meters={"street": meter}, flow_rules={"night": rule})
    stage = Stage(site, found=(ValveFound("main", {Coil.OPEN: True}, {}),))
    stage.handle(TimeTold(1_795_386_000.0, 600, True))
    return stage


def run_water(stage: Stage, seconds: float) -> None:
    for _ in range(int(seconds // 30)):
        stage.handle(MeterPulsed("street"))
        stage.wait(30.0)


def test_a_flow_rule_that_has_just_begun_to_count_may_begin_anew_one_about_to_close_may_not() -> None:
    stage = metered()
    run_water(stage, 900.0)
    assert said(stage) == []

    run_water(stage, 2700.0 - 900.0 - SOON_S + 120.0)
    assert any(reason.startswith("flow rule night closes in ") for reason in said(stage))
    assert said(stage, Step.DOWNLOAD) == []

    run_water(stage, 3000.0)
    assert "alarm flow/rule/night" in " ".join(said(stage))


def test_a_rule_that_only_notifies_holds_nothing_up() -> None:
    rule: dict[str, Json] = {
        "action": "notify",
        "state": "counting",
        "for_s": 60.0,
        "above_s": 59.0,
        "closes_in_s": None,
    }

    assert reasons({"flow_rules": {"r": rule}}, Step.REBOOT) == []
    assert reasons({"flow_rules": {"r": {**rule, "action": "close"}}}, Step.REBOOT) != []


# --- alarms that nobody has heard of --------------------------------------------------------------------


def test_undelivered_alarms_hold_up_while_the_cloud_is_there() -> None:
    assert undelivered(1, gone_s=0.0, waited_s=0.0) == ["1 alarm message has not reached the cloud yet"]
    assert undelivered(3, gone_s=GONE_S - 1, waited_s=0.0) == [
        "3 alarm messages have not reached the cloud yet"
    ]
    assert undelivered(0, gone_s=0.0, waited_s=0.0) == []


def test_a_cloud_that_has_been_away_for_long_or_does_not_exist_holds_nothing_up() -> None:
    assert undelivered(3, gone_s=GONE_S, waited_s=0.0) == []
    assert undelivered(3, gone_s=None, waited_s=0.0) == []


def test_an_alarm_that_never_leaves_holds_up_for_a_day_at_most() -> None:
    assert undelivered(1, gone_s=0.0, waited_s=UNDELIVERED_MAX_S - 1) != []
    assert undelivered(1, gone_s=0.0, waited_s=UNDELIVERED_MAX_S) == []


# --- the lease ------------------------------------------------------------------------------------------


def exercised() -> Stage:
    site = small_site()
    valves = {key: replace(spec, exercise_every_s=7200.0) for key, spec in site.valves.items()}
    return Stage(Site(valves=valves))


def test_no_exercise_begins_while_a_lease_runs_and_it_is_made_up_for_afterwards() -> None:
    stage = exercised()
    stage.wait(7000.0)
    valid_s = stage.core.lease.grant(Step.INSTALL, stage.now_s)

    during = stage.wait(valid_s - 1.0)
    after = stage.wait(2.0)

    assert not [command for command in during if isinstance(command, SetCoil)]
    assert SetCoil("main", Coil.CLOSE, True) in after


def test_a_lease_for_a_download_does_not_keep_valves_from_their_exercise() -> None:
    stage = exercised()
    stage.core.lease.grant(Step.DOWNLOAD, stage.now_s)

    assert SetCoil("main", Coil.CLOSE, True) in stage.wait(7201.0)


def test_leases_one_after_another_do_not_put_an_exercise_off_for_ever() -> None:
    stage = exercised()
    granted, moved_after_s = 0, 0.0
    while not moved_after_s and stage.now_s < 7 * 86_400.0:
        if not said(stage):
            granted += 1
            stage.core.lease.grant(Step.INSTALL, stage.now_s)
        if [command for command in stage.wait(600.0) if isinstance(command, SetCoil)]:
            moved_after_s = stage.now_s

    assert granted > 100
    assert 86_400.0 < moved_after_s < 86_400.0 + 7200.0 + 3600.0
    assert not [reason for reason in said(stage) if "exercise" in reason]


def test_a_download_does_not_wait_for_an_exercise() -> None:
    stage = exercised()
    for _ in range(200):
        stage.core.lease.grant(Step.INSTALL, stage.now_s)
        stage.wait(600.0)

    assert "valve main has waited too long for its exercise" in said(stage)
    assert said(stage, Step.DOWNLOAD) == []


def test_a_person_is_told_why_no_exercise_begins() -> None:
    stage = calm()
    stage.core.lease.grant(Step.REBOOT, stage.now_s)

    stage.handle(ExerciseRequested("main", stage.request()))

    assert stage.answers() == [("rejected", "not_quiet")]


def test_a_leak_closes_its_valves_whatever_was_promised() -> None:
    stage = calm()
    stage.core.lease.grant(Step.REBOOT, stage.now_s)

    assert stage.wet()[:2] == [SetCoil("main", Coil.CLOSE, True), SetCoil("branch", Coil.OPEN, False)]


def test_a_lease_ends_by_itself_or_early() -> None:
    lease = Lease()
    valid_s = lease.grant(Step.INSTALL, 100.0)

    assert lease.holds(100.0 + valid_s - 1.0)
    assert not lease.holds(100.0 + valid_s)
    assert lease.left_s(100.0) == valid_s

    lease.end()
    assert (lease.holds(101.0), lease.left_s(101.0)) == (False, 0.0)


# --- the trouble that an update leaves ------------------------------------------------------------------


def rolled_back() -> Stage:
    stage = calm()
    stage.handle(UpdateReported("os", "1.4.0", "rolled_back", "sensor cellar is silent"))
    return stage


def test_an_update_that_was_taken_back_is_a_trouble_until_the_next_one_succeeds() -> None:
    stage = rolled_back()
    assert stage.is_active(UPDATE_FAILED)

    stage.handle(UpdateReported("os", "1.4.1", "downloading"))
    assert stage.is_active(UPDATE_FAILED)

    stage.handle(UpdateReported("os", "1.4.1", "succeeded"))
    assert not stage.is_active(UPDATE_FAILED)


def test_who_acknowledges_it_ends_it() -> None:
    stage = rolled_back()

    stage.handle(AcknowledgeRequested(UPDATE_FAILED, stage.request()))

    assert UPDATE_FAILED not in stage.alarm_ids()
    assert UPDATE_FAILED not in Stage(memory=stage.memory).alarm_ids()


def test_it_outlives_a_restart() -> None:
    after = Stage(memory=rolled_back().memory)
    after.wait(7200.0)

    assert after.is_active(UPDATE_FAILED)


@pytest.mark.parametrize("state", ["failed", "rejected", "cancelled", "waiting"])
def test_an_update_that_changed_nothing_is_no_trouble(state: str) -> None:
    stage = calm()
    stage.handle(UpdateReported("app", "2.0", state, "no space"))

    assert UPDATE_FAILED not in stage.alarm_ids()
