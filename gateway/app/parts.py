"""The daemon's tasks by name: started in one TaskGroup, each behind its bulkhead, replaced one by one."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.app.bulkhead import DEFAULT, Patience, keep_running
from gateway.domain.ports import Emit


class Parts:
    """Runs parts until they are stopped.

    Args:
        group: Entered by the caller, who also leaves it.
        emit: Hears of failures and recoveries.
    """

    def __init__(self, group: asyncio.TaskGroup, emit: Emit) -> None:
        self._group = group
        self._emit = emit
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, part: Callable[[], Awaitable[None]], patience: Patience = DEFAULT) -> None:
        """Run a part, again after each failure."""
        running = keep_running(name, part, self._emit, patience)
        self._tasks[name] = self._group.create_task(running, name=name)

    async def stop(self, name: str) -> None:
        """Cancel a part and wait until it has let go."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def stop_all(self) -> None:
        """Cancel all parts, the last one first, and wait for each."""
        for name in reversed(self._tasks.copy()):
            await self.stop(name)
