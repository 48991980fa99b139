"""What happens by the clock: watchdog pings, and saving the time for the next start."""

import asyncio
import logging
from collections.abc import Callable

from gateway.app.clock import WallClock
from gateway.app.notify import Notifier
from gateway.domain.commands import Remember

log = logging.getLogger(__name__)

CLOCK_KEY = "clock"
"""Where the store remembers a moment that is certainly past, Unix seconds."""

_LATE_S = 1.0
_SAVE_EVERY_S = 3600.0


async def ping(notifier: Notifier, interval_s: float, overdue_s: Callable[[], float]) -> None:
    """Tell the watchdog that the core is on time, for ever; a core that is late is not vouched for."""
    while True:
        late_s = overdue_s()
        if late_s <= _LATE_S:
            notifier.watchdog()
        else:
            log.error("the core is %.1f s late; no watchdog ping", late_s)
        await asyncio.sleep(interval_s)


async def save_clock(clock: WallClock, remember: Callable[[Remember], None]) -> None:
    """Remember every hour how late it is at least, for ever."""
    while True:
        clock.take_network_time()
        remember(Remember(CLOCK_KEY, round(clock.floor_unix_s), urgent=False))
        await asyncio.sleep(_SAVE_EVERY_S)
