"""The demo's cloud end, running in the background of a test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from gateway.app.apart import run_apart
from gateway.cli.demo.cloud import Cloud
from tests.fakes.broker import Broker, DevCa

__all__ = ["Cloud", "running_cloud"]


@asynccontextmanager
async def running_cloud(ca: DevCa, broker: Broker, *, receipts: bool = True) -> AsyncIterator[Cloud]:
    """Run a cloud end; on entry it is connected."""
    cloud = Cloud(ca.cloud, broker.host, broker.port, receipts=receipts)
    async with background(cloud.run()):
        await cloud.until(lambda c: c.connected)
        yield cloud


@asynccontextmanager
async def background(coroutine: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run a coroutine beside the test and cancel it at the end; its failure fails the test."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run_apart(coroutine))  # as the daemon runs its parts
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
