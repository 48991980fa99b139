"""When a certificate is renewed: pure, for any lifetime, any clock and any history."""

import itertools
import math
import random
from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.identity.due import (
    LONGEST_RECOVERY_WAIT_S,
    REFUSAL_SPREAD_S,
    SHORTEST_WAIT_S,
    SPREAD,
    STEPS,
    Action,
    due,
    next_attempt_unix_s,
    recovery_wait_s,
    wait_s,
)
from gateway.identity.window import Window

DAY_S = 86_400.0
NOW = 1_795_000_000.0
MONTH = Window(NOW, NOW + 30 * DAY_S)

windows = st.builds(
    lambda begin, length: Window(begin, begin + length),
    st.floats(1e9, 3e9),
    st.floats(600, 20 * 365 * DAY_S),
)
shares = st.floats(0.1, 0.95)
chances = st.floats(0, 1, exclude_max=True)
places = st.floats(0, 1)


def at(valid: Window, share: float) -> float:
    return valid.begin_unix_s + share * valid.length_s


def first(valid: Window, renew_at: float, chance: float) -> float:
    return next_attempt_unix_s(valid, renew_at=renew_at, chance=chance, last_unix_s=None)


@given(windows, shares, chances, places)
def test_it_is_never_due_before_its_share(valid: Window, renew_at: float, chance: float, place: float):
    now = at(valid, place * renew_at * 0.999)

    assert due(valid, now, renew_at=renew_at, chance=chance, last_unix_s=None).action is Action.WAIT


@given(windows, shares, chances)
def test_it_is_always_due_before_its_end(valid: Window, renew_at: float, chance: float):
    latest = at(valid, renew_at + (1 - renew_at) * SPREAD)

    assert first(valid, renew_at, chance) <= latest + 1
    assert (
        due(valid, latest + 1, renew_at=renew_at, chance=chance, last_unix_s=None).action is not Action.WAIT
    )


@given(windows, shares, chances, places, places)
def test_a_failure_never_puts_the_next_attempt_beyond_the_end(
    valid: Window, renew_at: float, chance: float, place: float, later: float
):
    last = at(valid, place)
    assume(last < valid.end_unix_s)

    next_s = next_attempt_unix_s(valid, renew_at=renew_at, chance=chance, last_unix_s=last)

    assert next_s <= valid.end_unix_s
    assert next_s > last
    # whatever the time, nothing is forgotten: from `next_s` on it is due
    now = next_s + later * (valid.end_unix_s - next_s)
    assert due(valid, now, renew_at=renew_at, chance=chance, last_unix_s=last).action is not Action.WAIT


@given(windows, places, places)
def test_the_nearer_the_end_the_shorter_the_wait(valid: Window, one: float, other: float):
    early, late = sorted((at(valid, one), at(valid, other)))

    assert wait_s(valid, late) <= wait_s(valid, early)


@given(windows, shares, chances)
def test_attempts_that_all_fail_are_bounded_and_reach_the_end(valid: Window, renew_at: float, chance: float):
    tried = [first(valid, renew_at, chance)]
    while tried[-1] < valid.end_unix_s:
        tried.append(next_attempt_unix_s(valid, renew_at=renew_at, chance=chance, last_unix_s=tried[-1]))

    gaps = [later - sooner for sooner, later in itertools.pairwise(tried)]
    assert 5 <= len(tried) <= STEPS * math.log(max(STEPS, valid.length_s / SHORTEST_WAIT_S)) + 2 * STEPS + 8
    # (each earlier than the one before, but for the rounding of a Unix time)
    assert all(later <= sooner + 1e-3 for sooner, later in itertools.pairwise(gaps))


@given(windows, shares, chances, st.floats(0, 1e9), st.floats(0, 1e9))
def test_recovery_after_the_end_begins_at_once_and_keeps_a_bounded_pace(
    valid: Window, renew_at: float, chance: float, one: float, other: float
):
    before = due(valid, valid.end_unix_s, renew_at=renew_at, chance=chance, last_unix_s=valid.end_unix_s - 1)
    assert before.action is Action.RECOVER

    sooner, later = sorted((valid.end_unix_s + one, valid.end_unix_s + other))
    for last in (sooner, later):
        pause = next_attempt_unix_s(valid, renew_at=renew_at, chance=chance, last_unix_s=last) - last
        assert SHORTEST_WAIT_S * 0.999 <= pause <= LONGEST_RECOVERY_WAIT_S * 1.501
    assert recovery_wait_s(valid.end_unix_s, sooner) <= recovery_wait_s(valid.end_unix_s, later)


