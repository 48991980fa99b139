"""The valve controller on a bench: driving, arriving, failing, being found."""

import pytest

from gateway.domain.commands import Record, Remember, SetCoil
from gateway.domain.effects import Raise
from gateway.domain.events import ValveFound
from gateway.domain.model import ActorKind, Coil, Position, SignalClass
from gateway.domain.site import ValveKind
from gateway.domain.valve.machine import ValveState, deadline_s, found, view
from tests.fakes.valve_rig import LEAK, PERSON, Rig, spec

OPEN, CLOSED = Position.OPEN, Position.CLOSED
NO_SWITCH: frozenset[str] = frozenset()
KINDS = pytest.mark.parametrize("kind", list(ValveKind))


def rig(kind: ValveKind = ValveKind.MOTORISED, **fields: float) -> Rig:
    return Rig(spec(kind, **fields))


# --- driving ----------------------------------------------------------------------------------------


@KINDS
def test_open_valve_with_switches_closes_and_is_confirmed(kind: ValveKind):
    bench = rig(kind)

    bench.drive(CLOSED, LEAK)
    bench.wait(20)

    assert (bench.state, bench.valve.closure, bench.really) == (ValveState.CLOSED, "confirmed", CLOSED)
    assert bench.states_published() == ["open", "closing", "closed"]
    assert not bench.on
    assert bench.active() == set()


@KINDS
def test_valve_without_switches_closes_by_time_and_is_assumed(kind: ValveKind):
    bench = Rig(spec(kind, NO_SWITCH))

    bench.drive(CLOSED)
    bench.wait(20)

    assert (bench.state, bench.valve.closure, bench.really) == (ValveState.CLOSED, "assumed", CLOSED)
    assert deadline_s(bench.valve) is None


@KINDS
def test_valve_opens_again_when_a_person_asks(kind: ValveKind):
    bench = rig(kind)
    bench.drive(CLOSED)
    bench.wait(20)

    bench.drive(OPEN)
    bench.wait(20)

    assert (bench.state, bench.really) == (ValveState.OPEN, OPEN)
    assert bench.on == ({Coil.OPEN} if kind is ValveKind.SPRING_RETURN else set())


def test_leak_sets_the_closing_coil_in_the_same_call_and_journals_the_intent_next():
    bench = rig()

    bench.drive(CLOSED, LEAK)

    assert bench.last[0] == SetCoil("main", Coil.CLOSE, energised=True)
    intent = bench.last[1]
    assert isinstance(intent, Record)
    assert (intent.kind, intent.actor.kind) == ("valve.intent", ActorKind.LEAK_PROTECTION)
    assert (intent.cause, intent.correlation_id) == ("leak confirmed", LEAK.correlation_id)


def test_result_is_journalled_with_the_cause_of_the_move():
    bench = rig()
    bench.drive(CLOSED, LEAK)
    bench.wait(20)

    result = bench.said(Record)[-1]

    assert (result.kind, result.correlation_id) == ("valve.result", LEAK.correlation_id)
    assert result.detail == {"reached": "closed", "by": "switch", "travel_s": 7.84}


def test_motor_stops_at_its_switch():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(7.8)
    running = set(bench.on)
    bench.wait(0.1)

    assert (running, bench.on) == ({Coil.CLOSE}, set())


def test_latching_valve_gets_a_whole_pulse_though_its_switch_comes_sooner():
    bench = Rig(spec(ValveKind.LATCHING, pulse_s=0.1), travel_s=0.03)
    bench.drive(CLOSED)
    bench.wait(0.09)
    during = set(bench.on)
    bench.wait(0.02)

    assert (during, bench.on, bench.state) == ({Coil.CLOSE}, set(), ValveState.CLOSED)


def test_no_setting_makes_a_pulse_longer_than_a_second():
    bench = rig(ValveKind.LATCHING, pulse_s=30.0)
    bench.drive(CLOSED)
    bench.wait(1.01)

    assert bench.on == set()


