"""The store as the app sees it: outbox, journal and memory in one file, behind one thread.

Nothing here waits for the disk but `open`, `claim`, `verify` and `close`, each for a bounded time.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from gateway.domain.commands import Record, Remember
from gateway.domain.model import Channel, Json
from gateway.domain.ports import MessageId, OutboxRow
from gateway.errors import StoreError
from gateway.store import epochs, journal, memory
from gateway.store.committer import Committer
from gateway.store.config import Config
from gateway.store.disk import Applied, Begun, Disk, Opened, Page
from gateway.store.notices import Notice
from gateway.store.outbox import Outbox
from gateway.store.ram import RamQueue
from gateway.store.report import BootInfo, ReportKind, StoreReport, count_of
from gateway.store.reporter import Reporter
from gateway.store.thread import DiskThread

_MAX_LINES: Final = 4_096


class Store:
    """Keeps messages, actuations and memory; every call is for the loop's thread. Implements ports.Outbox.

    Made by `open`.
    """

    def __init__(self, config: Config, boot: BootInfo, on_report: Callable[[StoreReport], None]) -> None:
        loop = asyncio.get_running_loop()
        self._config = config
        self._boot = boot
        self._thread = DiskThread(loop)
        self._disk = Disk(config, boot, partial(self._thread.post, self._replaced))
        self._ram = RamQueue(loop.call_soon)
        self._committer = Committer(config, self._thread, self._disk, self._ram, self)
        self._reporter = Reporter(on_report, self._committer)
        self._outbox: Outbox
        self._used_bytes = 0
        self._head = journal.Head(0, journal.START)
        self._lost_lines = 0
        self.epoch = 0
        self.memory: Mapping[str, Json] | None = None
        """What `remember` kept; None if it was unreadable or the disk has not answered yet."""
        self.on_late_memory: Callable[[Mapping[str, Json]], None] = lambda _memory: None
        """Called if the disk gives `memory` only after `open` has returned."""

    @classmethod
    async def open(
        cls, config: Config, boot: BootInfo, on_report: Callable[[StoreReport], None], /
    ) -> "Store":
        """Open or create the file; never fails, never waits longer than `open_wait_s`.

        With a dead disk the store works in RAM, within its cap, and goes on trying. A damaged file is set
        aside and a new one started. Either is reported, once this has returned, and `memory` is None.
        """
        store = cls(config, boot, on_report)
        proposed = epochs.propose()
        last_epoch = 0
        try:
            async with asyncio.timeout(config.open_wait_s):
                opened: Opened = await store._thread.call(store._disk.open)
            last_epoch = opened.last_epoch
            if opened.values is not None:
                store.memory = memory.parse(opened.values)
        except TimeoutError:
            store._committer.stalled()
        except Exception as error:  # noqa: BLE001  whatever the disk holds or does: protection must start
            store._committer.fail(error)
        store._start(max(last_epoch + 1, proposed))
        return store

    def _start(self, epoch: int) -> None:
        self.epoch = epoch
        self._outbox = Outbox(
            epoch,
            self._ram,
            self._committer,
            self._read,
            leave_at_puback=self._config.receipts == "broker",
        )
        self._committer.begin(epoch)
        self._reporter.release()

    def put(
        self,
        channel: Channel,
        encode: Callable[[MessageId], bytes],
        on_durable: Callable[[], None] | None = None,
    ) -> MessageId:
        """Queue a message and return its id, without waiting.

        Alarms, events and answers are committed at once, the rest in groups.

        Args:
            channel: Priority and kind of commit.
            encode: Called once, now, with the id; returns the payload.
            on_durable: Called when the message is on disk, or delivered without ever touching it.
        """
        message = self._outbox.put(channel, encode, on_durable)
        if self._ram.size_bytes > self._config.max_ram_bytes:
            self._committer.pending.lost += self._ram.evict(self._config.max_ram_bytes)
        if channel <= Channel.ACK:
            self._committer.hurry()
        else:
            self._committer.linger()
        return message

    def record(
        self, record: Record, at_s: float, unix_s: float | None = None, *, clock_trusted: bool = False
    ) -> None:
        """Append to the journal, committed at once.

        Args:
            record: What happened.
            at_s: Monotonic seconds.
            unix_s: Wall time, if there is one.
            clock_trusted: The wall time can be relied on.
        """
        self._append(
            {
                "actor": str(record.actor),
                "at_s": round(at_s, 6),
                "boot_id": self._boot.boot_id,
                "cause": record.cause,
                "clock_trusted": clock_trusted,
                "correlation_id": record.correlation_id,
                "detail": dict(record.detail),
                "kind": record.kind,
                "subject": record.subject,
                "unix_s": unix_s,
            }
        )

    def _append(self, body: dict[str, Json]) -> None:
        lines = self._committer.pending.lines
        lines.append(json.dumps(body, separators=(",", ":"), sort_keys=True))
        if len(lines) > _MAX_LINES:
            self._lost_lines += 1
            lines[:2] = [
                json.dumps({"boot_id": self._boot.boot_id, "kind": "lost", "count": self._lost_lines})
            ]
        self._committer.hurry()

    def remember(self, remember: Remember, /) -> None:
        """Keep a value across restarts; the last one for a key counts."""
        remember.key.encode()
        text = None if remember.value is None else json.dumps(remember.value, separators=(",", ":"))
        self._committer.pending.memory[remember.key] = text
        if remember.urgent:
            self._committer.hurry()
        else:
            self._committer.linger()

    def when_settled(self, tell: Callable[[], None]) -> None:
        """Call back once all that was given so far is on disk, or the disk does not take it now."""
        self._committer.when_settled(tell)

    async def take(self, limit: int, /) -> Sequence[OutboxRow]:
        """See ports.Outbox. While the disk fails or stalls, alarms leave from RAM."""
        return await self._outbox.take(limit)

    def published(self, ids: Sequence[MessageId], /) -> None:
        """See ports.Outbox."""
        self._outbox.published(ids)

    def received(self, epoch: int, through: int, also: Sequence[tuple[int, int]] = (), /) -> None:
        """See ports.Outbox."""
        self._outbox.received(epoch, through, also)

    def put_back(self) -> None:
        """See ports.Outbox."""
        self._outbox.put_back()

    def set_aside(self, message: MessageId, problem: str, /) -> None:
        """See ports.Outbox. The message stays in the file, out of the way; the last hundred are kept."""
        self._outbox.set_aside(message, problem)

    async def claim(self, command_id: str, not_after_unix_s: float, /) -> bool:
        """See ports.Outbox. Also False for a command older than those that had to be forgotten."""
        work = partial(self._disk.claim, command_id, not_after_unix_s)
        try:
            async with asyncio.timeout(self._config.claim_wait_s):
                return await self._thread.call(work)
        except TimeoutError:
            wait_s = self._config.claim_wait_s
            raise StoreError(f"{self._config.path}: the disk did not answer within {wait_s:g} s") from None
        except Exception as error:
            raise StoreError(f"{self._config.path}: {error}") from error

    async def verify(self) -> list[str]:
        """Check the journal's chain from anchor to head; return what is wrong, one line each.

        Raises StoreError if the disk cannot be read.
        """
        head, problems = self._head, []
        try:
            behind = await self._thread.call(self._disk.anchor)
            is_last = False
            while not is_last:
                behind, found, is_last = await self._thread.call(partial(self._disk.verify, behind))
                problems += found
        except Exception as error:
            raise StoreError(f"{self._config.path}: {error}") from error
        if behind.n < head.n:
            problems.append(f"journal: entries {behind.n + 1} to {head.n} are missing")
        return problems

    def stats(self) -> dict[str, Json]:
        """Return figures for status and top; counts are since the start."""
        committer = self._committer
        return {
            "state": committer.state.value,
            "detail": committer.detail,
            "epoch": self.epoch,
            "seq": self._outbox.seq,
            "queued": {channel.name.lower(): self._outbox.queued(channel) for channel in Channel},
            "delivered": self._outbox.delivered,
            "delivered_on_disk": self._outbox.leaving,
            "in_flight": self._outbox.in_flight,
            "in_ram": self._ram.count,
            "ram_bytes": self._ram.size_bytes,
            "disk_bytes": self._used_bytes,
            "max_bytes": self._config.max_bytes,
            "evicted": self._reporter.counts[ReportKind.EVICTED] + count_of(committer.pending.lost),
            "poisoned": self._reporter.counts[ReportKind.POISONED],
            "quarantined": self._reporter.counts[ReportKind.QUARANTINED],
            "commits": committer.commits,
            "last_commit_ms": round(committer.last_commit_s * 1e3, 3),
            "journal": {"entries": self._head.n, "head": self._head.hash.hex()},
        }

    async def close(self) -> None:
        """Commit what waits, for at most `close_wait_s`, and let the file go."""
        try:
            async with asyncio.timeout(self._config.close_wait_s):
                await self._committer.drain()
                await self._thread.call(self._disk.close)
        except TimeoutError:
            self._committer.stalled()
        self._thread.stop()

    def begun(self, begun: Begun, /) -> None:
        """The new epoch is on disk: see committer.Listener."""
        self._outbox.begun(begun.run, begun.state.queued)
        self._used_bytes, self._head = begun.state.used_bytes, begun.state.head
        self._reporter.former(begun.former)
        self._reporter.notices(begun.notices, is_new=False)
        if self.memory is None and begun.values is not None:
            self.memory = memory.parse(begun.values)
            self.on_late_memory(self.memory)

    def committed(self, applied: Applied, rows: list[tuple[OutboxRow, bool]], /) -> None:
        """A commit is on disk: see committer.Listener."""
        self._used_bytes, self._head = applied.state.used_bytes, applied.state.head
        self._outbox.counted(applied.state.queued)
        self._outbox.committed(rows)
        self._reporter.notices(applied.notices)

    def state_changed(self, kind: ReportKind, detail: str, /) -> None:
        """The disk began or ceased to work: see committer.Listener."""
        self._reporter.state(kind, f"{self._config.path}: {detail}" if detail else "")
        if self.epoch:
            self._outbox.wake()

    def _replaced(self, notice: Notice) -> None:
        self._append({"boot_id": self._boot.boot_id, "kind": "quarantined", "detail": notice.detail})
        self._reporter.notices([notice])

    def _read(self, behind: int, limit: int, done: Callable[[Page | Exception], None]) -> None:
        def deliver(outcome: Page | Exception) -> None:
            if not isinstance(outcome, Exception):
                self._reporter.notices(outcome.notices)
            done(outcome)

        self._thread.submit(partial(self._disk.read, behind, limit), deliver)
