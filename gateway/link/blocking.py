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
