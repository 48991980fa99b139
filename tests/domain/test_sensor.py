import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.domain.commands import Publish, Remember
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.leak import sensor as sensors
from gateway.domain.leak.health import MENDED_S, SUSPICION_S
from gateway.domain.leak.rope import MOVED_M, TOLD_EVERY_S
from gateway.domain.leak.sensor import CHATTER_CHANGES, CHATTER_QUIET_S, TELEMETRY_EVERY_S, Sensor
from gateway.domain.model import Channel, Json, Reading, SignalClass
from gateway.domain.site import SensorSpec

CONTACT = SensorSpec(id="sink", kind="contact")
PLAIN = SensorSpec(id="bath", kind="switchbot", silence_s=600.0, supervised=True)
KEYED = SensorSpec(id="cellar", kind="bthome", keyed=True, silence_s=600.0, supervised=True)


def frame(counter: int, *, wet: bool | None = None, authentic: bool | None = True) -> Reading:
    return Reading("bthome-v2", wet=wet, authentic=authentic, counter=counter)


def started(spec: SensorSpec, memory: Json = None) -> Sensor:
    return sensors.found(spec, {f"counter/{spec.id}": memory}, 0.0)


def after(state: Sensor, *readings: Reading, now_s: float = 1.0) -> Sensor:
    for reading in readings:
        state, _ = sensors.read(state, reading, now_s)
    return state


def rope(*, wet: bool = False, at_m: float | None = None, fault: str | None = "") -> Reading:
    return Reading("modbus", wet=wet, distance_m=at_m, fault=fault)


def raised(effects: list[Effect]) -> dict[str, str]:
    return {effect.kind: effect.detail for effect in effects if isinstance(effect, Raise)}


def cleared(effects: list[Effect]) -> set[str]:
    return {effect.kind for effect in effects if isinstance(effect, Clear)}


def news(effects: list[Effect]) -> list[Json]:
    return [e.body["wet"] for e in effects if isinstance(e, Publish) and e.channel is Channel.EVENT]


# --- wet and dry --------------------------------------------------------------------------------------


def test_contact_votes_as_soon_as_its_level_was_read():
    assert not sensors.can_vote(started(CONTACT))

    state = after(started(CONTACT), Reading("contact", wet=True))

    assert sensors.can_vote(state)
    assert sensors.is_wet(state)


def test_frame_without_a_leak_bit_leaves_the_last_word():
    state = after(started(PLAIN), Reading("switchbot", wet=True), Reading("switchbot", battery_percent=50))

    assert sensors.is_wet(state)


def test_every_change_is_told_but_not_the_first_dry():
    state, first = sensors.read(started(CONTACT), Reading("contact", wet=False), 0.0)
    state, second = sensors.read(state, Reading("contact", wet=True), 1.0)
    state, third = sensors.read(state, Reading("contact", wet=True), 2.0)

    assert (news(first), news(second), news(third)) == ([], [True], [])


def test_faulty_sensor_keeps_its_last_word_but_cannot_say_dry():
    wet = after(started(CONTACT), Reading("contact", wet=True))
    state, effects = sensors.fault(wet, "loop open", 2.0)

    assert raised(effects) == {"sensor-fault": "loop open"}
    assert sensors.is_wet(state)
    assert not sensors.can_vote(state)


def test_fault_ends_when_the_sensor_says_wet_or_dry_again():
    state, _ = sensors.fault(after(started(CONTACT), Reading("contact", wet=False)), "loop open", 2.0)
    state, silent = sensors.read(state, Reading("contact", battery_percent=90), 3.0)
    state, spoken = sensors.read(state, Reading("contact", wet=False), 4.0)

    assert "sensor-fault" not in cleared(silent)
    assert "sensor-fault" in cleared(spoken)
    assert sensors.is_healthy(state)


