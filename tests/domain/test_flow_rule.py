"""Flow rules: never below their limit, always above it, and only when they count."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.domain.commands import Remember
from gateway.domain.demand import Demand, Turn
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.flow import meter as meters
from gateway.domain.flow import resolution
from gateway.domain.flow import rule as rules
from gateway.domain.flow.rule import Rule
from gateway.domain.flow.setting import Setting
from gateway.domain.model import Occupancy, SignalClass
from gateway.domain.site import Action, FlowRuleSpec, MeterSpec, Period
from tests.fakes.meter import ReedMeter

DAY_MIN = 24 * 60
METER = MeterSpec(id="incoming", litres_per_pulse=1.0, valves=("main",))
RULE = FlowRuleSpec(id="night", meter="incoming", above_l_per_min=20.0, for_s=1800.0)
NIGHT = Period(start_min=22 * 60, end_min=DAY_MIN + 6 * 60)

PULSE_L = st.sampled_from([1.0, 10.0, 100.0, 1000.0])
LIMIT = st.floats(0.2, 100.0)
FOR_S = st.floats(10.0, 7200.0)
PHASE = st.floats(0.0, 0.99)


class Bench:
    """One meter and one rule in virtual time."""

    def __init__(self, spec: FlowRuleSpec = RULE, meter: MeterSpec = METER, phase: float = 0.0) -> None:
        self.water = ReedMeter(meter.litres_per_pulse, phase)
        self.meter = meters.found(meter, 0.0)
        self.rule = Rule(spec, meter)
        self.now_s = 0.0
        self.demands: list[Demand] = []
        self.effects: list[Effect] = []
        self.alarmed_s: float | None = None
        self.set_to()

    def set_to(self, mode: Occupancy = Occupancy.OCCUPIED, minute: int | None = 0) -> None:
        self.rule, effects = rules.set_to(self.rule, Setting(mode, minute))
        self.effects += effects

    def flow(self, l_per_min: float, duration_s: float) -> "Bench":
        for at_s in self.water.run(l_per_min, self.now_s, duration_s):
            self._tick_until(at_s)
            self.meter = meters.pulsed(self.meter, 1, at_s)
            self.rule, demands, effects = rules.pulsed(self.rule, self.meter.edges, at_s)
            self.demands += demands
            self.effects += effects
            if self.alarmed_s is None and self.rule.is_latched:
                self.alarmed_s = at_s
        self._tick_until(self.now_s + duration_s)
        self.now_s += duration_s
        return self

    def _tick_until(self, end_s: float) -> None:
        if self.rule.ends_s is not None and self.rule.ends_s <= end_s:
            self.rule, effects = rules.tick(self.rule, self.rule.ends_s)
            self.effects += effects

    def raised(self, kind: str = "flow") -> list[Raise]:
        return [effect for effect in self.effects if isinstance(effect, Raise) and effect.kind == kind]


# --- properties ---------------------------------------------------------------------------------------


@given(PULSE_L, LIMIT, FOR_S, PHASE, st.floats(0.01, 0.999999))
def test_constant_flow_below_the_limit_never_triggers(
    pulse_l: float, limit: float, for_s: float, phase: float, part: float
) -> None:
    meter = replace(METER, litres_per_pulse=pulse_l)
    bench = Bench(replace(RULE, above_l_per_min=limit, for_s=for_s), meter, phase)

    gap_s = meters.interval_s(meter, limit)
    bench.flow(part * limit, max(20 * gap_s, min(3 * for_s, 500 * gap_s)))

    assert not bench.rule.is_latched
    assert bench.effects == []


@given(PULSE_L, LIMIT, FOR_S, PHASE, st.floats(1.000001, 20.0))
def test_constant_flow_above_the_limit_always_triggers_within_the_stated_delay(
    pulse_l: float, limit: float, for_s: float, phase: float, part: float
) -> None:
    meter = replace(METER, litres_per_pulse=pulse_l)
    spec = replace(RULE, above_l_per_min=limit, for_s=for_s)
    gap_s = meters.interval_s(meter, limit)
    assume(for_s / gap_s * part < 20_000)
    bench = Bench(spec, meter, phase)

    bench.flow(part * limit, resolution.delay_s(spec, meter) + 1.0)

    assert bench.alarmed_s is not None
    assert for_s <= bench.alarmed_s <= resolution.delay_s(spec, meter)
    assert [demand.turn for demand in bench.demands][:1] == [Turn.NEW]


@given(PULSE_L, LIMIT, FOR_S, PHASE, st.tuples(st.floats(0.05, 0.9), st.floats(1.05, 10.0)))
def test_step_from_below_to_above_triggers_within_the_stated_delay_of_the_step(
    pulse_l: float, limit: float, for_s: float, phase: float, step: tuple[float, float]
) -> None:
    low, high = step
    meter, gap_s = replace(METER, litres_per_pulse=pulse_l), 60.0 * pulse_l / limit
    spec = replace(RULE, above_l_per_min=limit, for_s=for_s)
    assume(for_s / gap_s * high < 20_000)
    bench = Bench(spec, meter, phase)

    bench.flow(low * limit, 7.3 * gap_s)
    assert bench.alarmed_s is None
    bench.flow(high * limit, resolution.delay_s(spec, meter) + 1.0)

    assert bench.alarmed_s is not None


# --- what counts as staying above ---------------------------------------------------------------------


def test_burst_between_two_pauses_does_not_count_as_staying_above() -> None:
    bench = Bench()
    for _ in range(10):
        bench.flow(60.0, 900.0).flow(0.0, 60.0)

    assert bench.effects == []


def test_surplus_saved_up_before_does_not_excuse_a_slump() -> None:
    bench = Bench()
    bench.flow(100.0, 1700.0).flow(10.0, 60.0).flow(100.0, 1700.0)

    assert not bench.rule.is_latched


def test_single_late_pulse_does_not_interrupt() -> None:
    bench = Bench()
    for number in range(1, 1000):
        at_s = number * 2.5 + (0.8 if number == 400 else 0.0)
        bench.meter = meters.pulsed(bench.meter, 1, at_s)
        bench.rule, _, effects = rules.pulsed(bench.rule, bench.meter.edges, at_s)
        bench.effects += effects

    assert bench.rule.is_latched
    assert len(bench.raised()) == 1


def test_coarse_meter_does_not_take_one_large_draw_for_a_leak() -> None:
    coarse = replace(METER, litres_per_pulse=1000.0)
    bench = Bench(RULE, coarse)
    for _ in range(5):
        bench.flow(200.0, 600.0).flow(0.0, 4 * 3600.0)

    assert not bench.rule.is_latched
    assert bench.flow(25.0, resolution.delay_s(RULE, coarse)).rule.is_latched


@pytest.mark.parametrize(("pulse_l", "fine"), [(1.0, True), (200.0, True), (201.0, False), (1000.0, False)])
def test_meter_is_called_too_coarse_when_it_cannot_give_three_pulses_in_time(
    pulse_l: float, fine: bool
) -> None:
    problem = resolution.problem(RULE, replace(METER, litres_per_pulse=pulse_l))

    assert (problem is None) is fine


def test_problem_says_how_late_and_what_to_do() -> None:
    problem = resolution.problem(RULE, replace(METER, litres_per_pulse=1000.0))

    assert problem == (
        "a pulse of 1000 l comes every 50 min at 20 l/min, and a rule needs 3: it may take up to 3.33 h; "
        "take a meter of 200 l per pulse or less, or give for_s = 9000 or more"
    )


# --- alarm, warning, reset ----------------------------------------------------------------------------


def test_alarm_is_latched_and_its_condition_ends_with_the_flow() -> None:
    bench = Bench()
    bench.flow(30.0, 1900.0)
    raised = bench.raised()
    assert [(r.alarm_id, r.cls, r.latched) for r in raised] == [("flow/rule/night", SignalClass.ALARM, True)]
    assert "30 l/min for 30 min (limit 20 l/min for 30 min)" in raised[0].detail
    assert Remember("rule/night", {"closing": True}) in bench.effects

    bench.flow(0.0, 20.0)

    assert Clear("flow", "rule/night") in bench.effects
    assert (bench.rule.is_active, bench.rule.is_latched, bench.rule.is_closing) == (False, True, True)


def test_warning_comes_first_and_ends_if_the_water_stops() -> None:
    bench = Bench(replace(RULE, pre_alarm_s=300.0))
    bench.flow(30.0, 2000.0)
    assert [r.alarm_id for r in bench.raised("flow-warning")] == ["flow-warning/rule/night"]
    assert "closes main in 5 min unless the water stops" in bench.raised("flow-warning")[0].detail
    assert rules.view(bench.rule, bench.now_s)["state"] == "warning"
    assert 90.0 < float(str(rules.view(bench.rule, bench.now_s)["closes_in_s"])) < 110.0

    bench.flow(0.0, 3600.0)

    assert Clear("flow-warning", "rule/night") in bench.effects
    assert (bench.demands, bench.raised()) == ([], [])


def test_warning_becomes_a_closing_with_the_first_pulse_after_its_end() -> None:
    bench = Bench(replace(RULE, pre_alarm_s=300.0))
    bench.flow(30.0, 2104.0)

    assert [(d.by, d.valves, d.turn) for d in bench.demands][:1] == [("night", ("main",), Turn.NEW)]
    assert bench.alarmed_s == pytest.approx(2102.0, abs=3.0)
    assert Clear("flow-warning", "rule/night") in bench.effects


def test_reset_waits_until_the_water_is_known_to_have_stopped() -> None:
    bench = Bench()
    bench.flow(30.0, 1900.0)
    assert rules.may_reset(bench.rule, bench.now_s) == "more than 20 l/min flow"
    assert rules.may_reset(bench.rule, bench.now_s + 8.0) is not None

    bench.flow(0.0, 30.0)
    assert rules.may_reset(bench.rule, bench.now_s) is None
    rule, demands, effects = rules.reset(bench.rule)

    assert [demand.turn for demand in demands] == [Turn.ENDED]
    assert effects == [Remember("rule/night", None)]
    assert not rule.is_latched


def test_after_a_restart_nobody_knows_for_a_while_whether_water_flows() -> None:
    rule = rules.latched(Rule(RULE, METER), {"closing": True}, 100.0)
    assert rule.is_closing
    assert rules.may_reset(rule, 101.0) == "whether the water has stopped is known in 9 s"

    rule, effects = rules.tick(rule, 110.0)

    assert effects == [Clear("flow", "rule/night")]
    assert rules.may_reset(rule, 110.0) is None


def test_meter_that_cannot_be_heard_neither_ends_an_alarm_nor_lets_it_be_reset() -> None:
    bench = Bench()
    bench.flow(30.0, 1900.0)
    bench.rule, _ = rules.deafened(bench.rule)
    bench.flow(0.0, 3600.0)
    assert bench.rule.is_active
    assert "cannot be heard" in str(rules.may_reset(bench.rule, bench.now_s))

    bench.rule = rules.heard(bench.rule, bench.now_s)
    bench.flow(0.0, 20.0)

    assert rules.may_reset(bench.rule, bench.now_s) is None


# --- when it counts, and whether it closes ------------------------------------------------------------


def test_rule_counts_only_in_its_periods_and_its_count_begins_with_them() -> None:
    bench = Bench(replace(RULE, periods=(NIGHT,)))
    bench.set_to(minute=12 * 60)
    bench.flow(30.0, 7200.0)
    assert bench.effects == []
    assert rules.view(bench.rule, bench.now_s)["state"] == "off"

    bench.set_to(minute=22 * 60)
    bench.flow(30.0, 1700.0)
    assert not bench.rule.is_latched
    bench.flow(30.0, 200.0)

    assert bench.rule.is_closing


@pytest.mark.parametrize(
    ("period", "minute", "inside"),
    [
        (NIGHT, 22 * 60 - 1, False),
        (NIGHT, 22 * 60, True),
        (NIGHT, DAY_MIN + 5 * 60 + 59, True),
        (NIGHT, DAY_MIN + 6 * 60, False),
        (Period(start_min=6 * DAY_MIN + 1320, end_min=360), 0, True),
        (Period(start_min=6 * DAY_MIN + 1320, end_min=360), 360, False),
        (Period(start_min=6 * DAY_MIN, end_min=0), 7 * DAY_MIN - 1, True),
    ],
)
def test_periods_wrap_around_the_week(period: Period, minute: int, inside: bool) -> None:
    bench = Bench(replace(RULE, periods=(period,)))
    bench.set_to(minute=minute)

    assert bench.rule.counting is inside


def test_rule_with_periods_only_notifies_while_the_clock_is_not_trusted_and_says_why() -> None:
    bench = Bench(replace(RULE, periods=(NIGHT,)))
    bench.set_to(minute=None)
    bench.flow(30.0, 1900.0)

    assert bench.demands == []
    assert "no valve is closed (the clock is not trusted" in bench.raised()[0].detail


def test_rule_without_periods_closes_also_without_a_clock() -> None:
    bench = Bench()
    bench.set_to(minute=None)

    assert bench.flow(30.0, 1900.0).rule.is_closing


def test_maintenance_silences_no_rule_but_keeps_all_from_closing() -> None:
    bench = Bench(replace(RULE, pre_alarm_s=60.0))
    bench.set_to(Occupancy.MAINTENANCE)
    bench.flow(30.0, 1900.0)
    assert "no valve is closed (maintenance" in bench.raised()[0].detail
    assert bench.demands == []

    bench.set_to(Occupancy.OCCUPIED)
    bench.flow(30.0, 10.0)
    assert bench.raised("flow-warning")
    bench.flow(30.0, 60.0)

    assert [demand.turn for demand in bench.demands][:1] == [Turn.NEW]


def test_rule_for_an_empty_building_begins_to_count_when_the_last_one_leaves() -> None:
    bench = Bench(replace(RULE, for_s=60.0, modes=frozenset({Occupancy.UNOCCUPIED})))
    bench.flow(30.0, 600.0)
    bench.set_to(Occupancy.MAINTENANCE)
    bench.flow(30.0, 600.0)
    assert bench.effects == []

    bench.set_to(Occupancy.UNOCCUPIED)
    bench.flow(30.0, 59.0)
    assert bench.effects == []

    assert bench.flow(30.0, 10.0).rule.is_closing


def test_rule_that_only_notifies_is_an_alarm_without_a_demand() -> None:
    bench = Bench(replace(RULE, action=Action.NOTIFY))
    bench.flow(30.0, 1900.0)

    assert len(bench.raised()) == 1
    assert "no valve" not in bench.raised()[0].detail
    assert bench.demands == []


def test_two_pulses_that_are_far_enough_apart_are_no_evidence_yet() -> None:
    coarse = Bench(replace(RULE, for_s=300.0), replace(METER, litres_per_pulse=100.0), phase=0.99)
    coarse.flow(19.9 + 1.0, 2 * 300.0)
    assert (coarse.rule.run is not None and coarse.rule.run.pulses) == 2
    assert coarse.alarmed_s is None

    coarse.flow(19.9 + 1.0, 300.0)
    assert coarse.alarmed_s is not None


def test_condition_ends_with_a_flow_that_sinks_below_the_limit_and_goes_on() -> None:
    bench = Bench(replace(RULE, for_s=60.0)).flow(30.0, 70.0)
    assert bench.rule.is_active

    bench.flow(10.0, 30.0)

    assert not bench.rule.is_active
    assert Clear("flow", "rule/night") in bench.effects


def test_warning_ends_at_once_when_the_rule_counts_no_more_or_may_not_close_any_more() -> None:
    for mode in (Occupancy.OCCUPIED, Occupancy.MAINTENANCE):
        spec = replace(RULE, for_s=60.0, pre_alarm_s=300.0, modes=frozenset({Occupancy.UNOCCUPIED}))
        if mode is Occupancy.MAINTENANCE:
            spec = replace(spec, modes=frozenset(Occupancy))
        bench = Bench(spec)
        bench.set_to(Occupancy.UNOCCUPIED)
        bench.flow(30.0, 70.0)
        assert bench.raised("flow-warning")
        bench.set_to(mode)
        bench.flow(30.0, 2.5)

        assert Clear("flow-warning", "rule/night") in bench.effects
        assert bench.rule.closes_s is None
        assert bench.rule.is_latched == (mode is Occupancy.MAINTENANCE)
        assert not bench.demands


def test_rule_that_was_told_to_notify_only_does_not_go_on_closing_after_the_restart() -> None:
    memory = {"closing": True}
    assert rules.latched(Rule(RULE, METER), memory, 0.0).is_closing
    assert not rules.latched(Rule(replace(RULE, action=Action.NOTIFY), METER), memory, 0.0).is_closing
