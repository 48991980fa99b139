from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.domain.commands import AnswerRequest, Publish, Record
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.leak import sensor as sensing
from gateway.domain.leak import zone as zones
from gateway.domain.leak.rope import TOLD_EVERY_S
from gateway.domain.leak.walk_test import LONGEST_S
from gateway.domain.leak.zone import SETTLE_S, Phase, Zone
from gateway.domain.model import Actor, ActorKind, Reading, Request, SignalClass
from gateway.domain.site import Action, SensorSpec, ZoneSpec

NAMES = ("bath", "cellar", "sink")
SPEC = ZoneSpec(id="ground", sensors=NAMES, valves=("main",), confirm_s=5.0, quorum=1, dry_hold_s=60.0)
AT_ONCE = replace(SPEC, confirm_s=0.0)
TWO = replace(AT_ONCE, quorum=2)
ALICE = Request("c-1", Actor(ActorKind.LOCAL, "alice"), "yearly check")


class Site:
    """A zone with its sensors on a bench: says what happens, keeps what came out."""

    def __init__(self, spec: ZoneSpec, *, latched: bool = False) -> None:
        self.now_s = 0.0
        self.zone: Zone = zones.found(spec, latched, 0.0)
        self.sensors = {
            name: sensing.found(SensorSpec(id=name, kind="x", silence_s=600.0), {}, 0.0) for name in NAMES
        }
        self.effects: list[Effect] = []

    def step(self) -> list[Effect]:
        self.zone, effects = zones.step(self.zone, self.sensors, self.now_s)
        self.effects += effects
        return effects

    def say(self, wet: bool, *names: str) -> list[Effect]:
        effects: list[Effect] = []
        for name in names:
            self.sensors[name], _ = sensing.read(self.sensors[name], Reading("x", wet=wet), self.now_s)
            effects += self.step()
        return effects

    def wet(self, *names: str) -> list[Effect]:
        return self.say(True, *names)

    def dry(self, *names: str) -> list[Effect]:
        return self.say(False, *(names or NAMES))

    def break_(self, *names: str) -> list[Effect]:
        effects: list[Effect] = []
        for name in names:
            self.sensors[name], _ = sensing.fault(self.sensors[name], "loop open", self.now_s)
            effects += self.step()
        return effects

    def wait(self, pause_s: float) -> list[Effect]:
        """Let time pass as the core would: every deadline is served when it is due."""
        effects, end_s = [], self.now_s + pause_s
        while (due_s := zones.deadline_s(self.zone)) is not None and due_s <= end_s:
            self.now_s = due_s
            effects += self.step()
        self.now_s = end_s
        return effects

    def go_missing(self) -> list[Effect]:
        """Let every sensor fall silent."""
        self.now_s += 10_000.0
        for name, state in self.sensors.items():
            self.sensors[name], _ = sensing.tick(state, self.now_s)
        return self.step()

    @property
    def refusal(self) -> str | None:
        return zones.may_reset(self.zone, self.sensors, self.now_s)

    @property
    def shown(self) -> object:
        return zones.view(self.zone, self.sensors, self.now_s)["state"]


def dry_site(spec: ZoneSpec = SPEC) -> Site:
    site = Site(spec)
    site.dry()
    return site


def leak(detail: str) -> Raise:
    return Raise("leak", "zone/ground", SignalClass.ALARM, detail, latched=True)


# --- confirming ---------------------------------------------------------------------------------------


def test_wet_sensor_of_a_zone_without_confirm_time_is_a_leak_in_the_same_call():
    site = dry_site(AT_ONCE)

    assert site.wet("sink") == [leak("wet: sink")]
    assert site.zone.demands_close


def test_water_must_stay_for_the_confirm_time():
    site = dry_site()
    assert site.wet("sink") == []
    assert (site.shown, zones.deadline_s(site.zone)) == ("confirming", 5.0)

    assert site.wait(4.9) == []
    assert not site.zone.demands_close
    assert site.wait(0.1) == [leak("wet: sink")]
    assert site.zone.demands_close


def test_splash_that_dries_within_the_confirm_time_is_nothing():
    site = dry_site()
    site.wet("sink")
    site.wait(3.0)
    site.dry("sink")

    assert site.wait(100.0) == []
    assert site.shown == "dry"
    assert zones.deadline_s(site.zone) is None


def test_sensor_that_drowns_while_confirming_is_still_wet():
    site = dry_site()
    site.wet("sink")
    site.wait(2.0)
    site.break_("sink")

    assert site.wait(3.0) == [leak("wet: sink")]


def test_zone_that_only_notifies_alarms_without_moving_valves():
    site = dry_site(replace(AT_ONCE, action=Action.NOTIFY))

    assert site.wet("sink") == [leak("wet: sink")]
    assert not site.zone.demands_close


