"""A sensor that runs on a fake board, and the events it has emitted."""

from asyncio import TaskGroup, sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.domain.events import Event
from gateway.drivers import ccm
from gateway.drivers.sensors import load
from tests.fakes.board import FakeBoard


@asynccontextmanager
async def sensing(
    kind: str,
    config: Any,  # noqa: ANN401  # each kind has its own
    board: FakeBoard,
) -> AsyncIterator[list[Event]]:
    """Run the sensor "s" within the block; what it emits is appended to the list."""
    events: list[Event] = []
    await ccm.prepare()  # now, so that a keyed sensor, too, is at its board after one turn of the loop
    async with TaskGroup() as tasks:
        task = tasks.create_task(load(kind).run("s", config, board, events.append))
        await sleep(0)  # up to where it waits for the board
        yield events
        task.cancel()
