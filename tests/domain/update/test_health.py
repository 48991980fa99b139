"""The health gate, before and after the restart of a real core."""

import json
from collections.abc import Mapping

import pytest

from gateway.domain.events import AdapterFailed, EndSwitchChanged, LinkChanged, SensorFaulted, SensorRead
from gateway.domain.model import Coil, Json, Position, Reading
from gateway.domain.update.health import CORE_LATE_S, Verdict, baseline, judge
from tests.fakes.site import ALL_OPEN, Stage

UP: dict[str, Json] = {"state": "up", "detail": "", "denied": "", "key": "tpm"}
DOWN: dict[str, Json] = {"state": "down", "detail": "no route to host", "denied": "", "key": ""}
WRITABLE: dict[str, Json] = {"state": "ok", "detail": ""}


def view_of(
    stage: Stage,
    *,
    link: Mapping[str, Json] = UP,
    store: Mapping[str, Json] = WRITABLE,
    core_late_s: float = 0.0,
) -> dict[str, Json]:
    gateway: dict[str, Json] = {"version": "1", "core_late_s": core_late_s}
    return {**stage.core.view(stage.now_s), "gateway": gateway, "link": {**link}, "store": {**store}}


def all_heard(stage: Stage, counter: int = 1) -> Stage:
    stage.wet("sump", wet=False)
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=counter, authentic=True)))
    stage.handle(SensorRead("sink", Reading("switchbot", wet=False)))
    return stage


def restarted(before: Stage) -> Stage:
    return Stage(memory=before.memory)


def before_and_after() -> tuple[dict[str, Json], Stage]:
    """A baseline of a building in which all is well, and the same building after a restart."""
    stage = all_heard(Stage())
    return baseline(view_of(stage)), restarted(stage)


def verdict(before: dict[str, Json], stage: Stage, signs: bool | None = True) -> Verdict:
    return judge(before, view_of(stage), signs=signs)


def test_all_is_well_once_every_sensor_has_spoken_again() -> None:
    before, stage = before_and_after()
    early = verdict(before, stage)

    all_heard(stage, counter=2)

    assert early.missed == ("sensor sump is silent", "sensor floor is silent", "sensor sink is silent")
    assert verdict(before, stage) == Verdict((), "as before")
    assert verdict(before, stage).healthy


def test_a_baseline_survives_the_record_on_disk() -> None:
    before, stage = before_and_after()

    assert verdict(json.loads(json.dumps(before)), all_heard(stage, 2)).healthy
    assert len(json.dumps(before)) < 1000


def test_a_sensor_that_speaks_each_hour_is_not_waited_for() -> None:
    stage = all_heard(Stage())
    stage.wait(500.0)
    before = baseline(view_of(stage))

    after = restarted(stage)
    after.wet("sump", wet=False)

    assert verdict(before, after).healthy


def test_a_wired_contact_is_waited_for_however_long_ago_it_changed() -> None:
    stage = all_heard(Stage())
    stage.wait(500.0)
    before = baseline(view_of(stage))

    assert verdict(before, restarted(stage)).missed == ("sensor sump is silent",)


def test_a_sensor_that_was_broken_before_holds_nothing_up() -> None:
    stage = all_heard(Stage())
    stage.handle(SensorFaulted("sump", "no such line"))
    before = baseline(view_of(stage))

    after = restarted(stage)
    after.handle(SensorFaulted("sump", "no such line"))
    after.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=2, authentic=True)))
    after.handle(SensorRead("sink", Reading("switchbot", wet=False)))

    assert verdict(before, after).healthy


def test_a_sensor_that_the_new_version_cannot_read_is_named_with_its_fault() -> None:
    before, stage = before_and_after()
    all_heard(stage, 2).handle(SensorFaulted("sump", "no such line"))

    assert verdict(before, stage).missed == ("sensor sump is not healthy: sensor-fault: no such line",)


def test_a_valve_that_can_no_longer_be_read_is_missed() -> None:
    stage = all_heard(Stage())
    before = baseline(view_of(stage))
    lost = tuple(found for found in ALL_OPEN if found.valve_id != "main")

    after = all_heard(Stage(memory=stage.memory, found=lost), 2)

    assert verdict(before, after).missed == ("valve main cannot be read: it is unknown",)


def test_a_valve_that_was_unknown_before_may_stay_so() -> None:
    lost = tuple(found for found in ALL_OPEN if found.valve_id != "main")
    stage = all_heard(Stage(found=lost))
    before = baseline(view_of(stage))

    assert verdict(before, all_heard(Stage(memory=stage.memory, found=lost), 2)).healthy


def test_a_closed_valve_is_as_good_as_an_open_one() -> None:
    before, stage = before_and_after()
    all_heard(stage, 2)
    stage.wet()
    stage.main_travels(Position.CLOSED)

    assert stage.coils["main", Coil.CLOSE] is False
    assert verdict(before, stage).healthy


def test_a_leak_during_the_gate_is_no_fault_of_the_update() -> None:
    before, stage = before_and_after()
    all_heard(stage, 2).wet()

    assert verdict(before, stage).healthy


