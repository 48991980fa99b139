"""Runs what may block for long where it holds up neither the loop nor the end of the process."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar

_T = TypeVar("_T")


async def run_blocking(work: Callable[[], _T], if_late: Callable[[], None] | None = None) -> _T:
    """Run it in a daemon thread of its own; return or raise what it does. When cancelled, leave it alone.

    asyncio's executor will not do: both asyncio and the interpreter wait for its threads at the end, and a
    broker that swallows packets, or a name server that does, would keep the process for its time-outs.

    Args:
        work: Raises nothing but Exceptions.
        if_late: Called in the loop when the work ends after the caller was cancelled.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def deliver(settle: Callable[[], None]) -> None:
        if not future.done():
            settle()
        elif if_late is not None:
            if_late()

    def run() -> None:
        settle = _settling(future, work)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(deliver, settle)

    Thread(target=run, name="link", daemon=True).start()
    return await future


def _settling(future: asyncio.Future[_T], work: Callable[[], _T]) -> Callable[[], None]:
    """Do the work; return what tells the future of its end, to be called in the loop."""
    try:
        return partial(future.set_result, work())
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the caller's
        return partial(future.set_exception, error)


class Lane:
    """For work that may hang: one at a time, so that what is stuck costs one thread and no more.

    Attributes:
        stuck: What was begun and has not ended yet, in words; "" if there is nothing.
    """

    def __init__(self) -> None:
        self.stuck = ""

    async def run(
        self, what: str, work: Callable[[], _T], limit_s: float, if_late: Callable[[], None] | None = None
    ) -> _T:
        """Run it in a thread; return or raise what it does.

        Args:
            what: Names it.
            work: Raises nothing but Exceptions.
            limit_s: It is not waited for any longer; nothing else is begun before it has ended.
            if_late: Called in the loop when the work ends and nobody waits for it any more.

        Raises:
            TimeoutError: It takes longer, or what was begun before has not ended; `stuck` says which.
        """
        if self.stuck:
            raise TimeoutError(self.stuck)
        loop = asyncio.get_running_loop()
        self.stuck = what

        def whole() -> _T:
            try:
                return work()
            finally:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._ended)

        async with asyncio.timeout(limit_s):
            try:
                return await run_blocking(whole, if_late)
            except RuntimeError:
                self.stuck = ""  # it has ended, or there was no thread to begin it in
                raise

    def _ended(self) -> None:
        self.stuck = ""
