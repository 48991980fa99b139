"""Messages of this epoch that are not on disk: they wait for the next commit, or leave before it comes."""

from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import groupby

from gateway.domain.model import Channel
from gateway.domain.ports import OutboxRow
from gateway.store.receipts import Receipts, runs
from gateway.store.report import SeqRange

_OVERHEAD_BYTES = 400
"""What Python takes for one waiting row besides its payload, measured."""


class Waiting:
    """A row in RAM.

    Args:
        sent: It was taken in this session, or need not be.
        gone: It is no longer ours: on disk, delivered or evicted.
        size_bytes: What it counts towards the cap.
    """

    __slots__ = ("gone", "on_durable", "row", "sent", "size_bytes")

    def __init__(self, row: OutboxRow, on_durable: Callable[[], None] | None) -> None:
        self.row = row
        self.on_durable = on_durable
        self.sent = False
        self.gone = False
        self.size_bytes = len(row.payload) + _OVERHEAD_BYTES


class RamQueue:
    """Rows by channel, oldest first; those of the commit under way are held apart.

    Args:
        on_durable: Called with a row's callback when the row is safe (on disk or delivered).
    """

    def __init__(self, on_durable: Callable[[Callable[[], None]], object]) -> None:
        self._on_durable = on_durable
        self._rows: dict[Channel, OrderedDict[int, Waiting]] = {c: OrderedDict() for c in Channel}
        self._unsent: dict[Channel, deque[Waiting]] = {c: deque() for c in Channel}
        self._committing: dict[int, Waiting] = {}
        self._last_seq = 0
        self.size_bytes = 0
        self.count = 0

    def put(self, row: OutboxRow, on_durable: Callable[[], None] | None) -> None:
        """Add a row; seqs ascend."""
        waiting = Waiting(row, on_durable)
        self._rows[row.channel][row.id.seq] = waiting
        self._unsent[row.channel].append(waiting)
        self._last_seq = row.id.seq
        self.size_bytes += waiting.size_bytes
        self.count += 1

    def queued(self, channel: Channel) -> int:
        """Return how many rows of a channel are here."""
        under_way = sum(w.row.channel is channel and not w.gone for w in self._committing.values())
        return len(self._rows[channel]) + under_way

    def waits(self, channel: Channel, seq: int) -> bool:
        """Return whether a row is here and no commit has begun with it."""
        return seq in self._rows[channel]

    def take(self, channel: Channel) -> OutboxRow | None:
        """Return the oldest row that was not taken in this session."""
        unsent = self._unsent[channel]
        while unsent:
            waiting = unsent.popleft()
            if not waiting.gone:
                waiting.sent = True
                return waiting.row
        return None

    def put_back(self) -> None:
        """Let all rows be taken again."""
        for channel in Channel:
            held = [w for w in self._committing.values() if w.row.channel is channel and not w.gone]
            held += self._rows[channel].values()
            for waiting in held:
                waiting.sent = False
            self._unsent[channel] = deque(held)

    def drop(self, channel: Channel, seq: int) -> bool:
        """Let a delivered row go; return whether it is, or may become, a row on disk."""
        if waiting := self._rows[channel].pop(seq, None):
            self._let_go(waiting)
            self._settle(waiting)
            return False
        if waiting := self._committing.get(seq):
            waiting.gone = waiting.sent = True
            self._settle(waiting)
        return True

    def drop_received(self, epoch: int, receipts: Receipts) -> None:
        """Let go what the cloud has."""
        for channel in Channel:
            for seq in [seq for seq in self._rows[channel] if receipts.covers(epoch, seq)]:
                self.drop(channel, seq)
        for seq, waiting in self._committing.items():
            if receipts.covers(epoch, seq):
                self.drop(waiting.row.channel, seq)

    def evict(self, max_bytes: int) -> list[SeqRange]:
        """Give up the oldest of the least important rows until a sixteenth of the cap is free."""
        lost: list[Waiting] = []
        for channel in reversed(Channel):
            while self.size_bytes > max_bytes - max_bytes // 16 and self._rows[channel]:
                _, waiting = self._rows[channel].popitem(last=False)
                self._let_go(waiting)
                lost.append(waiting)
            self._prune(channel)
        return [
            SeqRange(channel, epoch, *span)
            for (channel, epoch), group in groupby(lost, key=lambda w: (w.row.channel, w.row.id.epoch))
            for span in runs(w.row.id.seq for w in group)
        ]

    def start_commit(self, max_rows: int, max_bytes: int) -> tuple[list[OutboxRow], int]:
        """Hand out rows by priority, then age; return also the seq below which none is left waiting."""
        size_bytes = 0
        committing = self._committing
        for rows in self._rows.values():
            while rows and len(committing) < max_rows and size_bytes < max_bytes:
                seq, waiting = rows.popitem(last=False)
                committing[seq] = waiting
                size_bytes += waiting.size_bytes
        first_left = min(
            (next(iter(rows)) for rows in self._rows.values() if rows), default=self._last_seq + 1
        )
        return [waiting.row for waiting in committing.values()], first_left - 1

    def commit_done(self) -> list[tuple[OutboxRow, bool]]:
        """Release the rows of the commit; return each with whether it need not be sent in this session."""
        done = list(self._committing.values())
        self._committing.clear()
        for waiting in done:
            waiting.gone = True
            if waiting.on_durable:
                self._settle(waiting)
        self.size_bytes -= sum([waiting.size_bytes for waiting in done])
        self.count -= len(done)
        for channel in Channel:
            self._prune(channel)
        return [(waiting.row, waiting.sent) for waiting in done]

    def commit_failed(self) -> None:
        """Let the rows of the commit wait for the next one."""
        back, self._committing = self._committing, {}
        for channel in Channel:
            rows = OrderedDict((s, w) for s, w in back.items() if w.row.channel is channel and not w.gone)
            rows.update(self._rows[channel])
            self._rows[channel] = rows
        for waiting in back.values():
            if waiting.gone:
                self._let_go(waiting)

    def _let_go(self, waiting: Waiting) -> None:
        waiting.gone = True
        self.size_bytes -= waiting.size_bytes
        self.count -= 1

    def _settle(self, waiting: Waiting) -> None:
        if waiting.on_durable:
            self._on_durable(waiting.on_durable)
            waiting.on_durable = None

    def _prune(self, channel: Channel) -> None:
        """With nobody taking, rows that are on disk must not stay here as taken-able."""
        unsent = self._unsent[channel]
        while unsent and unsent[0].gone:
            unsent.popleft()
