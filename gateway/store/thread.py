"""The one thread that touches the disk; the loop hands it work and never waits for it.

SQLite releases the interpreter lock inside its calls, so a commit that takes seconds costs the loop nothing.
With nothing to do the thread sleeps without waking up.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class DiskThread:
    """Runs work in order. A daemon thread: a dead disk does not keep the process from ending."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run `work` in the thread, then `done` in the loop with its result or exception."""
        self._work.put(lambda: self.post(done, _outcome(work)))

    def post(self, deliver: Callable[[T], None], value: T) -> None:
        """Call `deliver` in the loop's thread; nothing happens when the loop is gone."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(deliver, value)

    async def call(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread and return its result."""
        future: asyncio.Future[T] = self._loop.create_future()

        def done(outcome: T | Exception) -> None:
            if future.done():
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.submit(work, done)
        return await future

    def stop(self) -> None:
        """Let the thread end after the work that it has."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _outcome(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as error:  # noqa: BLE001  the thread must survive whatever a damaged file makes of the work
        return error
