"""One piece of work at a time; a new one ends the one before."""

import asyncio
import logging

from gateway.domain.update.model import AskLease, Code, Failed, Leased, Update, UpdateEvent, Work
from gateway.update.labour import Labour

_log = logging.getLogger(__name__)

Events = asyncio.Queue[UpdateEvent]


class Hands:
    """Has the work done in the background.

    Args:
        group: Where it runs.
        labour: Does it.
        events: Takes what comes of it.
    """

    def __init__(self, group: asyncio.TaskGroup, labour: Labour, events: Events) -> None:
        self._group = group
        self._labour = labour
        self._events = events
        self._task: asyncio.Task[None] | None = None

    async def begin(self, work: Work, update: Update) -> None:
        """Begin it, after the end of what is under way."""
        await self.stop()
        self._task = self._group.create_task(self._do(work, update))

    async def later(self, event: UpdateEvent, wait_s: float) -> None:
        """Have an event happen again after a while; nothing else is under way meanwhile."""
        await self.stop()
        self._task = self._group.create_task(self._again(event, wait_s))

    async def stop(self) -> None:
        """End what is under way; returns when it has let go of everything."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _do(self, work: Work, update: Update) -> None:
        try:
            event = await self._labour.do(work, update)
        except Exception as error:  # noqa: BLE001  # whatever it is, the machine knows what to do about it
            _log.exception("%s went wrong", type(work).__name__)
            event = _of_bug(work, error)
        self._events.put_nowait(event)

    async def _again(self, event: UpdateEvent, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        self._events.put_nowait(event)


def _of_bug(work: Work, error: Exception) -> UpdateEvent:
    why = f"{type(error).__name__}: {error}"
    if isinstance(work, AskLease):
        return Leased(work.step, granted=False, reasons=(why,))
    return Failed(Code.INTERRUPTED, why, passing=True)
