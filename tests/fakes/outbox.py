"""A small working outbox in memory: what gateway/store promises to the link, without a disk."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.domain.model import Channel
from gateway.domain.ports import MessageId, OutboxRow
from gateway.errors import StoreError


class MemoryOutbox:
    """Rows by priority, then age.

    Attributes:
        rows: Everything that has not left, in order of seq.
        claimed: Ids of commands that were taken.
        poisoned: What was set aside, and why.
        disk_works: If false, `claim` raises StoreError.
    """

    def __init__(self, epoch: int = 1, *, receipts: str = "cloud") -> None:
        self.epoch = epoch
        self.rows: dict[MessageId, OutboxRow] = {}
        self.claimed: set[str] = set()
        self.poisoned: dict[MessageId, str] = {}
        self.disk_works = True
        self.claims_stall = False
        self._receipts = receipts
        self._ready: dict[MessageId, OutboxRow] = {}
        self._seq = 0
        self._arrived = asyncio.Event()

    def put(self, channel: Channel, encode: Callable[[MessageId], bytes]) -> MessageId:
        """Queue a message."""
        self._seq += 1
        message = MessageId(self.epoch, self._seq)
        row = OutboxRow(message, channel, encode(message))
        self.rows[message] = self._ready[message] = row
        self._arrived.set()
        return message

    async def take(self, limit: int, /) -> Sequence[OutboxRow]:
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        urgent = sorted(self._ready.values(), key=lambda row: (row.channel, row.id))[:limit]
        for row in urgent:
            del self._ready[row.id]
        return urgent

    def published(self, ids: Sequence[MessageId], /) -> None:
        if self._receipts == "broker":
            for message in ids:
                self.rows.pop(message, None)

    def received(self, epoch: int, through: int, also: Sequence[tuple[int, int]], /) -> None:
        for message in list(self.rows):
            beyond = any(first <= message.seq <= last for first, last in also)
            if message.epoch == epoch and (message.seq <= through or beyond):
                del self.rows[message]
                self._ready.pop(message, None)

    def put_back(self) -> None:
        self._ready = dict(sorted(self.rows.items()))
        if self._ready:
            self._arrived.set()

    def set_aside(self, message: MessageId, problem: str, /) -> None:
        self.poisoned[message] = problem
        self.rows.pop(message, None)
        self._ready.pop(message, None)

    async def claim(self, command_id: str, not_after_unix_s: float, /) -> bool:
        del not_after_unix_s
        if self.claims_stall:
            await asyncio.Event().wait()
        if not self.disk_works:
            raise StoreError("the disk is full; free some space")
        if command_id in self.claimed:
            return False
        self.claimed.add(command_id)
        return True


class FastOutbox(MemoryOutbox):
    """For benchmarks: one channel, no sorting, nothing kept once it was taken."""

    async def take(self, limit: int, /) -> Sequence[OutboxRow]:
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        taken = [self._ready.pop(next(iter(self._ready))) for _ in range(min(limit, len(self._ready)))]
        for row in taken:
            self.rows.pop(row.id, None)
        return taken
