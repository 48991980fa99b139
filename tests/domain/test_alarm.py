import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.domain.alarm.state import DOUBTFUL_S
from gateway.domain.alarm.table import MAX_SHELVED_S, AlarmTable
from gateway.domain.commands import AnswerRequest, Command, Publish, Record, Remember
from gateway.domain.effects import Clear, Raise
from gateway.domain.model import Actor, ActorKind, Channel, Json, Request, SignalClass

LEAK = Raise("leak", "zone/cellar", SignalClass.ALARM, "wet: sink", latched=True, correlation_id="7-1")
LEAK_OVER = Clear("leak", "zone/cellar")
BATTERY = Raise("battery-low", "sensor/sink", SignalClass.TROUBLE, "replace the battery")
BATTERY_OVER = Clear("battery-low", "sensor/sink")
ALICE = Actor(ActorKind.LOCAL, "alice")
SEEN = Request("c-1", ALICE, "had a look")
SILENT = Request("c-2", ALICE)


def table(*effects: Raise | Clear) -> AlarmTable:
    alarms = AlarmTable()
    for effect in effects:
        alarms.apply(effect, 0.0)
    return alarms


def told(commands: list[Command]) -> list[Publish]:
    return [command for command in commands if isinstance(command, Publish)]


def answer(commands: list[Command]) -> AnswerRequest:
    (found,) = [command for command in commands if isinstance(command, AnswerRequest)]
    return found


def memory_of(commands: list[Command]) -> dict[str, Json]:
    memory: dict[str, Json] = {}
    for command in commands:
        if isinstance(command, Remember):
            memory[command.key] = command.value
    return {key: value for key, value in memory.items() if value is not None}


def state(alarms: AlarmTable, alarm_id: str = LEAK.alarm_id) -> Json:
    states = {str(row["id"]): row["state"] for row in alarms.view(0.0)}
    return states.get(alarm_id, "normal")


# --- life cycle ---------------------------------------------------------------------------------------


def test_raised_alarm_is_told_and_remembered_at_once():
    publish, remember = AlarmTable().apply(LEAK, 5.0)

    assert publish == Publish(
        Channel.ALARM,
        "alarm",
        {
            "alarm_id": "leak/zone/cellar",
            "class": "alarm",
            "kind": "leak",
            "subject": "zone/cellar",
            "state": "unacknowledged",
            "active": True,
            "latched": True,
            "shelved": False,
            "detail": "wet: sink",
            "occurrence": 1,
            "correlation_id": "7-1",
            "actor": "system:gateway",
        },
    )
    assert isinstance(remember, Remember)
    assert (remember.key, remember.urgent) == ("alarm/leak/zone/cellar", True)


def test_trouble_is_told_as_an_event_and_need_not_be_on_disk_at_once():
    publish, remember = AlarmTable().apply(BATTERY, 0.0)

    assert isinstance(publish, Publish)
    assert isinstance(remember, Remember)
    assert (publish.channel, remember.urgent) == (Channel.EVENT, False)


def test_saying_again_what_is_known_tells_nobody():
    alarms = table(LEAK)

    assert alarms.apply(LEAK, 1.0) == []
    assert alarms.apply(BATTERY_OVER, 1.0) == []


def test_changed_detail_is_told_without_asking_for_a_new_acknowledgement():
    alarms = table(LEAK)
    alarms.acknowledge(LEAK.alarm_id, SEEN, 1.0)
    wider = Raise("leak", "zone/cellar", SignalClass.ALARM, "wet: bath, sink", latched=True)

    (publish,) = told(alarms.apply(wider, 2.0))

    assert publish.body["detail"] == "wet: bath, sink"
    assert publish.body["state"] == "acknowledged"


def test_condition_that_goes_unseen_returns_unacknowledged_until_a_person_has_seen_it():
    alarms = table(BATTERY, BATTERY_OVER)
    assert state(alarms, BATTERY.alarm_id) == "returned_unacknowledged"

    commands = alarms.acknowledge(BATTERY.alarm_id, SEEN, 1.0)

    assert [p.body["state"] for p in told(commands)] == ["normal"]
    assert Remember("alarm/battery-low/sensor/sink", None) in commands
    assert alarms.view(1.0) == []


