"""Which ratio of a supervised loop means what."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.drivers.eol import (
    CONVERTER_ERROR,
    GUARD_GAP,
    HYSTERESIS,
    Circuit,
    Verdict,
    bands,
    gap_of,
    ohm_of,
    ratio_of,
    too_near,
    verdict_on,
)

USUAL = Circuit(pull_up_ohm=4700, closed_ohm=2200, open_ohm=10_400, wire_ohm=100, tolerance=0.05)
BANDS = bands(USUAL, wet_is_closed=True)

RATIOS = st.floats(0, 1)
OHMS = st.floats(100, 1e6)


@st.composite
def circuits(draw: st.DrawFn) -> Circuit:
    """Circuits whose bands have their guard gaps."""
    closed_ohm = draw(OHMS)
    circuit = Circuit(
        pull_up_ohm=draw(OHMS),
        closed_ohm=closed_ohm,
        open_ohm=closed_ohm * draw(st.floats(1.5, 10)),
        wire_ohm=draw(st.floats(0, 0.1)) * closed_ohm,
        tolerance=draw(st.floats(0, 0.1)),
    )
    assume(too_near(bands(circuit, wet_is_closed=True)) is None)
    return circuit


def ohms(ohm: float) -> Verdict:
    return verdict_on(ratio_of(ohm, USUAL.pull_up_ohm), BANDS)


def test_usual_resistors_mean_what_the_manual_says():
    assert ohms(10_400) is Verdict.DRY
    assert ohms(2_200) is Verdict.WET
    assert ohms(0) is Verdict.SHORT
    assert ohms(float("inf")) is Verdict.OPEN


@pytest.mark.parametrize("ohm", [700, 1_300, 3_500, 5_300, 7_000, 15_000, 40_000])
def test_what_no_intact_loop_can_have_is_neither_dry_nor_wet(ohm: float):
    assert ohms(ohm) is Verdict.BETWEEN


def test_normally_closed_contact_swaps_dry_and_wet_only():
    swapped = bands(USUAL, wet_is_closed=False)

    assert [band.verdict for band in BANDS] == ["short", "wet", "dry", "open"]
    assert [band.verdict for band in swapped] == ["short", "dry", "wet", "open"]
    assert [band[1:] for band in swapped] == [band[1:] for band in BANDS]


@given(ratio=RATIOS, circuit=circuits(), wet_is_closed=st.booleans(), held=st.sampled_from([None, *Verdict]))
def test_every_ratio_has_exactly_one_verdict_whatever_held_before(
    ratio: float, circuit: Circuit, wet_is_closed: bool, held: Verdict | None
):
    found = bands(circuit, wet_is_closed=wet_is_closed)
    margins = {band.verdict: HYSTERESIS if band.verdict is held else 0.0 for band in found}
    inside = [b.verdict for b in found if b.low - margins[b.verdict] <= ratio <= b.high + margins[b.verdict]]

    assert len(inside) <= 1
    assert verdict_on(ratio, found, held) is (inside[0] if inside else Verdict.BETWEEN)


@given(circuit=circuits())
def test_bands_reach_from_end_to_end_with_a_guard_gap_between_any_two(circuit: Circuit):
    found = bands(circuit, wet_is_closed=True)

    assert (found[0].low, found[-1].high) == (0.0, 1.0)
    assert all(upper.low - lower.high >= GUARD_GAP > 2 * HYSTERESIS for lower, upper in pairwise(found))


@given(
    circuit=circuits(),
    wet=st.booleans(),
    off=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    wire=st.floats(0, 1),
    noise=st.floats(-1, 1),
)
def test_parts_within_their_tolerance_are_never_misread(
    circuit: Circuit, wet: bool, off: tuple[float, float], wire: float, noise: float
):
    loop_ohm = circuit.closed_ohm if wet else circuit.open_ohm
    real_ohm = loop_ohm * (1 + circuit.tolerance * off[0]) + wire * circuit.wire_ohm
    pull_up_ohm = circuit.pull_up_ohm * (1 + circuit.tolerance * off[1])
    ratio = ratio_of(real_ohm, pull_up_ohm) + noise * CONVERTER_ERROR * 0.999

    expected = Verdict.WET if wet else Verdict.DRY
    assert verdict_on(ratio, bands(circuit, wet_is_closed=True)) is expected


@given(circuit=circuits(), ratio=RATIOS)
def test_a_gap_lies_between_two_neighbours(circuit: Circuit, ratio: float):
    found = bands(circuit, wet_is_closed=True)
    assume(verdict_on(ratio, found) is Verdict.BETWEEN)

    below, above = gap_of(ratio, found)

    assert (below, above) in [(lower.verdict, upper.verdict) for lower, upper in pairwise(found)]


@given(ohm=st.floats(0, 1e7), pull_up_ohm=st.floats(100, 1e6))
def test_resistance_is_found_again_from_its_ratio(ohm: float, pull_up_ohm: float):
    assert ohm_of(ratio_of(ohm, pull_up_ohm), pull_up_ohm) == pytest.approx(ohm, rel=1e-6, abs=1e-6)


def test_nothing_connected_is_infinity():
    assert ohm_of(1.0, 4700) == float("inf")


def test_two_states_that_look_alike_are_too_near():
    alike = USUAL._replace(open_ohm=2_500)

    near = too_near(bands(alike, wet_is_closed=True))

    assert near is not None
    assert [band.verdict for band in near] == [Verdict.WET, Verdict.DRY]