def test_close_during_opening_cuts_the_coil_at_once_and_closes_after_the_dead_time():
    bench = rig(dead_time_s=0.5)
    bench.drive(CLOSED)
    bench.wait(20)
    bench.drive(OPEN)
    bench.wait(3)

    bench.drive(CLOSED, LEAK)
    cut = bench.coils_set()
    bench.wait(0.49)
    resting = set(bench.on)
    bench.wait(0.02)

    assert (cut, resting, bench.on) == ([(Coil.OPEN, False)], set(), {Coil.CLOSE})


def test_open_while_closing_cuts_and_interlocks():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(3)

    bench.drive(OPEN)
    cut = bench.coils_set()
    bench.wait(20)

    assert cut == [(Coil.CLOSE, False)]
    assert (bench.state, bench.really) == (ValveState.OPEN, OPEN)


def test_dead_time_also_counts_from_a_run_that_has_ended():
    bench = rig(dead_time_s=0.5)
    bench.drive(CLOSED)
    bench.wait(20)
    bench.drive(OPEN)
    while bench.state is ValveState.OPENING:
        bench.wait(0.01)

    bench.drive(CLOSED)

    assert bench.coils_set() == [(Coil.OPEN, False)]
    assert bench.state is ValveState.CLOSING


def test_spring_valve_closes_without_dead_time():
    bench = rig(ValveKind.SPRING_RETURN)

    bench.drive(CLOSED, LEAK)

    assert bench.coils_set() == [(Coil.OPEN, False)]


def test_confirmed_closure_is_only_recorded_when_asked_for_again():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(20)

    bench.drive(CLOSED, LEAK)

    assert [type(effect) for effect in bench.last] == [Record]


def test_assumed_closure_is_driven_again():
    bench = Rig(spec(switches=NO_SWITCH))
    bench.drive(CLOSED)
    bench.wait(20)

    bench.drive(CLOSED, LEAK)

    assert bench.coils_set() == [(Coil.CLOSE, True)]


def test_second_leak_while_closing_commands_again_without_a_longer_run():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(2)
    before = deadline_s(bench.valve)

    bench.drive(CLOSED, LEAK)

    assert bench.coils_set() == [(Coil.CLOSE, True)]
    assert deadline_s(bench.valve) == before


def test_spring_valve_shut_by_hand_is_still_released_by_a_leak():
    bench = rig(ValveKind.SPRING_RETURN)
    bench.stalled = True
    bench.turn_by_hand(0.0)

    bench.drive(CLOSED, LEAK)

    assert bench.coils_set() == [(Coil.OPEN, False)]


# --- failing ----------------------------------------------------------------------------------------


@KINDS
def test_valve_that_does_not_close_is_tried_twice_and_alarms_once(kind: ValveKind):
    bench = rig(kind)
    bench.stalled = True

    bench.drive(CLOSED, LEAK)
    bench.wait(100)

    alarms = [effect for effect in bench.said(Raise) if effect.kind == "fail-to-close"]
    assert [(alarm.cls, alarm.latched, alarm.subject) for alarm in alarms] == [
        (SignalClass.ALARM, True, "valve/main")
    ]
    assert bench.state is ValveState.FAULT
    assert not bench.on


def test_failed_close_is_tried_again_every_five_minutes_and_ends_when_it_succeeds():
    bench = rig()
    bench.stalled = True
    bench.drive(CLOSED, LEAK)
    bench.wait(200)

    bench.stalled = False
    bench.wait(320)

    assert (bench.state, bench.valve.closure) == (ValveState.CLOSED, "confirmed")
    assert "fail-to-close" not in bench.active()


def test_stuck_valve_stays_bounded_and_alarmed_for_a_day():
    bench = rig()
    bench.stalled = True
    bench.drive(CLOSED, LEAK)

    bench.wait(86_400)

    assert bench.raised() == ["fail-to-close"]
    assert 250 < sum(e.energised for e in bench.said(SetCoil)) < 300