def test_leak_that_spreads_is_told_once_for_each_sensor():
    site = dry_site(AT_ONCE)
    site.wet("sink")

    assert site.wet("bath") == [leak("wet: bath, sink")]
    site.dry("bath")
    assert site.wet("bath") == []


# --- quorum -------------------------------------------------------------------------------------------


def test_one_wet_sensor_of_two_wanted_is_not_a_leak():
    site = dry_site(TWO)

    assert site.wet("sink") == []
    assert site.shown == "wet"
    assert site.wet("bath") == [leak("wet: bath, sink")]


def test_quorum_becomes_one_when_too_few_healthy_sensors_are_left():
    site = dry_site(TWO)
    site.break_("bath", "cellar")

    assert site.wet("sink") == [leak("wet: sink")]


def test_broken_sensors_alone_never_make_a_leak():
    site = dry_site(AT_ONCE)

    assert site.break_(*NAMES) == []
    assert site.go_missing() == []
    assert not site.zone.demands_close


def test_sensor_that_was_wet_alone_and_broke_does_not_become_a_leak_by_that():
    site = dry_site(TWO)
    site.wet("sink")

    assert site.break_("bath", "sink", "cellar") == []


def test_sensors_not_heard_yet_do_not_lower_the_quorum():
    site = Site(TWO)

    assert site.wet("sink") == []


# --- the end of a leak --------------------------------------------------------------------------------


def test_leak_ends_when_all_has_been_dry_for_a_moment_and_the_latch_stays():
    site = dry_site(AT_ONCE)
    site.wet("sink")
    site.dry("sink")

    assert site.wait(SETTLE_S) == [Clear("leak", "zone/ground")]
    assert site.zone.demands_close
    assert site.shown == "alarm"


def test_sensor_that_goes_missing_while_wet_does_not_end_the_leak():
    site = dry_site(AT_ONCE)
    site.wet("sink")

    assert site.go_missing() == []
    assert site.wait(1000.0) == []
    assert site.refusal == "wet: sink (sink: silent since; must say dry first)"


def test_reset_waits_for_the_dry_hold():
    site = dry_site(AT_ONCE)
    site.wet("sink")
    assert site.refusal == "wet: sink"

    site.dry("sink")
    site.wait(20.0)
    assert site.refusal == "dry for 20 of 60 s"

    site.wait(40.0)
    assert site.refusal is None
    site.zone = zones.reset(site.zone, site.now_s)
    assert not site.zone.demands_close
    assert site.shown == "dry"


def test_dry_hold_begins_anew_with_every_drop():
    site = dry_site(AT_ONCE)
    site.wet("sink")
    site.dry("sink")
    site.wait(50.0)
    site.wet("bath")
    site.dry("bath")
    site.wait(20.0)

    assert site.refusal == "dry for 20 of 60 s"


def test_nobody_can_reset_when_no_sensor_is_left_to_say_dry():
    site = dry_site(AT_ONCE)
    site.wet("sink")
    site.dry("sink")
    site.go_missing()

    assert site.refusal == "no healthy sensor says dry"


def test_unlatched_leak_ends_by_itself():
    site = dry_site(replace(AT_ONCE, latch=False))
    site.wet("sink")
    site.dry("sink")
    site.wait(SETTLE_S)

    assert not site.zone.demands_close
    assert site.shown == "dry"


def test_unlatched_leak_that_returns_within_the_cooldown_alarms_and_moves_the_valve_later():
    site = dry_site(replace(AT_ONCE, latch=False, cooldown_s=300.0))
    site.wet("sink")
    site.dry("sink")
    site.wait(SETTLE_S)
    site.wait(100.0)

    assert [type(effect) for effect in site.wet("sink")] == [Raise]
    assert not site.zone.demands_close
    site.wait(200.0)
    assert site.zone.demands_close


# --- restart ------------------------------------------------------------------------------------------


def test_latched_leak_stands_after_a_restart_without_a_message():
    site = Site(SPEC, latched=True)

    assert site.step() == []
    assert site.zone.demands_close
    assert not site.zone.is_wet
    assert site.refusal == "not heard since the start: bath, cellar, sink"


def test_latched_leak_can_be_reset_after_a_restart_once_all_have_said_dry():
    site = Site(SPEC, latched=True)
    site.dry()

    assert site.wait(60.0) == [Clear("leak", "zone/ground")]
    assert site.refusal is None


def test_water_that_still_stands_after_a_restart_is_told_without_confirming_again():
    site = Site(SPEC, latched=True)

    assert site.wet("sink") == [leak("wet: sink")]


# --- walk test ----------------------------------------------------------------------------------------


