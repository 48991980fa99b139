"""A store in a folder, for tests: opens it, keeps its reports, waits on conditions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.domain.model import Channel
from gateway.domain.ports import MessageId, OutboxRow
from gateway.store.config import Config
from gateway.store.report import BootInfo, ReportKind, StoreReport
from gateway.store.store import Store

WAIT_S = 20.0


@dataclass(slots=True)
class Shelf:
    """Where a store lives, and what it reported."""

    config: Config
    reports: list[StoreReport] = field(default_factory=list)

    @asynccontextmanager
    async def opened(self, **changes: object) -> AsyncIterator[Store]:
        store = await Store.open(replace(self.config, **changes), BootInfo("boot-1"), self.reports.append)
        try:
            yield store
        finally:
            await store.close()

    def reported(self, kind: ReportKind) -> list[StoreReport]:
        return [report for report in self.reports if report.kind is kind]

    @property
    def path(self) -> Path:
        return self.config.path


def text(body: str) -> Callable[[MessageId], bytes]:
    """An encoder of a fixed payload."""
    return lambda _: body.encode()


def bodies(rows: Sequence[OutboxRow]) -> list[str]:
    return [row.payload.decode() for row in rows]


async def take(store: Store, count: int) -> list[OutboxRow]:
    """Take exactly so many rows."""
    rows: list[OutboxRow] = []
    async with asyncio.timeout(WAIT_S):
        while len(rows) < count:
            rows += await store.take(count - len(rows))
    return rows


async def nothing_left(store: Store) -> bool:
    """Tell whether nobody would get a row now."""
    try:
        async with asyncio.timeout(0.1):
            await store.take(1)
    except TimeoutError:
        return True
    return False


async def on_disk(store: Store, channel: Channel, body: str) -> MessageId:
    """Put a message and wait until it is safe."""
    safe = asyncio.Event()
    message = store.put(channel, text(body), safe.set)
    async with asyncio.timeout(WAIT_S):
        await safe.wait()
    return message