def test_loose_wire_is_one_trouble_and_not_a_flood_of_messages():
    state, effects, now_s = started(CONTACT), [], 0.0
    for i in range(1000):
        now_s = i * 0.01
        state, more = sensors.read(state, Reading("contact", wet=i % 2 == 0), now_s)
        effects += more

    assert list(raised(effects)) == ["sensor-fault"]
    assert len(effects) < 2 * CHATTER_CHANGES
    assert sensors.deadline_s(state) == now_s + CHATTER_QUIET_S

    state, calm = sensors.tick(state, now_s + CHATTER_QUIET_S)

    assert cleared(calm) == {"sensor-fault"}
    assert news(calm) == [False]


# --- supervision --------------------------------------------------------------------------------------


def test_silent_sensor_is_missed_once_and_welcomed_back():
    state = after(started(PLAIN), Reading("switchbot", wet=False), now_s=10.0)
    assert sensors.deadline_s(state) == 610.0

    state, early = sensors.tick(state, 609.9)
    state, due = sensors.tick(state, 610.0)
    state, again = sensors.tick(state, 9999.0)
    assert (raised(early), raised(due), again) == ({}, {"sensor-missing": "silent for 600 s"}, [])
    assert not sensors.can_vote(state)

    state, back = sensors.read(state, Reading("switchbot", wet=False), 10000.0)
    assert cleared(back) == {"sensor-missing"}


def test_sensor_that_never_speaks_is_missed_after_the_start():
    _, effects = sensors.tick(sensors.found(PLAIN, {}, 100.0), 700.0)

    assert raised(effects) == {"sensor-missing": "silent for 600 s"}


def test_missing_sensor_is_never_wet_by_its_silence():
    state, _ = sensors.tick(started(PLAIN), 600.0)

    assert not sensors.is_wet(state)
    assert state.wet is None


def test_bare_contact_has_no_deadline():
    assert sensors.deadline_s(started(CONTACT)) is None


def test_first_word_after_a_restart_clears_whatever_was_wrong_before():
    _, effects = sensors.read(started(PLAIN), Reading("switchbot", wet=False), 1.0)

    assert {"sensor-missing", "sensor-fault", "battery-low", "tamper", "replay"} <= cleared(effects)


# --- ropes --------------------------------------------------------------------------------------------


def test_fault_that_the_device_reports_is_trouble_and_it_cannot_vouch_for_dry():
    state, effects = sensors.read(after(started(PLAIN), rope()), rope(fault="cable break"), 2.0)

    assert raised(effects) == {"sensor-fault": "cable break"}
    assert not sensors.is_healthy(state)
    assert not sensors.can_vote(state)


def test_rope_that_is_wet_and_broken_is_wet():
    state = after(started(PLAIN), rope(wet=True, fault="cable break"))

    assert sensors.is_wet(state)
    assert sensors.can_be_heard(state)
    assert not sensors.is_healthy(state)


def test_reported_fault_ends_when_it_has_not_been_said_for_a_while():
    state = after(started(PLAIN), rope(fault="cable break"), rope(), now_s=100.0)
    assert sensors.deadline_s(state) == 100.0 + MENDED_S

    state, early = sensors.tick(state, 100.0 + MENDED_S - 0.1)
    state, due = sensors.tick(state, 100.0 + MENDED_S)

    assert (cleared(early), cleared(due)) == (set(), {"sensor-fault"})
    assert sensors.can_vote(state)


def test_loose_cable_is_one_trouble_and_not_one_for_each_poll():
    state, effects = started(PLAIN), []
    for poll in range(500):
        now_s = 2.0 * poll
        state, ticked = sensors.tick(state, now_s)
        state, more = sensors.read(state, rope(fault="cable break" * (poll % 2)), now_s)
        effects += [*ticked, *more]

    assert raised(effects) == {"sensor-fault": "cable break"}
    assert len([e for e in effects if isinstance(e, Raise)]) == 1


