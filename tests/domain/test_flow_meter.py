"""What pulses say of the flow: the truth lies always within the bounds."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.flow import meter
from gateway.domain.flow.meter import FlowState, Meter
from gateway.domain.site import MeterSpec
from tests.fakes.meter import ReedMeter

PULSE_L = st.sampled_from([0.5, 1.0, 2.5, 10.0, 100.0, 1000.0])
FLOW = st.floats(0.01, 500.0)
PHASE = st.floats(0.0, 0.99)
NEARLY = 1e-6


def spec(litres_per_pulse: float) -> MeterSpec:
    return MeterSpec(id="incoming", litres_per_pulse=litres_per_pulse)


def fed(state: Meter, water: ReedMeter, l_per_min: float, begin_s: float, duration_s: float) -> Meter:
    for at_s in water.run(l_per_min, begin_s, duration_s):
        state = meter.pulsed(state, 1, at_s)
    return state


@given(PULSE_L, FLOW, PHASE, st.floats(1.0, 40.0), st.floats(0.0, 0.999))
def test_constant_flow_lies_within_the_bounds_whenever_one_looks(
    pulse_l: float, l_per_min: float, phase: float, pulses: float, later: float
) -> None:
    water, gap_s = ReedMeter(pulse_l, phase), 60.0 * pulse_l / l_per_min
    now_s = (pulses + later) * gap_s
    state = fed(meter.found(spec(pulse_l), 0.0), water, l_per_min, 0.0, now_s)

    seen = meter.flow(state, now_s)

    assert seen.at_least <= l_per_min * (1 + NEARLY)
    assert seen.at_most is None or l_per_min <= seen.at_most * (1 + NEARLY)
    if seen.state is FlowState.FLOWING:
        assert seen.l_per_min == pytest.approx(l_per_min, rel=1e-4)


@given(
    PULSE_L, st.lists(st.tuples(FLOW | st.just(0.0), st.floats(1.0, 2000.0)), min_size=1, max_size=6), PHASE
)
def test_stepped_flow_has_its_mean_over_the_told_time_within_the_bounds(
    pulse_l: float, steps: list[tuple[float, float]], phase: float
) -> None:
    water, now_s, state = ReedMeter(pulse_l, phase), 0.0, meter.found(spec(pulse_l), 0.0)
    history = [(0.0, 0.0)]
    for l_per_min, wanted_s in steps:
        # 500 l/min in pulses of 0.5 l for 2000 s is more than any meter gives; keep the test quick
        duration_s = min(wanted_s, 400 * 60.0 * pulse_l / max(l_per_min, 0.01))
        state = fed(state, water, l_per_min, now_s, duration_s)
        now_s += duration_s
        history.append((now_s, water.passed_l))

        seen = meter.flow(state, now_s)

        passed_l = water.passed_l - passed_by(history, now_s - seen.over_s)
        mean = 60.0 * passed_l / seen.over_s if seen.over_s else 0.0
        assert seen.at_least <= mean + NEARLY * max(1.0, mean)
        assert seen.at_most is None or mean <= seen.at_most + NEARLY * max(1.0, mean)


def passed_by(history: list[tuple[float, float]], at_s: float) -> float:
    for (from_s, from_l), (to_s, to_l) in itertools.pairwise(history):
        if from_s <= at_s <= to_s and to_s > from_s:
            return from_l + (to_l - from_l) * (at_s - from_s) / (to_s - from_s)
    return history[0][1]


def test_flow_ends_when_two_pulses_are_missed_and_its_bound_sinks_from_then_on() -> None:
    water = ReedMeter(1.0)
    state = fed(meter.found(spec(1.0), 0.0), water, 20.0, 0.0, 60.0)

    assert meter.flow(state, 60.0).l_per_min == pytest.approx(20.0)
    assert meter.flow(state, 65.9).state is FlowState.FLOWING
    over = meter.flow(state, 66.0)
    assert (over.state, over.l_per_min, over.at_most) == (FlowState.NONE, 0.0, 10.0)
    assert meter.flow(state, 660.0).at_most == pytest.approx(0.1)


def test_estimate_follows_a_step_with_the_second_pulse_after_it() -> None:
    water = ReedMeter(1.0)
    state = fed(meter.found(spec(1.0), 0.0), water, 6.0, 0.0, 600.0)
    state = fed(state, water, 60.0, 600.0, 2.0)

    assert meter.flow(state, 602.0).l_per_min == pytest.approx(60.0)


def test_meter_that_cannot_be_heard_tells_nothing_and_then_starts_anew() -> None:
    water = ReedMeter(1.0)
    state = fed(meter.found(spec(1.0), 0.0), water, 20.0, 0.0, 60.0)
    state = meter.deafened(state)
    assert meter.flow(state, 60.0) == (FlowState.UNKNOWN, None, 0.0, None, 0.0)

    state = meter.heard(state, 1000.0)

    assert meter.flow(state, 1060.0) == (FlowState.NONE, 0.0, 0.0, 1.0, 60.0)
    assert state.pulses == 20


def test_pulses_at_17_per_second_are_kept_in_bounds_and_counted_exactly() -> None:
    water = ReedMeter(1.0)
    state = fed(meter.found(spec(1.0), 0.0), water, 17 * 60.0, 0.0, 600.0)

    assert state.pulses == state.counted == 17 * 600
    assert len(state.edges) <= 32
    assert state.edges[-1].at_s - state.edges[0].at_s >= 10.0
    assert meter.flow(state, 600.0).l_per_min == pytest.approx(17 * 60.0)


def test_total_never_goes_backwards() -> None:
    state = meter.with_total(meter.found(spec(10.0), 0.0), 7, 70.0)
    for pulses in (1, 0, -5, 3):
        before = state
        state = meter.pulsed(state, pulses, 1.0)
        assert state.pulses >= before.pulses
        assert state.litres >= before.litres

    assert (state.pulses, state.litres) == (11, 110.0)


def test_two_pulses_in_the_same_moment_are_no_infinite_flow() -> None:
    state = meter.pulsed(meter.pulsed(meter.found(spec(1.0), 0.0), 1, 5.0), 1, 5.0)

    assert meter.flow(state, 5.0).l_per_min == 0.0
    assert meter.flow(state, 8.0).at_most == pytest.approx(20.0)