def test_walk_test_reports_each_sensor_and_moves_no_valve():
    site = dry_site(AT_ONCE)
    site.zone, begun = zones.walk_test(site.zone, True, ALICE, 0.0)
    site.wet("sink")
    site.dry("sink")
    assert not site.zone.demands_close
    assert site.shown == "test"

    site.zone, ended = zones.walk_test(site.zone, False, ALICE, 60.0)

    assert [e.kind for e in begun if isinstance(e, Raise | Record)] == ["walk_test.started", "walk-test"]
    assert [e.body["step"] for e in site.effects if isinstance(e, Publish)] == ["wet", "passed"]
    (record,) = [e for e in ended if isinstance(e, Record)]
    assert record.detail == {"passed": ["sink"], "not_passed": ["bath", "cellar"], "took_s": 60.0}
    assert Clear("walk-test", "zone/ground") in ended
    assert AnswerRequest("c-1", "succeeded", "", "1 of 3 sensors passed") in ended


def test_forgotten_walk_test_ends_by_itself_and_what_is_wet_then_is_a_leak():
    site = dry_site(AT_ONCE)
    site.zone, _ = zones.walk_test(site.zone, True, ALICE, 0.0)
    site.wet("sink")

    effects = site.wait(LONGEST_S)

    assert Clear("walk-test", "zone/ground") in effects
    assert effects[-1] == leak("wet: sink")
    assert site.zone.demands_close


def test_walk_test_is_refused_while_it_is_wet_or_in_alarm():
    wet, latched = dry_site(), Site(SPEC, latched=True)
    wet.wet("sink")

    for site in (wet, latched):
        zone, effects = zones.walk_test(site.zone, True, ALICE, 1.0)
        assert zone == site.zone
        assert [e.reason for e in effects if isinstance(e, AnswerRequest)] == ["not_quiet"]


@pytest.mark.parametrize("on", [True, False])
def test_asking_twice_for_a_walk_test_succeeds_and_changes_nothing(on: bool):
    zone = dry_site().zone
    if on:
        zone, _ = zones.walk_test(zone, True, ALICE, 0.0)

    after, effects = zones.walk_test(zone, on, ALICE, 1.0)

    assert after == zone
    assert [e.state for e in effects if isinstance(e, AnswerRequest)] == ["succeeded"]


def test_view_shows_what_counts():
    site = dry_site(TWO)
    site.wet("sink")
    site.break_("bath")

    assert zones.view(site.zone, site.sensors, 0.0) == {
        "name": "",
        "state": "wet",
        "wet": ["sink"],
        "healthy": 2,
        "quorum": 2,
        "sensors": ["bath", "cellar", "sink"],
        "valves": ["main"],
        "action": "close",
        "latched": False,
    }


# --- ropes --------------------------------------------------------------------------------------------


def rope(site: Site, name: str, at_m: float | None, *, fault: str = "", wet: bool = True) -> list[Effect]:
    reading = Reading("modbus", wet=wet, distance_m=at_m, fault=fault)
    site.sensors[name], _ = sensing.read(site.sensors[name], reading, site.now_s)
    return site.step()


def leaks(effects: list[Effect]) -> list[Raise]:
    return [effect for effect in effects if isinstance(effect, Raise) and effect.kind == "leak"]


def test_leak_alarm_says_where_along_the_rope():
    (alarm,) = leaks(rope(dry_site(AT_ONCE), "cellar", 12.3))

    assert alarm.detail == "wet: cellar at 12.3 m"
    assert alarm.places == (("cellar", 12.3),)


def test_contact_beside_a_rope_has_no_place():
    site = dry_site(AT_ONCE)
    rope(site, "cellar", 12.0)
    (alarm,) = leaks(site.wet("sink"))

    assert alarm.detail == "wet: cellar at 12 m, sink"
    assert alarm.places == (("cellar", 12.0),)


def test_alarm_follows_water_that_moves_and_not_each_poll_of_it():
    site, alarms = dry_site(AT_ONCE), []
    for poll in range(120):
        site.now_s = 2.0 * poll
        alarms += leaks(rope(site, "cellar", 0.2 * poll))

    assert 240 / TOLD_EVERY_S - 1 <= len(alarms) <= 240 / TOLD_EVERY_S + 1
    assert len({alarm.detail for alarm in alarms}) == len(alarms)


def test_place_stays_named_when_the_rope_is_dry_and_another_gets_wet():
    site = dry_site(AT_ONCE)
    rope(site, "cellar", 12.3)
    rope(site, "cellar", None, wet=False)
    (alarm,) = leaks(rope(site, "sink", 4.0))

    assert alarm.detail == "wet: cellar at 12.3 m, sink at 4 m"