@given(windows, shares, chances, st.one_of(st.none(), st.floats(0, 4e9)))
def test_without_a_trusted_clock_nothing_is_ever_done(
    valid: Window, renew_at: float, chance: float, last: float | None
):
    planned = due(valid, None, renew_at=renew_at, chance=chance, last_unix_s=last)

    assert (planned.action, planned.at_unix_s) == (Action.WAIT, None)


@given(windows, shares, chances, places)
def test_an_attempt_that_a_wrong_clock_dated_into_the_future_delays_nothing(
    valid: Window, renew_at: float, chance: float, place: float
):
    now = at(valid, place)

    assert due(valid, now, renew_at=renew_at, chance=chance, last_unix_s=now + 1e8) == due(
        valid, now, renew_at=renew_at, chance=chance, last_unix_s=None
    )


def test_an_attempt_for_the_former_certificate_delays_nothing():
    assert next_attempt_unix_s(MONTH, renew_at=0.66, chance=0, last_unix_s=NOW - DAY_S) == first(
        MONTH, 0.66, 0
    )


def test_gateways_of_one_day_renew_over_days_and_the_same_one_at_the_same_time():
    moments = [first(MONTH, 0.66, n / 1000) for n in range(1000)]

    assert moments == sorted(set(moments))
    assert moments[-1] - moments[0] > 2 * DAY_S
    assert moments == [first(MONTH, 0.66, n / 1000) for n in range(1000)]


def test_a_month_is_tried_every_day_at_first_and_every_few_minutes_at_last():
    assert DAY_S < wait_s(MONTH, at(MONTH, 0.66)) < 2 * DAY_S
    assert wait_s(MONTH, MONTH.end_unix_s - 1000) == SHORTEST_WAIT_S


@given(chances, st.floats(0.0, 10 * DAY_S))
def test_whom_the_broker_refuses_renews_before_the_time_at_a_bounded_pace(
    chance: float, refused_after_s: float
):
    """Perhaps the certificate's authority was given up: to wait for its time would be weeks in the dark."""
    refused = MONTH.begin_unix_s + refused_after_s
    now, last, attempts = refused, None, []
    while now < refused + 3 * DAY_S:
        planned = due(MONTH, now, renew_at=0.66, chance=chance, last_unix_s=last, refused_unix_s=refused)
        if planned.action is Action.RENEW:
            last = now
            attempts.append(now)
        now += 600.0

    assert attempts[0] - refused <= SHORTEST_WAIT_S + REFUSAL_SPREAD_S + 600.0
    assert 8 < len(attempts) < 40
    assert min(later - one for one, later in itertools.pairwise(attempts)) >= SHORTEST_WAIT_S


@given(chances, st.floats(0.0, 29 * DAY_S))
def test_a_refusal_never_delays_a_renewal(chance: float, after_s: float):
    now = MONTH.begin_unix_s + after_s
    plain = due(MONTH, now, renew_at=0.66, chance=chance, last_unix_s=None)
    refused = due(MONTH, now, renew_at=0.66, chance=chance, last_unix_s=None, refused_unix_s=now)

    assert refused.at_unix_s is not None
    assert plain.at_unix_s is not None
    assert refused.at_unix_s <= plain.at_unix_s


def test_after_a_long_outage_of_the_cloud_gateways_do_not_come_back_in_step():
    """Ten thousand, enrolled within a week and then cut off for 60 days; a timer looks every hour."""
    dice = random.Random(1)  # noqa: S311  # repeatable, not secret
    returns = NOW + 60 * DAY_S
    per_minute: Counter[int] = Counter()
    for _ in range(1000):
        begin = NOW + dice.uniform(0, 7 * DAY_S)
        valid = Window(begin, begin + 30 * DAY_S)
        chance, timer_s = dice.random(), dice.uniform(0, 3600)
        now, last = valid.end_unix_s - dice.uniform(0, 3600) + timer_s, valid.end_unix_s - 600.0
        while True:
            planned = due(valid, now, renew_at=0.66, chance=chance, last_unix_s=last)
            if planned.action is not Action.WAIT:
                if now >= returns:
                    break
                last = now
            now += 3600
        per_minute[int((now - returns) // 60)] += 1

    assert max(per_minute) <= 10 * 60
    assert max(per_minute.values()) <= 15  # of 1000, in one minute