def test_closed_switch_that_comes_late_ends_the_fault():
    bench = rig()
    bench.stalled = True
    bench.drive(CLOSED)
    bench.wait(100)

    bench.turn_by_hand(0.0)

    assert bench.state is ValveState.CLOSED
    assert "fail-to-close" not in bench.active()


def test_valve_that_closes_on_the_second_run_is_reported_slow():
    bench = rig()
    bench.travel_s = 20.0

    bench.drive(CLOSED)
    bench.wait(60)

    assert bench.state is ValveState.CLOSED
    assert bench.active() == {"valve-slow"}


def test_open_switch_that_stays_made_contradicts_a_timed_close():
    bench = Rig(spec(switches=frozenset({"open"})))
    bench.stalled = True

    bench.drive(CLOSED)
    bench.wait(100)

    assert bench.state is ValveState.FAULT


@KINDS
def test_valve_that_does_not_open_is_trouble_and_its_coil_is_off(kind: ValveKind):
    bench = rig(kind)
    bench.drive(CLOSED)
    bench.wait(20)
    bench.stalled = True

    bench.drive(OPEN)
    bench.wait(100)

    assert bench.active() == {"fail-to-open"}
    assert not bench.on
    assert ValveState.FAULT.value in bench.states_published()


def test_opening_out_of_a_fault_is_refused_on_record():
    bench = rig()
    bench.stalled = True
    bench.drive(CLOSED)
    bench.wait(100)

    bench.drive(OPEN)

    assert bench.coils_set() == []
    assert bench.refusals() == [
        {"goal": "open", "problem": "fail-to-close: needs maintenance before it may open"}
    ]


def test_fault_still_closes_on_demand():
    bench = rig()
    bench.stalled = True
    bench.drive(CLOSED)
    bench.wait(100)

    bench.drive(CLOSED, LEAK)

    assert bench.coils_set() == [(Coil.CLOSE, True)]


def test_both_switches_at_rest_are_a_fault_until_one_lets_go():
    bench = rig()

    bench.stuck[CLOSED] = True
    bench.wait(1)
    bench.turn_by_hand(1.0)
    during = (bench.state, bench.active())
    bench.stuck.clear()
    bench.turn_by_hand(1.0)

    assert during == (ValveState.FAULT, {"both-switches"})
    assert (bench.state, bench.active()) == (ValveState.OPEN, set())


def test_leak_with_contradicting_switches_drives_the_full_time_and_alarms():
    bench = rig()
    bench.stuck[OPEN] = True

    bench.drive(CLOSED, LEAK)
    bench.wait(100)

    assert bench.really is CLOSED
    assert bench.active() == {"both-switches", "fail-to-close"}


def test_line_that_refuses_to_close_is_tried_once_more_and_alarms():
    bench = rig()
    bench.refuse(Coil.CLOSE)

    bench.drive(CLOSED, LEAK)
    bench.wait(2)

    assert bench.state is ValveState.FAULT
    assert bench.active() == {"coil-failed", "fail-to-close"}


def test_line_that_works_again_closes_the_valve_soon():
    bench = rig()
    bench.refuse(Coil.CLOSE)
    bench.drive(CLOSED, LEAK)
    bench.wait(10)

    bench.refuse()
    bench.wait(30)
    closing = bench.state
    bench.wait(60)

    assert (closing, bench.state) == (ValveState.CLOSED, ValveState.CLOSED)
    assert bench.active() == set()


def test_opening_coil_that_cannot_be_cut_keeps_the_closing_coil_off():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(20)
    bench.drive(OPEN)
    bench.wait(2)

    bench.refuse(Coil.OPEN)
    bench.drive(CLOSED, LEAK)
    bench.wait(600)

    assert bench.on == {Coil.OPEN}
    assert "fail-to-close" in bench.active()


