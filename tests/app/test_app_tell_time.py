"""The core hears the time each minute, and what was done to the clock."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from gateway.app.clock import RELEASED_UNIX_S, WallClock
from gateway.app.tell_time import minute_of_week, tell_time
from gateway.domain.events import TimeTold

MONDAY_UNIX_S = 1_796_601_600.0  # 2026-12-07 00:00 UTC
HOUR_S, DAY_S = 3600.0, 86400.0


class EnoughError(Exception):
    """The test has seen what it wanted."""


@dataclass
class Clocks:
    """Both clocks; they go on while somebody sleeps, and `steps` set the wall clock during a sleep."""

    unix_s: float
    mono_s: float = 100.0
    steps: list[float] = field(default_factory=list)
    slept_s: list[float] = field(default_factory=list)
    told: list[TimeTold] = field(default_factory=list)

    async def sleep(self, duration_s: float) -> None:
        if len(self.slept_s) == 3:
            raise EnoughError
        self.slept_s.append(duration_s)
        self.mono_s += duration_s
        self.unix_s += duration_s + (self.steps.pop(0) if self.steps else 0.0)

    async def run(self) -> None:
        wall = WallClock(lambda: self.unix_s, lambda: self.mono_s)
        with pytest.raises(EnoughError):
            await tell_time(wall, self.told.append, lambda: self.mono_s, self.sleep)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Set the machine's time zone, and set it back."""
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def live_in(zone: pytest.MonkeyPatch, rule: str) -> None:
    zone.setenv("TZ", rule)
    time.tzset()


async def test_time_is_told_at_once_and_then_just_after_each_minute():
    clocks = Clocks(MONDAY_UNIX_S + 30.25)
    await clocks.run()

    first, *rest = clocks.told
    assert first.unix_s == MONDAY_UNIX_S + 30.25
    assert [event.unix_s % 60 for event in rest] == pytest.approx([0.1, 0.1, 0.1])
    assert clocks.slept_s[1:] == pytest.approx([60.0, 60.0])
    assert all(event.trusted for event in clocks.told)


async def test_clock_that_was_set_is_told_at_the_next_minute_and_found_in_the_log(
    caplog: pytest.LogCaptureFixture,
):
    clocks = Clocks(MONDAY_UNIX_S, steps=[0.02, -HOUR_S])
    await clocks.run()

    assert [event.unix_s - MONDAY_UNIX_S for event in clocks.told[1:3]] == pytest.approx(
        [60.12, 120.1 - HOUR_S], abs=0.1
    )
    assert [record.getMessage() for record in caplog.records] == ["the wall clock was set by -3600 s"]


async def test_clock_before_the_release_is_told_as_one_that_is_not_to_be_trusted():
    clocks = Clocks(0.0, steps=[RELEASED_UNIX_S + DAY_S])
    await clocks.run()

    assert [event.trusted for event in clocks.told[:2]] == [False, True]


def test_week_begins_on_monday_at_midnight_where_the_building_stands(zone: pytest.MonkeyPatch):
    live_in(zone, "UTC")
    assert minute_of_week(MONDAY_UNIX_S) == 0
    assert minute_of_week(MONDAY_UNIX_S - 1) == 7 * 1440 - 1

    live_in(zone, "CET-1CEST,M3.5.0,M10.5.0/3")
    assert minute_of_week(MONDAY_UNIX_S) == 60


def test_night_in_which_summer_time_ends_has_its_hour_twice(zone: pytest.MonkeyPatch):
    live_in(zone, "CET-1CEST,M3.5.0,M10.5.0/3")
    sunday_2_cest = 1_792_886_400.0  # 2026-10-25 00:00 UTC
    two_in_the_night = 6 * 1440 + 120

    assert minute_of_week(sunday_2_cest) == minute_of_week(sunday_2_cest + HOUR_S) == two_in_the_night