def test_acknowledged_trouble_ends_with_its_condition():
    alarms = table(BATTERY)
    alarms.acknowledge(BATTERY.alarm_id, SEEN, 1.0)

    alarms.apply(BATTERY_OVER, 2.0)

    assert alarms.view(2.0) == []


def test_latched_alarm_stays_after_its_condition_is_gone_and_acknowledged():
    alarms = table(LEAK, LEAK_OVER)
    assert state(alarms) == "unacknowledged"

    alarms.acknowledge(LEAK.alarm_id, SEEN, 1.0)

    assert state(alarms) == "acknowledged"
    assert alarms.is_latched(LEAK.alarm_id)
    assert not alarms.active(LEAK.alarm_id)


def test_condition_that_comes_back_is_a_new_occurrence_to_be_acknowledged_again():
    alarms = table(LEAK, LEAK_OVER)
    alarms.acknowledge(LEAK.alarm_id, SEEN, 1.0)

    (publish,) = told(alarms.apply(LEAK, 2.0))

    assert (publish.body["state"], publish.body["occurrence"]) == ("unacknowledged", 2)


# --- persons ------------------------------------------------------------------------------------------


def test_acknowledging_is_recorded_with_actor_and_told_once():
    alarms = table(LEAK)

    first = alarms.acknowledge(LEAK.alarm_id, SEEN, 3.0)
    second = alarms.acknowledge(LEAK.alarm_id, SEEN, 4.0)

    (record,) = [command for command in first if isinstance(command, Record)]
    assert (record.kind, record.subject) == ("alarm.acknowledged", "alarm/leak/zone/cellar")
    assert (record.actor, record.cause, record.correlation_id) == (ALICE, "had a look", "7-1")
    assert told(first)[0].body["actor"] == "local:alice"
    assert answer(first).state == "succeeded"
    assert [type(command) for command in second] == [AnswerRequest]
    assert answer(second).state == "succeeded"


def test_reset_ends_a_latched_alarm_and_acknowledges_it():
    alarms = table(LEAK, LEAK_OVER)

    commands = alarms.reset(LEAK.alarm_id, SEEN, 60.0, None)

    assert answer(commands).state == "succeeded"
    assert [command.kind for command in commands if isinstance(command, Record)] == ["alarm.reset"]
    assert alarms.view(60.0) == []
    assert memory_of(commands) == {}


@pytest.mark.parametrize(
    ("effects", "request_", "refusal", "reason"),
    [
        ((), SEEN, None, "unknown_subject"),
        ((LEAK, LEAK_OVER), SILENT, None, "cause_required"),
        ((LEAK, LEAK_OVER), SEEN, "dry for 20 of 60 s", "reset_refused"),
        ((LEAK,), SEEN, None, "reset_refused"),
        ((Raise("leak", "zone/cellar", SignalClass.ALARM), LEAK_OVER), SEEN, None, "not_latched"),
    ],
    ids=["unknown", "no cause", "source refuses", "still present", "not latched"],
)
def test_refused_reset_changes_nothing_and_says_why(
    effects: tuple[Raise | Clear, ...], request_: Request, refusal: str | None, reason: str
):
    alarms = table(*effects)
    before = alarms.view(0.0)

    commands = alarms.reset(LEAK.alarm_id, request_, 0.0, refusal)

    assert [type(command) for command in commands] == [AnswerRequest]
    assert (answer(commands).state, answer(commands).reason) == ("rejected", reason)
    assert alarms.view(0.0) == before


@pytest.mark.parametrize("duration_s", [-1.0, MAX_SHELVED_S + 1, math.inf, math.nan])
def test_shelving_without_a_sensible_end_is_refused(duration_s: float):
    commands = table(LEAK).shelve(LEAK.alarm_id, duration_s, SEEN, 0.0)

    assert answer(commands).reason == "duration_out_of_range"


def test_shelving_needs_a_cause():
    assert answer(table(LEAK).shelve(LEAK.alarm_id, 60.0, SILENT, 0.0)).reason == "cause_required"


def test_nobody_can_acknowledge_or_shelve_what_is_not_in_alarm():
    alarms = AlarmTable()

    assert answer(alarms.acknowledge("leak/zone/attic", SEEN, 0.0)).reason == "unknown_subject"
    assert answer(alarms.shelve("leak/zone/attic", 60.0, SEEN, 0.0)).reason == "unknown_subject"