def test_line_that_refused_is_released_and_rested_before_the_next_run():
    bench = rig(dead_time_s=0.5)
    bench.drive(OPEN)
    bench.wait(20)
    bench.fail_coil("the line went away")

    bench.drive(CLOSED, LEAK)

    assert bench.coils_set() == [(Coil.OPEN, False), (Coil.CLOSE, False)]


def test_motor_never_runs_longer_than_its_hard_bound():
    bench = rig(travel_s=50.0, max_run_s=60.0)
    bench.stalled = True

    bench.drive(CLOSED)
    bench.wait(59.9)
    running = set(bench.on)
    bench.wait(0.2)

    assert (running, bench.on) == ({Coil.CLOSE}, set())


def test_open_switch_alone_does_not_end_a_failed_close():
    bench = rig()
    bench.turn_by_hand(0.5)
    bench.stalled = True
    bench.drive(CLOSED, LEAK)
    bench.wait(100)

    bench.turn_by_hand(1.0)

    assert bench.state is ValveState.FAULT
    assert "fail-to-close" in bench.active()


# --- hands ------------------------------------------------------------------------------------------


def test_valve_shut_by_hand_is_supervisory_until_it_is_back():
    bench = rig()

    bench.turn_by_hand(0.0)
    away = (bench.state, bench.active())
    bench.turn_by_hand(1.0)

    assert away == (ValveState.CLOSED, {"valve-moved-by-hand"})
    assert (bench.state, bench.active()) == (ValveState.OPEN, set())


def test_closed_valve_that_leaves_its_end_is_unknown_and_supervisory():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(20)

    bench.turn_by_hand(0.5)

    assert (bench.state, bench.active()) == (ValveState.UNKNOWN, {"valve-moved-by-hand"})
    assert bench.coils_set() == []


def test_repeated_or_unwired_switch_says_nothing():
    bench = Rig(spec(switches=frozenset({"closed"})))

    bench.switch(CLOSED, False)
    bench.switch(OPEN, True)

    assert bench.last == []


# --- travel -----------------------------------------------------------------------------------------


def stroke(bench: Rig, times: int = 1) -> None:
    for _ in range(times):
        bench.drive(CLOSED)
        bench.wait(60)
        bench.drive(OPEN)
        bench.wait(60)


def test_learned_travel_shortens_the_time_out():
    bench = rig(travel_s=30.0)
    stroke(bench, 4)

    bench.drive(CLOSED)

    bound_s = deadline_s(bench.valve)
    assert bound_s is not None
    assert bound_s - bench.now_s == pytest.approx(1.5 * 7.7, rel=0.02)


def test_valve_that_grows_a_third_slower_is_trouble_until_it_is_quick_again():
    bench = rig()
    stroke(bench, 5)

    bench.travel_s = 8.0 * 1.35
    stroke(bench)
    slow = bench.active()
    bench.travel_s = 8.0
    stroke(bench)

    assert (slow, bench.active()) == ({"valve-slow"}, set())


def test_slow_creep_over_years_is_noticed():
    bench = rig()
    for step in range(40):
        bench.travel_s = 8.0 * (1 + step / 100)
        stroke(bench)

    assert bench.active() == {"valve-slow"}


def test_switch_that_comes_too_soon_does_not_stop_the_motor_and_is_not_believed():
    bench = rig()
    stroke(bench, 4)

    bench.drive(CLOSED, LEAK)
    bench.wait(0.3)
    bench.stuck[CLOSED] = True
    bench.wait(0.1)
    running = set(bench.on)
    bench.wait(30)

    assert running == {Coil.CLOSE}
    assert (bench.state, bench.valve.closure, bench.really) == (ValveState.CLOSED, "assumed", CLOSED)
    assert bench.active() == {"switch-implausible"}


# --- exercise ---------------------------------------------------------------------------------------


@KINDS
def test_exercise_closes_and_opens_again(kind: ValveKind):
    bench = rig(kind)

    bench.exercise()
    bench.wait(10)
    bench.wait(30)

    assert bench.states_published() == ["open", "testing", "open"]
    assert (bench.really, bench.valve.closing.strokes, bench.valve.opening.strokes) == (OPEN, 1, 1)