def test_end_switches_that_contradict_each_other_are_missed() -> None:
    before, stage = before_and_after()
    all_heard(stage, 2).handle(EndSwitchChanged("main", Position.CLOSED, made=True))
    stage.wait(60.0)

    missed = verdict(before, stage).missed

    assert any(phrase.startswith("new trouble both-switches/valve/main") for phrase in missed)


@pytest.mark.parametrize("part", ["config", "disk", "board", "link", "control"])
def test_a_part_that_fails_since_the_update_is_missed(part: str) -> None:
    before, stage = before_and_after()
    all_heard(stage, 2).handle(AdapterFailed(part, "broken"))

    assert verdict(before, stage).missed == (f"new trouble adapter/{part}: broken",)


def test_a_part_that_failed_before_may_fail_still() -> None:
    stage = all_heard(Stage())
    stage.handle(AdapterFailed("button/lobby", "no such line"))
    before = baseline(view_of(stage))

    after = all_heard(restarted(stage), 2)
    after.handle(AdapterFailed("button/lobby", "still no such line"))

    assert verdict(before, after).healthy


def test_a_certificate_that_comes_of_age_is_not_the_updates_doing() -> None:
    before, stage = before_and_after()
    all_heard(stage, 2).handle(AdapterFailed("certificate", "ends in 3 days"))

    assert verdict(before, stage).healthy


def test_a_store_that_cannot_be_written_is_missed_only_if_it_could_be() -> None:
    stage = all_heard(Stage())
    failing: dict[str, Json] = {"state": "failing", "detail": "read-only file system"}
    said = "the store cannot be written: read-only file system"

    good, bad = baseline(view_of(stage)), baseline(view_of(stage, store=failing))

    assert judge(good, view_of(stage, store=failing), signs=True).missed == (said,)
    assert judge(bad, view_of(stage, store=failing), signs=True).healthy


def test_a_core_that_does_not_tick_is_missed() -> None:
    stage = all_heard(Stage())
    before = baseline(view_of(stage))

    late = judge(before, view_of(stage, core_late_s=CORE_LATE_S + 7), signs=True)

    assert late.missed == ("the core does not tick: it is late by 12.0 s",)


def test_a_tpm_that_no_longer_signs_is_missed_only_if_it_did() -> None:
    stage = all_heard(Stage())
    with_tpm = baseline(view_of(stage))
    without = baseline(view_of(stage, link={**UP, "key": "file"}))
    asked = baseline(view_of(stage, link=DOWN), signs=True)

    assert verdict(with_tpm, stage, signs=False).missed == ("the TPM does not sign",)
    assert verdict(asked, stage, signs=False).missed == ("the TPM does not sign",)
    assert verdict(with_tpm, stage, signs=None).healthy
    assert verdict(without, stage, signs=False).healthy


def test_a_lost_cloud_is_told_and_never_missed() -> None:
    stage = all_heard(Stage())
    up, down = baseline(view_of(stage)), baseline(view_of(stage, link=DOWN))
    stage.handle(LinkChanged(up=False, denied="revoked"))
    stage.wait(3.0)

    assert judge(up, view_of(stage, link=DOWN), signs=None) == Verdict((), "lost: no route to host")
    assert judge(up, view_of(stage, link={**DOWN, "denied": "revoked"}), signs=None).cloud == "lost: revoked"
    assert judge(down, view_of(stage, link=DOWN), signs=None) == Verdict((), "as before")
    assert judge(down, view_of(stage), signs=None).cloud == "connected, and was not before"


def test_what_is_gone_is_missed_unless_a_configuration_took_it_away() -> None:
    stage = all_heard(Stage())
    before = baseline(view_of(stage))
    left = view_of(stage)
    left["sensors"], left["valves"], left["zones"] = {}, {}, {}

    missed = judge(before, left, signs=True).missed

    assert {"sensor sump is gone", "valve main is gone", "zone plant is gone"} <= set(missed)
    assert judge(before, left, signs=True, configured_away=True).healthy


def test_an_empty_view_is_never_healthy() -> None:
    before, _ = before_and_after()

    missed = judge(before, {}, signs=None).missed

    assert "the gateway tells nothing of itself" in missed
    assert "the store cannot be written: it says nothing" in missed


def test_a_meter_that_can_no_longer_be_heard_is_missed() -> None:
    stage = all_heard(Stage())
    view = view_of(stage)
    view["meters"] = {"street": {"state": "none"}}
    deaf: dict[str, Json] = {**view, "meters": {"street": {"state": "unknown"}}}

    assert judge(baseline(view), deaf, signs=True).missed == ("meter street cannot be heard",)
    assert judge(baseline(deaf), deaf, signs=True).healthy


def test_where_nothing_ran_before_it_is_enough_that_it_runs() -> None:
    _, stage = before_and_after()

    assert judge({}, view_of(stage), signs=None).healthy
    assert not judge({}, {}, signs=None).healthy
