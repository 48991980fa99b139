"""A way to run something that may contain a TaskGroup, such that a cancellation is never lost."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_Result = TypeVar("_Result")
_TOLD_AGAIN_S = 2.0
"""Longer than anything that a part does at its end, such as the link's farewell."""


async def run_apart(work: Awaitable[_Result]) -> _Result:
    """Run it as a task of its own and return what it returns; a cancellation ends it and is passed on.

    In Python 3.11 and 3.12 a TaskGroup that fails in the moment of a cancellation tells of its failure only,
    and a loop around it would go on for ever; nor can Task.cancelling() be relied on after a failure. The
    caller, waiting here without a TaskGroup of its own, hears of both. Up to 3.11, asyncio.wait_for loses a
    cancellation that comes together with its result: so the task is told again until it has ended. Of
    that, a TaskGroup in the work passes on only the first: what may miss it runs apart inside the group.
    """
    # no TaskGroup, see above; the task is always waited for
    task = asyncio.get_running_loop().create_task(_wait_for(work))
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await _end(task)
        if not task.cancelled():
            task.exception()  # seen; the cancellation weighs more
        raise
    return task.result()


async def _end(task: "asyncio.Task[_Result]") -> None:
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_TOLD_AGAIN_S)


async def _wait_for(work: Awaitable[_Result]) -> _Result:
    return await work
