"""Parts of a week, as written and as understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.period import DAYS, parse, shown
from gateway.domain.site import Period

DAY_MIN, WEEK_MIN = 1440, 10080


def minutes(text: str) -> set[int]:
    """Return every minute of the week that the text covers."""
    covered = set()
    for period in parse(text):
        length = (period.end_min - period.start_min) % WEEK_MIN
        covered |= {(period.start_min + minute) % WEEK_MIN for minute in range(length)}
    return covered


def at(day: str, hour: int, minute: int = 0) -> int:
    return DAYS.index(day) * DAY_MIN + hour * 60 + minute


def test_night_of_each_working_day_ends_on_the_next_morning():
    covered = minutes("Mon-Fri 22:00-06:00")

    assert {at("Mon", 22), at("Tue", 5, 59), at("Sat", 5, 59)} <= covered
    assert not {at("Mon", 21, 59), at("Mon", 5), at("Sat", 6), at("Sat", 22)} & covered
    assert len(covered) == 5 * 8 * 60


def test_night_of_sunday_goes_over_into_the_new_week():
    assert parse("Sun 22:00-06:00") == (Period(start_min=at("Sun", 22), end_min=at("Mon", 6)),)


def test_whole_weekend_ends_where_the_week_begins():
    assert minutes("Sat-Sun 00:00-24:00") == set(range(at("Sat", 0), WEEK_MIN))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sat,Sun 08:00-12:00", "Sat-Sun 8:00-12:00"),
        ("sat-mon 08:00-12:00", "Mon,Sat,Sun 08:00 - 12:00"),
        ("Mon-Sun 00:00-24:00", "Tue-Mon 00:00-24:00"),
        ("Mon,Mon-Tue 08:00-09:00", "Mon-Tue 08:00-09:00"),
    ],
)
def test_ways_to_write_the_same(one: str, other: str):
    assert minutes(one) == minutes(other)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("night", "write it as"),
        ("Mon-Fri", "write it as"),
        ("22:00-06:00", "write it as"),
        ("Mon-Fry 22:00-06:00", '"Mon-Fry" is no day'),
        ("Mon-Wed-Fri 22:00-06:00", "no range of days"),
        ("Mon 25:00-06:00", '"25:00" is no time of day'),
        ("Mon 22:60-06:00", '"22:60" is no time of day'),
        ("Mon 08:00-24:01", '"24:01" is no time of day'),
        ("Mon 08:00-08:00", "a whole day is 00:00-24:00"),
        ("Mon 24:00-08:00", "a whole day is 00:00-24:00"),
        ("", "write it as"),
    ],
)
def test_what_is_no_part_of_a_week_is_refused_with_what_to_write(text: str, says: str):
    with pytest.raises(ValueError, match=says):
        parse(text)


@given(
    st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    st.integers(0, DAY_MIN - 1),
    st.integers(1, DAY_MIN),
)
def test_what_is_shown_reads_the_same_again(days: list[str], start_min: int, end_min: int):
    if start_min == end_min:
        return
    text = f"{','.join(days)} {start_min // 60:02}:{start_min % 60:02}-{end_min // 60:02}:{end_min % 60:02}"

    assert minutes(shown(parse(text))) == minutes(text)


def test_days_with_the_same_times_are_shown_together():
    assert shown(parse("Mon,Tue,Wed,Sat 22:00-06:00")) == "Mon-Wed,Sat 22:00-06:00"
    assert shown(()) == "always"