def test_words_of_a_reported_fault_follow_but_do_not_flicker():
    state, effects = started(PLAIN), []
    for poll in range(100):
        words = "cable break" if poll % 2 else "cable break; contamination"
        state, more = sensors.read(state, rope(fault=words), 2.0 * poll)
        effects += more

    told = [e.detail for e in effects if isinstance(e, Raise)]
    assert {"cable break", "cable break; contamination"} == set(told)
    assert len(told) <= 200.0 / MENDED_S + 1


def test_device_that_does_not_say_what_is_wrong_leaves_what_it_said():
    state = after(started(PLAIN), rope(fault="cable break"))

    state, effects = sensors.read(state, rope(fault=None), 500.0)

    assert effects == []
    assert not sensors.is_healthy(state)


def test_reported_fault_and_a_lost_line_are_told_together():
    state = after(started(PLAIN), rope(fault="contamination"))

    _, effects = sensors.fault(state, "no answer", 2.0)

    assert raised(effects) == {"sensor-fault": "no answer; contamination"}


def test_wet_rope_tells_where_and_a_dry_one_forgets_it():
    state, effects = sensors.read(after(started(PLAIN), rope()), rope(wet=True, at_m=12.3), 2.0)
    told = [e.body for e in effects if isinstance(e, Publish)]

    assert told == [{"sensor_id": "bath", "wet": True, "distance_m": 12.3}]
    assert sensors.view(state, 3.0)["distance_m"] == 12.3

    state, effects = sensors.read(state, rope(), 4.0)
    assert [e.body for e in effects if isinstance(e, Publish)] == [{"sensor_id": "bath", "wet": False}]
    assert sensors.view(state, 5.0)["distance_m"] is None


def test_place_that_comes_after_the_water_is_told():
    state = after(started(PLAIN), rope(wet=True))

    _, effects = sensors.read(state, rope(wet=True, at_m=3.0), 2.0)

    assert [e.body["distance_m"] for e in effects if isinstance(e, Publish)] == [3.0]


def test_water_that_runs_along_a_rope_is_told_in_steps_and_not_with_each_poll():
    state, told = started(PLAIN), []
    for poll in range(300):
        now_s, at_m = 2.0 * poll, 0.2 * poll
        state, effects = sensors.read(state, rope(wet=True, at_m=at_m), now_s)
        told += [(now_s, e.body["distance_m"]) for e in effects if isinstance(e, Publish)]
        assert sensors.view(state, now_s)["distance_m"] == at_m

    gaps = [(later[0] - sooner[0], later[1] - sooner[1]) for sooner, later in itertools.pairwise(told)]
    assert len(told) > 10
    assert all(gap_s >= TOLD_EVERY_S and moved_m > MOVED_M for gap_s, moved_m in gaps)


def test_place_that_only_trembles_is_told_once():
    state, told = started(PLAIN), 0
    for poll in range(300):
        state, effects = sensors.read(state, rope(wet=True, at_m=12.0 + poll % 2 * 0.9), 2.0 * poll)
        told += len([e for e in effects if isinstance(e, Publish)])

    assert told == 1


# --- keyed sensors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refused",
    [frame(9, wet=False), frame(20, wet=False, authentic=False), frame(20, wet=False, authentic=None)],
    ids=["old counter", "bad signature", "plaintext"],
)
def test_refused_frame_changes_nothing_and_feeds_no_supervision(refused: Reading):
    state = after(started(KEYED), frame(10, wet=True), now_s=1.0)
    refusing, effects = sensors.read(state, refused, 500.0)

    assert (refusing.wet, refusing.seen_s, refusing.counter) == (True, 1.0, 10)
    assert refusing.rejected == 1
    assert len(raised(effects)) == 1
    assert not [effect for effect in effects if isinstance(effect, Remember | Publish)]