def test_next_leak_does_not_name_the_place_of_the_last():
    site = dry_site(replace(AT_ONCE, latch=False))
    rope(site, "cellar", 12.3)
    rope(site, "cellar", None, wet=False)
    site.wait(SETTLE_S + 1)
    (alarm,) = leaks(rope(site, "cellar", None))

    assert (alarm.detail, alarm.places) == ("wet: cellar", ())


def test_rope_that_is_broken_and_wet_closes_the_valve():
    site = dry_site(AT_ONCE)
    rope(site, "cellar", 5.0, fault="cable break")

    assert site.zone.demands_close


def test_rope_that_is_broken_and_wet_counts_for_the_quorum():
    site = dry_site(TWO)
    rope(site, "cellar", 5.0, fault="cable break")
    assert not site.zone.demands_close

    site.wet("sink")
    assert site.zone.demands_close


def test_rope_that_broke_and_says_dry_vouches_for_nothing():
    site = dry_site(replace(AT_ONCE, sensors=("cellar",)))
    rope(site, "cellar", 5.0)
    rope(site, "cellar", None, wet=False, fault="cable break")
    site.wait(1000)

    assert site.refusal == "no healthy sensor says dry"


def test_rope_that_says_wet_and_dry_in_turns_is_told_in_steps():
    site = dry_site(AT_ONCE)
    alarms = []
    for poll in range(150):
        alarms += leaks(rope(site, "cellar", 2.0 + 18.0 * (poll % 4 == 0), wet=poll % 2 == 0))
        site.wait(2.0)

    assert 1 < len(alarms) <= 1 + 300.0 / TOLD_EVERY_S


# --- whatever comes -----------------------------------------------------------------------------------

SPECS = (SPEC, AT_ONCE, TWO, replace(AT_ONCE, latch=False, cooldown_s=30.0), replace(SPEC, dry_hold_s=0.0))


class ZoneLife(RuleBasedStateMachine):
    """Any order of water, faults, silence, tests and resets, for zones of several kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.sites = [dry_site(spec) for spec in SPECS]
        self.has_been_wet = False

    @rule(name=st.sampled_from(NAMES))
    def sensor_gets_wet(self, name: str) -> None:
        self.has_been_wet = True
        for site in self.sites:
            is_fresh = site.zone.test is None and not site.zone.latched
            effects = site.wet(name)
            if site.zone.spec is AT_ONCE and is_fresh:
                (told,) = [effect for effect in effects if isinstance(effect, Raise)]
                assert name in told.detail
                assert site.zone.demands_close

    @rule(name=st.sampled_from(NAMES))
    def sensor_dries(self, name: str) -> None:
        for site in self.sites:
            site.dry(name)

    @rule(name=st.sampled_from(NAMES))
    def sensor_breaks(self, name: str) -> None:
        for site in self.sites:
            before = site.zone.demands_close
            site.break_(name)
            assert site.zone.demands_close <= (before or self.has_been_wet)

    @rule()
    def all_fall_silent(self) -> None:
        for site in self.sites:
            before = site.zone
            site.wait(0.0)
            site.go_missing()
            if not before.is_wet:
                assert site.zone.demands_close <= before.demands_close

    @rule(pause_s=st.sampled_from([0.1, 4.9, 5.0, 60.0, LONGEST_S]))
    def time_passes(self, pause_s: float) -> None:
        for site in self.sites:
            site.wait(pause_s)

    @rule(on=st.booleans())
    def person_tests(self, on: bool) -> None:
        for site in self.sites:
            site.zone, _ = zones.walk_test(site.zone, on, ALICE, site.now_s)
            site.step()

    @rule()
    def person_resets(self) -> None:
        for site in self.sites:
            if site.zone.latched and site.refusal is None:
                assert not site.zone.is_wet
                site.zone = zones.reset(site.zone, site.now_s)

    @invariant()
    def no_leak_without_water(self) -> None:
        if not self.has_been_wet:
            assert not any(site.zone.demands_close for site in self.sites)

    @invariant()
    def latched_leak_demands_its_valves_closed(self) -> None:
        for site in self.sites:
            if site.zone.latched:
                assert site.zone.demands_close

    @invariant()
    def leak_stands_while_it_is_wet(self) -> None:
        for site in self.sites:
            is_believed = any(sensing.is_wet(s) and sensing.is_healthy(s) for s in site.sensors.values())
            if site.zone.spec is AT_ONCE and is_believed and site.zone.test is None:
                assert site.zone.phase is Phase.LEAK
                assert site.zone.latched

    @invariant()
    def no_deadline_stands_still(self) -> None:
        for site in self.sites:
            due_s = zones.deadline_s(site.zone)
            if due_s is not None and due_s <= site.now_s:
                site.step()
                after_s = zones.deadline_s(site.zone)
                assert after_s is None or after_s > site.now_s


TestZoneLife = ZoneLife.TestCase
TestZoneLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