def test_shelved_alarm_is_silent_until_its_time_is_up():
    alarms = table(LEAK)
    assert alarms.sounding

    alarms.shelve(LEAK.alarm_id, 60.0, SEEN, 10.0)
    assert not alarms.sounding
    assert alarms.any_of(SignalClass.ALARM)
    assert alarms.deadline_s() == 70.0
    assert alarms.tick(69.9) == []
    commands = alarms.tick(70.0)

    assert alarms.sounding
    assert alarms.deadline_s() is None
    assert [p.body["shelved"] for p in told(commands)] == [False]


def test_shelving_for_no_time_unshelves():
    alarms = table(LEAK)
    alarms.shelve(LEAK.alarm_id, 60.0, SEEN, 0.0)

    commands = alarms.shelve(LEAK.alarm_id, 0.0, SILENT, 1.0)

    assert answer(commands).state == "succeeded"
    assert alarms.sounding


def test_new_leak_is_heard_though_the_last_one_was_shelved():
    alarms = table(LEAK)
    alarms.shelve(LEAK.alarm_id, 600.0, SEEN, 0.0)
    alarms.apply(LEAK_OVER, 1.0)

    alarms.apply(LEAK, 2.0)

    assert alarms.sounding


def test_shelved_trouble_stays_shelved_while_it_comes_and_goes():
    alarms = table(BATTERY)
    alarms.acknowledge(BATTERY.alarm_id, SEEN, 0.0)
    alarms.shelve(BATTERY.alarm_id, 600.0, SEEN, 0.0)

    alarms.apply(BATTERY_OVER, 1.0)
    alarms.apply(BATTERY, 2.0)

    (row,) = alarms.view(100.0)
    assert row["shelved_for_s"] == 500.0


# --- restarts -----------------------------------------------------------------------------------------


def restarted(*commands: Command, now_s: float = 0.0) -> AlarmTable:
    alarms = AlarmTable()
    alarms.restore(memory_of([*commands]), now_s)
    return alarms


def test_latched_alarm_survives_a_restart_with_its_acknowledgement():
    before = AlarmTable()
    commands = before.apply(LEAK, 900.0)
    commands += before.acknowledge(LEAK.alarm_id, SEEN, 901.0)

    alarms = restarted(*commands)

    assert alarms.is_latched(LEAK.alarm_id)
    assert state(alarms) == "acknowledged"
    assert alarms.apply(LEAK, 5.0) == []


def test_alarm_whose_source_is_silent_after_a_restart_ends_in_time():
    alarms = restarted(*AlarmTable().apply(BATTERY, 900.0), now_s=10.0)
    assert alarms.active(BATTERY.alarm_id)
    assert alarms.deadline_s() == 10.0 + DOUBTFUL_S

    alarms.tick(10.0 + DOUBTFUL_S)

    assert state(alarms, BATTERY.alarm_id) == "returned_unacknowledged"
    assert alarms.deadline_s() is None


def test_latched_alarm_may_be_reset_after_a_restart_though_its_source_has_not_spoken():
    alarms = restarted(*AlarmTable().apply(LEAK, 900.0))

    assert answer(alarms.reset(LEAK.alarm_id, SEEN, 1.0, None)).state == "succeeded"
    assert alarms.view(1.0) == []


def test_shelving_ends_with_a_restart():
    before = AlarmTable()
    commands = before.apply(LEAK, 0.0) + before.shelve(LEAK.alarm_id, 600.0, SEEN, 0.0)

    assert restarted(*commands).sounding


@pytest.mark.parametrize("value", [{}, [], 1, "latched", {"class": "alarm", "kind": "fire"}])
def test_damaged_memory_counts_as_latched(value: Json):
    alarms = AlarmTable()

    assert alarms.restore({"alarm/leak/zone/cellar": value}, 0.0) == []
    assert alarms.is_latched(LEAK.alarm_id)
    assert answer(alarms.reset(LEAK.alarm_id, SEEN, 1.0, None)).state == "succeeded"