def test_same_frame_heard_again_feeds_nothing():
    state = after(started(KEYED), frame(10, wet=False), now_s=1.0)

    assert sensors.read(state, frame(10, wet=True), 5.0) == (state, [])


def test_two_forged_frames_do_not_open_the_door_for_an_old_one():
    state = after(started(KEYED), frame(10, wet=True))
    forged = (frame(11, wet=False, authentic=False), frame(12, wet=False, authentic=False))

    state = after(state, *forged, frame(5, wet=False))

    assert sensors.is_wet(state)


def test_small_counter_is_as_old_as_any_other():
    assert after(started(KEYED), frame(99, wet=True), frame(3, wet=False)).wet is True


def test_authentic_frame_without_a_counter_does_not_count():
    state, effects = sensors.read(started(KEYED), Reading("x", wet=True, authentic=True), 1.0)

    assert state.wet is None
    assert list(raised(effects)) == ["replay"]


def test_empty_plaintext_frame_of_a_keyed_sensor_is_no_attack():
    state, effects = sensors.read(started(KEYED), Reading("mibeacon", counter=4), 1.0)

    assert (effects, state.seen_s, state.rejected) == ([], None, 1)


def test_suspicion_ends_when_nothing_was_refused_for_a_while():
    state = after(started(KEYED), frame(10, wet=False), frame(9, wet=False), now_s=1.0)
    assert sensors.deadline_s(state) == 1.0 + 600.0
    state = after(state, frame(11, wet=False), now_s=300.0)

    _, effects = sensors.tick(state, 1.0 + SUSPICION_S)

    assert cleared(effects) == {"replay"}


def test_new_battery_needs_a_person():
    state = after(started(KEYED), frame(1000, wet=False))
    assert after(state, frame(1, wet=True)).wet is False

    state, effects = sensors.accept_counter_reset(after(state, frame(1, wet=True)))

    assert cleared(effects) == {"replay"}
    assert after(state, frame(2, wet=True)).wet is True


def test_counter_is_on_disk_at_once_when_wet_or_dry_changes_else_with_the_batch():
    state, first = sensors.read(started(KEYED), frame(10, wet=False), 1.0)
    state, second = sensors.read(state, frame(11, wet=False), 2.0)
    state, third = sensors.read(state, frame(12, wet=True), 3.0)
    kept = [e for e in first + second + third if isinstance(e, Remember)]

    assert [remember.urgent for remember in kept] == [True, False, True]
    assert kept[-1].key == "counter/cellar"
    assert kept[-1].value == {"counter": 12, "wet": True}


def test_old_frame_is_refused_after_a_restart():
    state = started(KEYED, {"counter": 12, "wet": True})

    state = after(state, frame(11, wet=False))

    assert (state.wet, state.seen_s) == (True, None)


def test_wet_from_before_a_restart_bars_a_reset_but_does_not_act():
    state = started(KEYED, {"counter": 12, "wet": True})

    assert sensors.was_wet(state)
    assert not sensors.is_wet(state)
    assert not sensors.can_vote(state)


def test_wet_frame_still_on_the_air_after_a_restart_acts_again():
    state = after(started(KEYED, {"counter": 12, "wet": True}), frame(12, wet=True))

    assert sensors.is_wet(state)
    assert state.seen_s is None


def test_dry_frame_still_on_the_air_after_a_restart_is_no_sign_of_life():
    state = after(started(KEYED, {"counter": 12, "wet": True}), frame(12, wet=False))

    assert sensors.was_wet(state)


@pytest.mark.parametrize("memory", [None, 7, [], {}, {"counter": "x", "wet": True}, {"counter": 1}])
def test_damaged_memory_is_taken_as_never_heard(memory: Json):
    assert started(KEYED, memory) == sensors.found(KEYED, {}, 0.0)


# --- plain sensors ------------------------------------------------------------------------------------


