"""Keeps a crash where it happened: every task but core and valves runs in here.

A part that fails is reported as AdapterFailed, started again with growing pauses, and reported as recovered
once it has run for a while. What a board calls back has its own bulkhead (guard.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.app.apart import run_apart
from gateway.domain.events import AdapterFailed, AdapterRecovered
from gateway.domain.ports import Emit
from gateway.errors import GatewayError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How a failing part is treated.

    Args:
        first_pause_s: Before the first restart; doubles with each failure in a row.
        longest_pause_s: Upper end of the pauses.
        stable_s: Having run this long, it counts as recovered and the pauses start anew.
    """

    first_pause_s: float = 0.5
    longest_pause_s: float = 60.0
    stable_s: float = 5.0

    def pause_s(self, failures: int) -> float:
        """Return how long to wait after this many failures in a row."""
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(failures - 1, 30))


DEFAULT = Patience()


async def keep_running(
    name: str, part: Callable[[], Awaitable[None]], emit: Emit, patience: Patience = DEFAULT
) -> None:
    """Run a part for ever, again after each failure; only cancellation ends it.

    Args:
        name: Names the adapter in alarms, e.g. "sensor/cellar".
        part: Starts it; returning is a failure, too.
        emit: Hears of failure and recovery.
        patience: Pauses between the attempts.
    """
    loop = asyncio.get_running_loop()
    failures = 0
    said: set[str] = set()

    def recovered() -> None:
        said.clear()
        emit(AdapterRecovered(name))

    while True:
        started_s = loop.time()
        # also after the first start: an alarm from before the restart may still stand
        recovery = loop.call_later(patience.stable_s, recovered)
        try:
            problem = await _attempt(name, part, said)
        finally:
            recovery.cancel()
        failures = 1 if loop.time() - started_s >= patience.stable_s else failures + 1
        emit(AdapterFailed(name, problem))
        await asyncio.sleep(patience.pause_s(failures))


async def _attempt(name: str, part: Callable[[], Awaitable[None]], said: set[str]) -> str:
    """Run the part once and return why it ended; what was said before is not logged again."""
    try:
        await run_apart(part())
    except GatewayError as error:
        if str(error) not in said:
            said.add(str(error))
            log.warning("%s failed: %s", name, error)
        return str(error)
    except Exception as error:
        # A bug in one part must not blind the others: it is logged with its place, and shown.
        log.exception("%s crashed", name)
        return f"{type(error).__name__}: {error}"
    return "ended by itself"