def test_exercise_of_a_closed_valve_is_refused():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(20)

    bench.exercise()

    assert bench.coils_set() == []
    assert bench.refusals()


def test_leak_during_an_exercise_makes_it_a_closing():
    bench = rig()
    bench.exercise()
    bench.wait(12)

    bench.drive(CLOSED, LEAK)
    cut = bench.coils_set()
    bench.wait(30)

    assert cut == [(Coil.OPEN, False)]
    assert (bench.state, bench.really) == (ValveState.CLOSED, CLOSED)


def test_exercise_that_cannot_close_alarms_and_gives_the_water_back():
    bench = rig()
    bench.stuck[CLOSED] = False

    bench.exercise()
    bench.wait(120)

    assert (bench.state, bench.really) == (ValveState.OPEN, OPEN)
    assert bench.active() == {"fail-to-close"}


# --- service ----------------------------------------------------------------------------------------


def test_lockout_stops_the_motor_and_nothing_drives_the_valve():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(2)

    bench.lock_out()
    stopped = set(bench.on)
    bench.drive(CLOSED, LEAK)
    bench.drive(OPEN)
    bench.exercise()
    bench.turn_by_hand(0.0)
    bench.wait(600)

    assert (stopped, bench.on, bench.state) == (set(), set(), ValveState.OUT_OF_SERVICE)
    assert bench.raised() == []


def test_lockout_of_a_spring_valve_leaves_it_as_it_is():
    bench = rig(ValveKind.SPRING_RETURN)

    bench.lock_out()
    bench.unlock()

    assert (bench.on, bench.state) == ({Coil.OPEN}, ValveState.OPEN)


def test_return_to_service_ends_a_fault_and_moves_nothing():
    bench = rig()
    bench.stalled = True
    bench.drive(CLOSED)
    bench.wait(100)
    bench.lock_out()

    bench.unlock()

    assert (bench.state, bench.active(), bench.coils_set()) == (ValveState.OPEN, set(), [])


# --- start ------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("opening", [0.0, 1.0])
def test_restart_at_an_end_adopts_it_and_moves_nothing(kind: ValveKind, opening: float):
    bench = Rig(spec(kind), opening)

    assert bench.said(SetCoil) == []
    assert bench.state is (ValveState.OPEN if opening else ValveState.CLOSED)


def test_closing_motor_found_on_is_adopted_with_a_fresh_bound():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(3)

    bench.start()
    adopted = (bench.state, bench.coils_set())
    bench.wait(20)

    assert adopted == (ValveState.CLOSING, [])
    assert (bench.state, bench.on) == (ValveState.CLOSED, set())


def test_opening_motor_found_on_is_released():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(20)
    bench.drive(OPEN)
    bench.wait(3)

    bench.start()

    assert (bench.state, bench.on) == (ValveState.UNKNOWN, set())


def test_both_coils_found_on_are_released():
    bench = rig()
    bench.drive(CLOSED)
    bench.on = {Coil.CLOSE}
    bench.opening = 0.5
    bench.on.add(Coil.OPEN)

    bench.start()

    assert (bench.on, bench.state) == (set(), ValveState.UNKNOWN)


def test_pulse_found_on_is_ended_within_its_length():
    bench = rig(ValveKind.LATCHING, pulse_s=0.1)
    bench.drive(CLOSED)

    bench.start()
    bench.wait(0.11)

    assert bench.on == set()


def test_both_switches_found_made_are_a_fault():
    bench = rig()
    bench.stuck = {OPEN: True, CLOSED: True}

    bench.start()

    assert (bench.state, bench.active(), bench.coils_set()) == (ValveState.FAULT, {"both-switches"}, [])


def test_valve_without_switches_is_assumed_where_it_was_left():
    bench = Rig(spec(switches=NO_SWITCH))
    bench.drive(CLOSED)
    bench.wait(20)

    bench.start()

    assert (bench.state, bench.valve.closure) == (ValveState.CLOSED, "assumed")