def test_packet_id_only_tells_a_repeat_from_news():
    state = after(started(PLAIN), Reading("bthome-v2", wet=False, counter=9), now_s=1.0)

    state, repeat = sensors.read(state, Reading("bthome-v2", wet=False, counter=9), 2.0)
    state, smaller = sensors.read(state, Reading("bthome-v2", wet=True, counter=3), 3.0)

    assert (repeat, state.seen_s) == ([], 3.0)
    assert news(smaller) == [True]


def test_plain_sensor_with_a_failed_signature_does_not_count():
    assert after(started(PLAIN), frame(1, wet=True, authentic=False)).wet is None


def test_bytes_that_nobody_understands_are_counted_and_feed_nothing():
    state, effects = sensors.rejected(started(PLAIN), "too short", 5.0)

    assert (effects, state.rejected, state.seen_s) == ([], 1, None)


# --- battery, tamper, cold ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "between", "good"),
    [
        (
            Reading("x", battery_percent=15),
            Reading("x", battery_percent=20),
            Reading("x", battery_percent=21),
        ),
        (Reading("x", battery_v=2.2), Reading("x", battery_v=2.25), Reading("x", battery_v=2.9)),
        (Reading("x", battery_low=True), Reading("x", wet=False), Reading("x", battery_low=False)),
    ],
    ids=["percent", "volt", "its own opinion"],
)
def test_low_battery_is_told_once_and_ends_with_a_margin(low: Reading, between: Reading, good: Reading):
    state, first = sensors.read(started(PLAIN), low, 1.0)
    state, second = sensors.read(state, between, 2.0)
    state, third = sensors.read(state, good, 3.0)

    assert raised(first) == {"battery-low": "replace the battery"}
    assert (raised(second), "battery-low" in cleared(second)) == ({}, False)
    assert cleared(third) == {"battery-low"}


def test_tamper_contact_and_forged_frames_are_one_alarm_with_both_reasons():
    state, first = sensors.read(started(PLAIN), Reading("x", tamper=True), 1.0)
    state, second = sensors.read(state, Reading("x", authentic=False), 2.0)

    assert raised(first)["tamper"] == "its tamper contact is open"
    both = "its tamper contact is open; a frame without a valid signature was refused"
    assert raised(second)["tamper"] == both


def test_cold_warns_first_then_alarms_and_clears_with_a_margin():
    state, cool = sensors.read(started(PLAIN), Reading("x", temperature_degc=6.0), 1.0)
    state, cold = sensors.read(state, Reading("x", temperature_degc=4.0), 2.0)
    state, thaw = sensors.read(state, Reading("x", temperature_degc=4.9), 3.0)
    state, warm = sensors.read(state, Reading("x", temperature_degc=7.5), 4.0)

    classes = {e.kind: e.cls for e in cool + cold if isinstance(e, Raise)}
    assert classes == {"freeze-warning": SignalClass.SUPERVISORY, "freeze": SignalClass.ALARM}
    assert (thaw, cleared(warm)) == ([], {"freeze", "freeze-warning"})


def test_telemetry_is_told_when_it_changed_and_not_too_often():
    def told(reading: Reading, now_s: float) -> list[Effect]:
        nonlocal state
        state, effects = sensors.read(state, reading, now_s)
        return [e for e in effects if isinstance(e, Publish) and e.channel is Channel.TELE]

    state = started(PLAIN)
    assert len(told(Reading("x", temperature_degc=20.0), 0.0)) == 1
    assert told(Reading("x", temperature_degc=20.5), 1.0) == []
    assert len(told(Reading("x", temperature_degc=20.5), TELEMETRY_EVERY_S)) == 1
    assert told(Reading("x", temperature_degc=20.5), 9 * TELEMETRY_EVERY_S) == []


