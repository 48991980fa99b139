"""Tells the core the wall clock: flow rules have parts of the week, and water use is counted by the hour.

One wake-up a minute. Each telling looks at the clock anew, so whatever was done to it (set, summer time) is
known within a minute. The time zone is the one at the start: to look for another each minute is to read a
file, and a dying disk would stop the loop.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from gateway.app.clock import WallClock
from gateway.domain.events import TimeTold
from gateway.domain.ports import Emit

log = logging.getLogger(__name__)

MINUTE_S = 60.0
_MARGIN_S = 0.1
"""Wake this much after the minute: clocks are slewed, and too early means a second wake-up."""

_STEP_S = 2.0
"""More than slewing can do in a minute (500 ppm) is a step."""

_MIN_PER_HOUR, _MIN_PER_DAY = 60, 1440


def minute_of_week(unix_s: float) -> int:
    """Return the minutes since Monday 00:00, local time."""
    local = time.localtime(unix_s)
    return local.tm_wday * _MIN_PER_DAY + local.tm_hour * _MIN_PER_HOUR + local.tm_min


def told(clock: WallClock) -> TimeTold:
    """Return what the clock says now."""
    unix_s = clock.now_unix_s()
    return TimeTold(unix_s, minute_of_week(unix_s), clock.trusted())


async def tell_time(
    clock: WallClock,
    emit: Emit,
    read_mono_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Tell the time now and after each full minute, for ever.

    Args:
        clock: Is told as it is, with its trust.
        emit: Hears it.
        read_mono_s: Returns monotonic seconds; a test gives its own.
        sleep: Waits so many seconds; likewise.
    """
    ahead_s: float | None = None
    while True:
        event = told(clock)
        emit(event)
        before_s, ahead_s = ahead_s, event.unix_s - read_mono_s()
        if before_s is not None and abs(ahead_s - before_s) > _STEP_S:
            log.warning("the wall clock was set by %+.0f s", ahead_s - before_s)
        await sleep(MINUTE_S - event.unix_s % MINUTE_S + _MARGIN_S)
