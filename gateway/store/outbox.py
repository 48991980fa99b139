"""The sender's side of the queue: what leaves next, what is under way, what came to an end.

Order within a channel is age. While the disk works, rows that reached it leave before those in RAM, and an
alarm leaves only from disk. While it does not work, what is in RAM leaves: a dead disk silences no leak.

No row carries a sending state. For each channel `behind` is the key up to which the disk has been read in
this session; a new session starts reading from the front again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from gateway.domain.model import Channel
from gateway.domain.ports import MessageId, OutboxRow
from gateway.errors import StoreError
from gateway.store import messages
from gateway.store.committer import Committer, DiskState
from gateway.store.disk import Page
from gateway.store.ram import RamQueue
from gateway.store.receipts import Receipts

MAX_PAYLOAD_BYTES = 128 * 1024
_READ_AHEAD = 64

Read: TypeAlias = Callable[[int, int, Callable[[Page | Exception], None]], None]


class Lane:
    """One channel's way out.

    Args:
        behind: Key of the last row read from disk in this session.
        ahead: Read from disk, not yet taken.
        has_backlog: There are rows on disk beyond `behind`.
        is_reading: The thread is looking for them.
        sent: Seqs of this epoch beyond `behind` that left from RAM and reached the disk later.
    """

    __slots__ = ("ahead", "behind", "has_backlog", "is_reading", "sent")

    def __init__(self, channel: Channel, *, has_backlog: bool) -> None:
        self.behind = messages.span(channel)[0]
        self.ahead: deque[OutboxRow] = deque()
        self.has_backlog = has_backlog
        self.is_reading = False
        self.sent: set[int] = set()


class Outbox:
    """Implements ports.Outbox but for `claim`.

    Args:
        leave_at_puback: `receipts = "broker"`.
        read: Calls back with up to so many rows of a channel behind a key.
    """

    def __init__(
        self,
        epoch: int,
        ram: RamQueue,
        committer: Committer,
        read: Read,
        *,
        leave_at_puback: bool,
    ) -> None:
        self._epoch = epoch
        self._run = 0
        self._ram = ram
        self._committer = committer
        self._leave_at_puback = leave_at_puback
        self._read = read
        self._on_disk = dict.fromkeys(Channel, 0)
        self._lanes = {channel: Lane(channel, has_backlog=False) for channel in Channel}
        self._in_flight: dict[MessageId, OutboxRow] = {}
        self._unconfirmed: dict[MessageId, Channel] = {}
        self._leaving: dict[MessageId, Channel] = {}
        self._session = 0
        self._seq = 0
        self.delivered = 0
        """Messages that the cloud (or the broker, if that is enough) has confirmed since the start."""
        self._more = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """How many rows were taken and not yet acknowledged by the broker."""
        return len(self._in_flight)

    @property
    def seq(self) -> int:
        """The last seq given away."""
        return self._seq

    def queued(self, channel: Channel) -> int:
        """Return how many messages of a channel are still to be delivered."""
        leaving = sum(each is channel for each in self._leaving.values())
        return max(0, self._on_disk[channel] + self._ram.queued(channel) - leaving)

    @property
    def leaving(self) -> int:
        """How many messages were delivered but are on disk until the next commit."""
        return len(self._leaving)

    def put(
        self,
        channel: Channel,
        encode: Callable[[MessageId], bytes],
        on_durable: Callable[[], None] | None,
    ) -> MessageId:
        """Queue a message in RAM; the caller sees to the commit."""
        message = MessageId(self._epoch, self._seq + 1)
        payload = encode(message)
        if not isinstance(payload, bytes) or len(payload) > MAX_PAYLOAD_BYTES:
            raise StoreError(f"a message must be bytes, at most {MAX_PAYLOAD_BYTES} of them")
        # Only now: an encoder that raises must not leave a hole in the sequence.
        self._seq += 1
        self._ram.put(OutboxRow(message, channel, payload), on_durable)
        self._more.set()
        return message

    def begun(self, run: int, on_disk: dict[Channel, int]) -> None:
        """The file is open: what earlier epochs left in it may leave now."""
        self._run = run
        self.counted(on_disk)
        for channel, lane in self._lanes.items():
            lane.has_backlog = on_disk[channel] > 0
        self._more.set()

    def counted(self, on_disk: dict[Channel, int]) -> None:
        """Take note of how many rows the file holds."""
        self._on_disk = on_disk
        drops = self._committer.pending.drops
        self._leaving = {m: channel for m, channel in self._leaving.items() if drops(channel, m)}

    def committed(self, rows: Sequence[tuple[OutboxRow, bool]]) -> None:
        """Rows went from RAM to disk; each with whether it need not be sent in this session."""
        for row, is_sent in rows:
            lane = self._lanes[row.channel]
            if not is_sent:
                lane.has_backlog = True
            elif lane.has_backlog:
                lane.sent.add(row.id.seq)
            else:
                lane.behind = messages.pack(row.channel, self._run, row.id.seq)
        self._more.set()

    def wake(self) -> None:
        """Let `take` look again, as the disk's state changed."""
        self._more.set()

    async def take(self, limit: int, /) -> Sequence[OutboxRow]:
        """See ports.Outbox."""
        while not (rows := self._pick(limit)):
            self._more.clear()
            await self._more.wait()
        self._in_flight.update((row.id, row) for row in rows)
        if not self._leave_at_puback:
            self._unconfirmed.update((row.id, row.channel) for row in rows)
        return rows

    def published(self, ids: Sequence[MessageId], /) -> None:
        """See ports.Outbox."""
        for message in ids:
            row = self._in_flight.pop(message, None)
            if row and self._leave_at_puback:
                self._delivered(row)
        self._committer.linger_if_pending()

    def received(self, epoch: int, through: int, also: Sequence[tuple[int, int]], /) -> None:
        """See ports.Outbox."""
        receipts = Receipts()
        # A receipt for what was not yet said must not swallow it later.
        last = self._seq if epoch == self._epoch else messages.MAX_SEQ
        receipts.add(epoch, [(max(0, first), min(to, last)) for first, to in [(0, through), *also]])
        for message in [m for m in self._in_flight if receipts.covers(*m)]:
            del self._in_flight[message]
        self._confirmed([m for m in self._unconfirmed if receipts.covers(*m)])
        for lane in self._lanes.values():
            # after the commit nothing would tell any more that these are gone
            lane.ahead = deque(row for row in lane.ahead if not receipts.covers(*row.id))
        if epoch == self._epoch:
            self._ram.drop_received(epoch, receipts)
        if any(self._on_disk.values()) or self._committer.is_working:
            self._committer.pending.receipts.update(receipts)
            # Else the backlog would be sent again while its receipts wait for the next group.
            if any(lane.has_backlog for lane in self._lanes.values()):
                self._committer.hurry()
        else:
            self._leaving.clear()
        self._committer.linger_if_pending()

    def put_back(self) -> None:
        """See ports.Outbox."""
        self._session += 1
        self._in_flight.clear()
        self._unconfirmed.clear()
        self._ram.put_back()
        for channel in Channel:
            self._lanes[channel] = Lane(channel, has_backlog=self._on_disk[channel] > 0)
        self._more.set()

    def set_aside(self, message: MessageId, problem: str, /) -> None:
        """See ports.Outbox."""
        if row := self._in_flight.pop(message, None):
            self._unconfirmed.pop(message, None)
            if message.epoch == self._epoch:
                self._ram.drop(row.channel, message.seq)
            clean = problem.encode(errors="replace").decode()
            self._committer.pending.aside.append((row, clean))
            self._committer.hurry()

    def _delivered(self, row: OutboxRow) -> None:
        self.delivered += 1
        is_ours = row.id.epoch == self._epoch
        if not is_ours or self._ram.drop(row.channel, row.id.seq):
            self._committer.pending.deleted.add((row.channel, row.id))
            self._leaving[row.id] = row.channel

    def _confirmed(self, ids: Sequence[MessageId]) -> None:
        self.delivered += len(ids)
        for message in ids:
            channel = self._unconfirmed.pop(message)
            if message.epoch != self._epoch or not self._ram.waits(channel, message.seq):
                self._leaving[message] = channel

    def _pick(self, limit: int) -> list[OutboxRow]:
        rows: list[OutboxRow] = []
        if self._disk_works and not self._run:
            # What earlier epochs left is older, and about to be known.
            return rows
        for channel, lane in self._lanes.items():
            while len(rows) < limit and (row := self._next(channel, lane)):
                rows.append(row)
            # More important rows are on their way from the disk: the others wait for them.
            if len(rows) == limit or (lane.is_reading and self._disk_works):
                break
        return rows

    def _next(self, channel: Channel, lane: Lane) -> OutboxRow | None:
        if lane.ahead:
            return lane.ahead.popleft()
        if self._disk_works:
            if lane.has_backlog:
                self._look(channel, lane)
                return None
            if channel is Channel.ALARM:
                return None
        return self._ram.take(channel)

    @property
    def _disk_works(self) -> bool:
        return self._committer.state is DiskState.OK

    def _look(self, channel: Channel, lane: Lane) -> None:
        if not lane.is_reading:
            lane.is_reading = True
            self._read(lane.behind, _READ_AHEAD, partial(self._was_read, channel, self._session))

    def _was_read(self, channel: Channel, session: int, outcome: Page | Exception) -> None:
        if session != self._session:
            return
        lane = self._lanes[channel]
        lane.is_reading = False
        if isinstance(outcome, Exception):
            self._committer.fail(outcome)
            return
        lane.behind = outcome.behind
        lane.has_backlog = not outcome.is_last
        for row in outcome.rows:
            if row.id.epoch == self._epoch and row.id.seq in lane.sent:
                lane.sent.discard(row.id.seq)
            elif not self._committer.is_dropping(row):
                lane.ahead.append(row)
        self._more.set()