def test_valve_without_switches_killed_in_motion_is_unknown():
    bench = Rig(spec(switches=NO_SWITCH))
    bench.drive(CLOSED)
    bench.wait(3)
    bench.on.clear()

    bench.start()

    assert bench.state is ValveState.UNKNOWN


def test_switch_outranks_memory_and_the_difference_is_told():
    bench = rig()
    bench.opening = 0.0

    bench.start()

    assert (bench.state, bench.active()) == (ValveState.CLOSED, {"valve-moved-by-hand"})


def test_spring_valve_that_closed_in_a_power_cut_blames_nobody():
    bench = rig(ValveKind.SPRING_RETURN)
    bench.on.clear()
    bench.opening = 0.0

    bench.start()

    assert (bench.state, bench.active()) == (ValveState.CLOSED, set())


def test_spring_valve_found_released_but_not_closed_is_awaited():
    bench = rig(ValveKind.SPRING_RETURN)
    bench.on.clear()
    bench.stalled = True

    bench.start()
    adopted = bench.state
    bench.wait(100)

    assert (adopted, bench.state) == (ValveState.CLOSING, ValveState.FAULT)


def test_spring_valve_found_held_open_without_its_switch_is_left_alone():
    bench = rig(ValveKind.SPRING_RETURN)
    bench.stalled = True
    bench.turn_by_hand(0.7)

    bench.start()
    bench.wait(600)

    assert (bench.state, bench.on) == (ValveState.UNKNOWN, {Coil.OPEN})


def test_failed_close_goes_on_being_tried_after_a_restart():
    bench = rig()
    bench.stalled = True
    bench.drive(CLOSED, LEAK)
    bench.wait(100)

    bench.start()
    restarted = (bench.state, bench.coils_set())
    bench.stalled = False
    bench.wait(400)

    assert restarted == (ValveState.FAULT, [])
    assert (bench.state, bench.active()) == (ValveState.CLOSED, set())


def test_learned_travel_survives_a_restart():
    bench = rig()
    stroke(bench, 4)
    before = bench.valve.closing

    bench.start()

    assert bench.valve.closing.mean_s == pytest.approx(before.mean_s, abs=1e-3)
    assert bench.valve.closing.strokes == 4


@pytest.mark.parametrize(
    "memory",
    [
        None,
        "closed",
        [1, 2],
        {"position": 7, "fault": ["x"], "conditions": {"a": 1}, "closing": {"mean_s": "fast"}},
        {"position": "ajar", "fault": "odd", "conditions": [1, None, "leak"], "closing": {"mean_s": -1}},
        {"opening": {"mean_s": float("nan"), "deviation_s": 0, "baseline_s": 1, "strokes": True}},
    ],
)
def test_nonsense_in_memory_counts_as_nothing(memory: object):
    bench = rig()
    bench.memory = memory  # type: ignore[assignment]  # on purpose

    bench.start()

    assert (bench.state, bench.active(), bench.valve.closing.strokes) == (ValveState.OPEN, set(), 0)


def test_start_that_finds_nothing_new_writes_no_memory():
    bench = rig()
    bench.drive(CLOSED)
    bench.wait(20)

    bench.start()

    assert not any(isinstance(effect, Remember) for effect in bench.last)


def test_start_without_levels_is_unknown():
    valve, _ = found(spec(), ValveFound("main", {}, {}), None, 0.0)

    assert valve.state is ValveState.UNKNOWN


# --- view -------------------------------------------------------------------------------------------


def test_view_shows_the_progress_of_a_stroke():
    bench = rig(travel_s=8.0)
    bench.drive(CLOSED, PERSON)
    bench.wait(4)

    assert view(bench.valve, bench.now_s) == {
        "name": "main",
        "kind": "motorised",
        "state": "closing",
        "closure": None,
        "closure_by": None,
        "travel_s": None,
        "goal": "closed",
        "progress_percent": 50,
    }
