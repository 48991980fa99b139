"""One thread for one converter: whatever its bus does, the loop goes on.

A bus driver that hangs in the kernel keeps this thread only. There is never a second one for the same
converter, and being a daemon thread it does not keep the process from ending.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from gateway.errors import DriverError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Worker:
    """Does one thing at a time, in order. The thread starts with the first."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: Thread | None = None
        self._waiting = 0

    @property
    def is_busy(self) -> bool:
        """Something that was submitted has not ended yet."""
        return self._waiting > 0

    async def call(self, work: Callable[[], T], within_s: float) -> T:
        """Do it in the thread; return or raise what it does.

        Raises:
            DriverError: It did not end in time; it goes on in the thread, and `is_busy` until then.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.submit(lambda: _settling(future, work))
        try:
            async with asyncio.timeout(within_s):
                return await future
        except TimeoutError:
            raise DriverError(f"{self._name}: the bus has not answered for {within_s:g} s") from None

    def submit(self, work: Callable[[], Callable[[], None] | None]) -> None:
        """Do it in the thread, then call what it returned in the loop."""
        loop = asyncio.get_running_loop()

        def done(tell: Callable[[], None] | None) -> None:
            self._waiting -= 1
            if tell is not None:
                tell()

        def do() -> None:
            tell = None
            try:
                tell = work()
            except Exception:  # the thread must survive whatever a bus does at its end
                log.exception("%s", self._name)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(done, tell)

        self._waiting += 1
        self._work.put(do)
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._work.get()()


def _settling(future: "asyncio.Future[T]", work: Callable[[], T]) -> Callable[[], None]:
    """Do the work; return what tells the future of its end, unless nobody waits any more."""
    result: T
    try:
        result = work()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the caller's
        problem = error
        return lambda: None if future.done() else future.set_exception(problem)
    return lambda: None if future.done() else future.set_result(result)