@pytest.mark.parametrize("key", ["alarm", "alarm/", "alarm/leak", "counter/alarm/leak", ""])
def test_foreign_memory_is_left_alone(key: str):
    alarms = AlarmTable()

    assert alarms.restore({key: {}, "alarm/leak/zone/cellar": None}, 0.0) == []
    assert alarms.view(0.0) == []


def test_view_shows_the_worst_class_first_then_the_newest():
    alarms = AlarmTable()
    alarms.apply(BATTERY, 1.0)
    alarms.apply(LEAK, 2.0)
    alarms.apply(Raise("leak", "zone/attic", SignalClass.ALARM), 3.0)

    assert [row["id"] for row in alarms.view(4.0)] == [
        "leak/zone/attic",
        "leak/zone/cellar",
        "battery-low/sensor/sink",
    ]


# --- whatever comes -----------------------------------------------------------------------------------

CONDITIONS = st.sampled_from([LEAK, BATTERY, Raise("freeze", "sensor/sink", SignalClass.ALARM, "cold")])


class AlarmLife(RuleBasedStateMachine):
    """Any order of conditions, persons, time and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms = AlarmTable()
        self.memory: dict[str, Json] = {}
        self.present: set[str] = set()
        self.latched: set[str] = set()
        self.now_s = 0.0

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Remember):
                self.memory[command.key] = command.value

    @rule(condition=CONDITIONS)
    def condition_appears(self, condition: Raise) -> None:
        self.take(self.alarms.apply(condition, self.now_s))
        self.present.add(condition.alarm_id)
        if condition.latched:
            self.latched.add(condition.alarm_id)

    @rule(condition=CONDITIONS)
    def condition_goes(self, condition: Raise) -> None:
        self.take(self.alarms.apply(Clear(condition.kind, condition.subject), self.now_s))
        self.present.discard(condition.alarm_id)

    @rule(condition=CONDITIONS)
    def person_acknowledges(self, condition: Raise) -> None:
        self.take(self.alarms.acknowledge(condition.alarm_id, SEEN, self.now_s))

    @rule(condition=CONDITIONS, refusal=st.sampled_from([None, "wet"]))
    def person_resets(self, condition: Raise, refusal: str | None) -> None:
        commands = self.alarms.reset(condition.alarm_id, SEEN, self.now_s, refusal)
        self.take(commands)
        if answer(commands).state == "succeeded":
            assert refusal is None
            assert condition.alarm_id not in self.present
            self.latched.discard(condition.alarm_id)

    @rule(condition=CONDITIONS, duration_s=st.sampled_from([0.0, 5.0, MAX_SHELVED_S]))
    def person_shelves(self, condition: Raise, duration_s: float) -> None:
        self.take(self.alarms.shelve(condition.alarm_id, duration_s, SEEN, self.now_s))

    @rule(pause_s=st.sampled_from([0.1, 5.0, DOUBTFUL_S, MAX_SHELVED_S]))
    def time_passes(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.take(self.alarms.tick(self.now_s))
        due_s = self.alarms.deadline_s()
        assert due_s is None or due_s > self.now_s

    @rule()
    def gateway_restarts(self) -> None:
        self.now_s = 0.0
        self.alarms = AlarmTable()
        known = {key: value for key, value in self.memory.items() if value is not None}
        self.take(self.alarms.restore(known, self.now_s))
        for condition in (LEAK, BATTERY, Raise("freeze", "sensor/sink", SignalClass.ALARM, "cold")):
            if condition.alarm_id in self.present:
                self.take(self.alarms.apply(condition, self.now_s))

    @invariant()
    def only_a_reset_ends_a_latch(self) -> None:
        rows = {str(row["id"]) for row in self.alarms.view(self.now_s) if row["latched"]}
        assert rows == self.latched

    @invariant()
    def what_is_present_is_in_alarm(self) -> None:
        assert all(self.alarms.active(alarm_id) for alarm_id in self.present)

    @invariant()
    def every_silence_has_an_end(self) -> None:
        for row in self.alarms.view(self.now_s):
            shelved_for_s = row["shelved_for_s"]
            if isinstance(shelved_for_s, float):
                assert shelved_for_s <= MAX_SHELVED_S + 1e-6


TestAlarmLife = AlarmLife.TestCase
TestAlarmLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
