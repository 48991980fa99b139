"""Who has to know of an update: the daemon (people, cloud) and the source that wanted it.

States on the way are told in order as well as can be. The end is kept on disk until both know of it.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress

from gateway.domain.update.model import Update
from gateway.errors import ControlError, StoreError, UpdateError
from gateway.update.ports import Guard, Source
from gateway.update.record import Ended, Record

_log = logging.getLogger(__name__)

GUARD = "guard"
_ONE_S = 60.0
_TRIES = 5
_MOST_WAITING = 50
"""States on the way that wait for a receiver who does not answer; the oldest are left out."""


class Teller:
    """Tells everybody, each at his own pace.

    Args:
        guard: The daemon.
        sources: By their names.
        record: Remembers who knows of an end.
        again_s: Between two tries.
    """

    def __init__(
        self, guard: Guard, sources: Mapping[str, Source], record: Record, *, again_s: float = 3.0
    ) -> None:
        self._receivers: dict[str, Guard | Source] = {**sources, GUARD: guard}
        self._record = record
        self._again_s = again_s
        self._waiting: dict[str, asyncio.Queue[Update]] = {name: asyncio.Queue() for name in self._receivers}

    def workers(self) -> list[Coroutine[None, None, None]]:
        """Return those who tell, one for each receiver, so that nobody waits for another. For ever."""
        return [self._work(name) for name in self._receivers]

    def tell(self, update: Update) -> None:
        """Tell of the present state, in the background."""
        for name in {GUARD, update.order.source} & self._receivers.keys():
            waiting = self._waiting[name]
            if waiting.qsize() >= _MOST_WAITING:
                waiting.get_nowait()
                waiting.task_done()
            waiting.put_nowait(update)

    async def flush(self, timeout_s: float) -> None:
        """Return when everybody knows, or after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for waiting in self._waiting.values():
                    await waiting.join()

    async def tell_late(self) -> None:
        """Tell of ends that somebody does not know of yet. Raises StoreError."""
        silent: set[str] = set()
        for ended in self._record.done():
            for name in self._missing(ended):
                if name not in silent and not await self._send(name, ended.update, tries=1):
                    silent.add(name)

    def _missing(self, ended: Ended) -> list[str]:
        wanted = {GUARD, ended.update.order.source} & self._receivers.keys()
        return sorted(wanted - set(ended.told))

    async def _work(self, name: str) -> None:
        waiting = self._waiting[name]
        while True:
            update = await waiting.get()
            await self._send(name, update, tries=_TRIES)
            waiting.task_done()

    async def _send(self, name: str, update: Update, *, tries: int) -> bool:
        """Return whether the receiver has taken it."""
        for left in reversed(range(tries)):
            try:
                async with asyncio.timeout(_ONE_S):
                    await self._receivers[name].report(update)
            except (ControlError, UpdateError, TimeoutError) as error:
                _log.info("%s is not told of %s: %s", name, update.state, error or "no answer")
                if left:
                    await asyncio.sleep(self._again_s)
            else:
                self._knows(name, update)
                return True
        return False

    def _knows(self, name: str, update: Update) -> None:
        if update.state.final:
            try:
                self._record.told(update.order.id, name)
            except StoreError as error:
                _log.warning("%s; it is told again later", error)
