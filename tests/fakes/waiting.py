"""Waiting for what no event tells of: threads, ptys, other processes."""

import asyncio
from collections.abc import Callable

_LOOK_EVERY_S = 0.005


async def until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Return when the condition holds; raise TimeoutError if it never does."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # nothing of this is an event of the loop
            await asyncio.sleep(_LOOK_EVERY_S)