def test_view_tells_what_is_wrong_in_words():
    state = after(started(PLAIN), Reading("x", wet=True, battery_percent=5), now_s=10.0)
    state, _ = sensors.tick(state, 700.0)

    seen = sensors.view(state, 710.0)

    assert seen == {
        "name": "",
        "kind": "switchbot",
        "wet": True,
        "distance_m": None,
        "healthy": False,
        "faults": ["sensor-missing: silent for 600 s", "battery-low: replace the battery"],
        "supervised": True,
        "keyed": False,
        "last_seen_s_ago": 700.0,
        "battery_percent": 5,
        "temperature_degc": None,
        "rejected": 0,
        "bypassed": False,
    }


# --- whatever comes -----------------------------------------------------------------------------------

READINGS = st.builds(
    Reading,
    format=st.just("x"),
    wet=st.none() | st.booleans(),
    authentic=st.none() | st.booleans(),
    counter=st.none() | st.integers(0, 12),
    battery_percent=st.none() | st.integers(0, 100),
    temperature_degc=st.none() | st.floats(-40, 80),
    tamper=st.none() | st.booleans(),
    distance_m=st.none() | st.floats(0, 500),
    fault=st.none() | st.sampled_from(["", "cable break", "contamination"]),
)


class SensorLife(RuleBasedStateMachine):
    """Any order of frames, faults, silence and restarts, of a keyed sensor."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.state = started(KEYED)
        self.memory: dict[str, Json] = {}
        self.alarms: dict[str, Raise] = {}

    def take(self, step: tuple[Sensor, list[Effect]]) -> None:
        self.state, effects = step
        for effect in effects:
            match effect:
                case Raise():
                    assert self.alarms.get(effect.kind) != effect
                    self.alarms[effect.kind] = effect
                case Clear(kind):
                    self.alarms.pop(kind, None)
                case Remember(key, value):
                    self.memory[key] = value
                case _:
                    pass

    @rule(reading=READINGS)
    def frame_arrives(self, reading: Reading) -> None:
        before = self.state
        self.take(sensors.read(before, reading, self.now_s))
        counter = -1 if before.counter is None else before.counter
        counts = reading.authentic is True and reading.counter is not None and reading.counter > counter
        if counts:
            assert (self.state.seen_s, self.state.counter) == (self.now_s, reading.counter)
        else:
            assert (self.state.seen_s, self.state.wet, self.state.counter) == (
                before.seen_s,
                before.wet,
                before.counter,
            )

    @rule()
    def fault_appears(self) -> None:
        self.take(sensors.fault(self.state, "loop open", self.now_s))

    @rule(pause_s=st.sampled_from([0.5, 5.0, 599.0, 700.0]))
    def time_passes(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.take(sensors.tick(self.state, self.now_s))
        due_s = sensors.deadline_s(self.state)
        assert due_s is None or due_s > self.now_s

    @rule()
    def gateway_restarts(self) -> None:
        counter, wet = self.state.counter, self.state.wet
        self.state = sensors.found(KEYED, self.memory, self.now_s)
        self.alarms = {}
        assert (self.state.counter, self.state.wet) == (counter, wet)
        assert not sensors.is_wet(self.state)

    @invariant()
    def every_condition_is_an_alarm(self) -> None:
        health = self.state.health
        assert ("sensor-missing" in self.alarms) == health.missing
        assert ("sensor-fault" in self.alarms) == bool(health.fault or health.reported or health.chattering)
        assert ("freeze" in self.alarms) == health.freezing

    @invariant()
    def only_the_healthy_vote(self) -> None:
        if sensors.can_vote(self.state):
            assert not self.state.health.missing
            assert not self.state.health.fault


TestSensorLife = SensorLife.TestCase
TestSensorLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(readings=st.lists(READINGS, max_size=20))
def test_wet_of_a_plain_sensor_is_always_its_last_unforged_word(readings: list[Reading]):
    said = [r.wet for r in readings if r.wet is not None and r.authentic is not False]

    state = after(started(replace(PLAIN, silence_s=None)), *readings)

    assert state.wet == (said[-1] if said else None)
