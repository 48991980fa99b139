"""The sensor at the end of a supervised loop: from samples to events."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import Event, SensorFaulted, SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import AnalogSpec, Failure
from gateway.drivers.eol import Verdict, ratio_of
from gateway.drivers.sensors.loop import (
    AGREEING_SAMPLES,
    SIGN_OF_LIFE_S,
    SILENCE_S,
    UNSETTLED_SAMPLES,
    Config,
    Confirmation,
    Listener,
    bands_of,
)
from gateway.errors import ConfigError
from tests.fakes.board import FakeBoard
from tests.fakes.sensing import sensing

CONFIG = Config(adc="loops", channel=2)
D, W, CUT, S, B = (ratio_of(ohm, 4700) for ohm in (10_400, 2_200, float("inf"), 0, 5_300))
DRY = SensorRead("s", Reading("loop", wet=False, fault=""))
WET = SensorRead("s", Reading("loop", wet=True, fault=""))
CORRODED = "loop at 5.3 kOhm: between wet and dry; corroded contact or a wrong resistor"


def fault(words: str) -> SensorRead:
    return SensorRead("s", Reading("loop", fault=words))


def told(*samples: float | Failure, config: Config = CONFIG) -> list[Event]:
    events: list[Event] = []
    listener = Listener("s", config, events.append)
    for sample in samples:
        listener.on_sample(sample)
    return events


def test_dry_loop_is_told_once_it_is_sure():
    assert told(*[D] * (AGREEING_SAMPLES - 1)) == []
    assert told(*[D] * AGREEING_SAMPLES) == [DRY]


def test_wet_is_told_with_its_second_sample():
    assert told(D, D, D, D, W) == [DRY]
    assert told(D, D, D, D, W, W) == [DRY, WET]


def test_contact_that_chatters_is_wet():
    assert told(D, D, D, D, W, D, W, D, W, D) == [DRY, WET]


def test_one_disturbed_sample_changes_nothing():
    assert told(D, D, D, D, W, D, D, D, D, CUT, D, D, D, D) == [DRY]


def test_change_that_passes_through_a_gap_is_no_trouble():
    assert told(D, D, D, D, B, B, W, W) == [DRY, WET]
    assert told(W, W, B, B, D, D, D, D) == [WET, DRY]


def test_water_that_goes_is_told_when_no_sample_is_wet_any_more():
    assert told(W, W, D, D, D, D) == [WET, DRY]


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(CUT, "loop open"), (S, "loop short"), (B, CORRODED)],
    ids=["open", "short", "between"],
)
def test_loop_that_is_not_intact_is_trouble_and_neither_wet_nor_dry(ratio: float, words: str):
    assert told(D, D, D, D, *[ratio] * 8) == [DRY, fault(words)]
    assert told(D, D, D, D, *[ratio] * 8, D, D, D, D) == [DRY, fault(words), DRY]


def test_words_stay_the_same_while_a_fault_lasts():
    drifting = [ratio_of(5_000 + 10 * step, 4700) for step in range(200)]

    assert len(set(told(*drifting))) == 1


def test_loose_wire_that_never_settles_is_trouble():
    loose = [D, CUT] * UNSETTLED_SAMPLES

    assert told(D, D, D, D, *loose) == [DRY, fault("loop unsettled; look for a loose wire")]


def test_intact_loop_gives_a_sign_of_life_more_often_than_it_is_missed():
    minute = round(60 / CONFIG.every_s)

    assert told(*[D] * 5 * minute).count(DRY) == 10
    assert 3 * SIGN_OF_LIFE_S < SILENCE_S


def test_broken_loop_is_still_heard_of():
    assert told(*[CUT] * 480).count(fault("loop open")) == 4


def test_samples_that_settle_on_nothing_are_no_sign_of_life():
    events = told(D, D, D, D, *[D, B] * 480)

    assert events.count(DRY) == 1


def test_converter_that_fails_is_a_fault_at_once_and_once():
    problem = Failure("ads1115: no chip answers there")

    events = told(D, D, D, D, problem, problem, problem, D, D, D, D)

    assert events == [DRY, SensorFaulted("s", "ads1115: no chip answers there"), DRY]


def test_after_a_hole_in_the_samples_old_ones_confirm_nothing():
    assert told(W, Failure("gone"), W) == [SensorFaulted("s", "gone")]
    assert told(W, Failure("gone"), W, W) == [SensorFaulted("s", "gone"), WET]


def test_normally_closed_contact_is_wet_when_it_opens():
    closed = Config(adc="loops", channel=0, normally="closed")

    assert told(W, W, W, W, D, D, config=closed) == [DRY, WET]


def test_noise_at_the_edge_of_a_band_does_not_flicker():
    noise = random.Random(7)  # noqa: S311  # the same each time
    edge = 0.657  # lower end of dry, see the bands
    noisy = [edge + noise.uniform(-0.008, 0.008) for _ in range(2000)]

    assert set(told(D, D, D, D, *noisy)) == {DRY}


@given(st.lists(st.sampled_from(Verdict), min_size=1, max_size=60))
def test_dry_is_never_confirmed_with_anything_else_among_the_last_samples(verdicts: list[Verdict]):
    confirmation = Confirmation()
    for end, verdict in enumerate(verdicts, start=1):
        last = verdicts[max(0, end - AGREEING_SAMPLES) : end]
        if confirmation.add(verdict):
            held = confirmation.held
            assert held is Verdict.WET if last.count(Verdict.WET) >= 2 else set(last) == {held}
        else:
            assert last.count(Verdict.WET) < 2


@given(st.lists(st.sampled_from([D, CUT, S, B, 0.5, 0.9]), max_size=30), st.sampled_from([D, CUT, S, B]))
def test_wet_is_told_after_two_samples_whatever_came_before(before: list[float], last: float):
    assert told(*before, last, W, W)[-1] == WET


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("channel", -1),
        ("pull_up_ohm", 0.0),
        ("series_ohm", 0.0),
        ("parallel_ohm", -1.0),
        ("wire_ohm", 2300.0),
        ("tolerance_percent", 25.0),
        ("every_s", 0.0),
        ("every_s", 1e-9),
        ("every_s", 6.0),
    ],
)
def test_wrong_value_names_its_key(key: str, value: float):
    with pytest.raises(ConfigError) as error:
        Config(**({"adc": "a", "channel": 0} | {key: value}))  # type: ignore[arg-type]

    assert key in [name for name, _ in error.value.problems]


def test_resistors_that_cannot_be_told_apart_are_refused_with_what_they_read():
    with pytest.raises(ConfigError) as error:
        Config(adc="a", channel=0, parallel_ohm=300)

    ((key, problem),) = error.value.problems
    assert key == "pull_up_ohm"
    assert problem.startswith(
        "of the supply, wet reads 29% to 36% and dry reads 31% to 39%; that is too near"
    )


async def test_sensor_samples_its_channel_and_leaves_it_when_cancelled():
    board = FakeBoard()

    async with sensing("loop", Config(adc="loops", channel=2, every_s=0.5), board) as events:
        ((spec, on_sample),) = board.sampling
        on_sample(W)
        on_sample(W)

    assert spec == AnalogSpec("loops", 2, 0.5)
    assert events == [WET]
    assert board.sampling == []


def test_manual_shows_what_each_set_of_resistors_reads():
    manual = (Path(__file__).parents[2] / "docs" / "hardware.md").read_text(encoding="utf-8")
    sets = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (.*) % \| (.*) % \|$", manual, re.MULTILINE)

    for series, parallel, pull_up, closed, opened in sets:
        config = Config(
            adc="a",
            channel=0,
            series_ohm=float(series),
            parallel_ohm=float(parallel),
            pull_up_ohm=float(pull_up),
        )
        _, wet, dry, _ = bands_of(config)
        assert [f"{band.low * 100:.0f} to {band.high * 100:.0f}" for band in (wet, dry)] == [closed, opened]
    assert len(sets) == 8
