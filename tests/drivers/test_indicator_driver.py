import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.domain.commands import Indicate
from gateway.domain.indicator import RHYTHMS, SOUNDS
from gateway.domain.model import LedPattern, SounderPattern
from gateway.drivers.indicator import Indicator
from gateway.errors import DriverError
from tests.fakes.board import FakeLine

QUIET = Indicate(LedPattern.AUTO, SounderPattern.SILENT)
ALARM = Indicate(LedPattern.ALARM, SounderPattern.ALARM)


@asynccontextmanager
async def running(indicator: Indicator) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(indicator.run())
        await asyncio.sleep(0)
        yield
        task.cancel()


async def test_steady_pattern_sets_its_line_once_and_wakes_nobody():
    led, sounder = FakeLine(), FakeLine()
    loop = asyncio.get_running_loop()

    async with running(Indicator(led, sounder)):
        timers = [handle for handle in loop._scheduled if "_Player" in repr(handle)]  # type: ignore[attr-defined]
        assert (led.history, sounder.history, timers) == ([True], [False], [])


async def test_rhythm_alternates_at_once_and_goes_on():
    led = FakeLine()
    indicator = Indicator(led, None)

    async with running(indicator):
        indicator.show(Indicate(LedPattern.DENIED, SounderPattern.SILENT))
        assert led.history == [True, True]
        async with asyncio.timeout(5):
            await led.changed(6)

    assert led.history[1:6] == [True, False, True, False, True]


async def test_same_pattern_again_does_not_start_the_rhythm_anew():
    led, sounder = FakeLine(), FakeLine()
    indicator = Indicator(led, sounder)

    async with running(indicator):
        indicator.show(ALARM)
        indicator.show(Indicate(LedPattern.ALARM, SounderPattern.SILENT))
        indicator.show(ALARM)
        assert led.history == [True, True]
        assert sounder.history == [False, True, False, True]


async def test_what_was_shown_before_the_start_is_played_at_the_start():
    led, sounder = FakeLine(), FakeLine()
    indicator = Indicator(led, sounder)
    indicator.show(ALARM)

    async with running(indicator):
        assert (led.present, sounder.present) == (True, True)


async def test_stopped_indicator_is_dark_and_silent():
    led, sounder = FakeLine(), FakeLine()
    indicator = Indicator(led, sounder)

    async with running(indicator):
        indicator.show(ALARM)

    assert (led.present, sounder.present) == (False, False)


async def test_broken_lamp_ends_run_but_never_show():
    led, sounder = FakeLine(), FakeLine()
    indicator = Indicator(led, sounder)

    def breaks() -> None:
        led.broken = True
        indicator.show(ALARM)
        indicator.show(QUIET)

    asyncio.get_running_loop().call_later(0.01, breaks)

    with pytest.raises(DriverError, match="line is gone"):
        async with asyncio.timeout(5):
            await indicator.run()
    assert sounder.present is False


async def test_lamp_that_breaks_between_two_flashes_ends_run():
    led = FakeLine()
    indicator = Indicator(led, None)
    indicator.show(Indicate(LedPattern.DENIED, SounderPattern.SILENT))

    asyncio.get_running_loop().call_later(0.02, setattr, led, "broken", True)

    with pytest.raises(DriverError, match="line is gone"):
        async with asyncio.timeout(5):
            await indicator.run()


async def test_repaired_lamp_shows_the_latest_pattern_when_run_again():
    led = FakeLine(broken=True)
    indicator = Indicator(led, None)
    with pytest.raises(DriverError):
        await indicator.run()
    indicator.show(ALARM)

    led.broken = False
    async with running(indicator):
        assert led.present is True


async def test_site_without_lamp_and_sounder_shows_nothing():
    indicator = Indicator(None, None)

    async with running(indicator):
        indicator.show(ALARM)


def test_every_pattern_has_a_rhythm_of_pairs():
    assert set(RHYTHMS) == set(LedPattern)
    assert set(SOUNDS) == set(SounderPattern)
    assert all(len(rhythm or ()) % 2 == 0 for rhythm in [*RHYTHMS.values(), *SOUNDS.values()])


async def test_lamp_whose_driver_crashes_is_no_more_than_a_lamp_that_failed():
    class Wild(FakeLine):
        def set(self, level: bool) -> None:
            raise ZeroDivisionError(f"no {level}")

    indicator = Indicator(Wild(), None)

    with pytest.raises(DriverError, match="ZeroDivisionError"):
        await indicator.run()

    indicator.show(Indicate(LedPattern.ALARM, SounderPattern.SILENT))
