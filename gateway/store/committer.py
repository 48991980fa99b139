"""When the disk is written: at once for what is urgent, in groups for the rest, again when it failed.

One commit is under way at a time; whatever comes meanwhile makes up the next one. That groups by itself
under load, and bounds what a stalled disk can hold. Nothing waiting means no timer and no wake-up.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Protocol

from gateway.domain.ports import OutboxRow
from gateway.store.batch import Batch
from gateway.store.config import Config
from gateway.store.disk import Applied, Begun, Disk
from gateway.store.ram import RamQueue
from gateway.store.report import ReportKind
from gateway.store.thread import DiskThread

_MAX_ROWS = 1_000
_MAX_BYTES = 1024 * 1024
_MAX_RETRY_S = 30.0


class DiskState(StrEnum):
    """How the disk is doing."""

    OK = "ok"
    FAILING = "failing"
    STALLED = "stalled"


class Listener(Protocol):
    """Who is told, in the loop's thread."""

    def begun(self, begun: Begun, /) -> None:
        """The epoch is on disk."""

    def committed(self, applied: Applied, rows: list[tuple[OutboxRow, bool]], /) -> None:
        """A commit is on disk; with its rows, and whether each need not be sent in this session."""

    def state_changed(self, kind: ReportKind, detail: str, /) -> None:
        """The disk began or ceased to work."""


class Committer:
    """Gathers in `pending`, commits, keeps the disk's state."""

    def __init__(
        self,
        config: Config,
        thread: DiskThread,
        disk: Disk,
        ram: RamQueue,
        listener: Listener,
    ) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._disk = disk
        self._ram = ram
        self._listener = listener
        self._epoch = 0
        self._has_begun = False
        self._working: Batch | None = None
        self._is_urgent = False
        self._is_closing = False
        self._failures = 0
        self._linger: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self.pending = Batch()
        self.state = DiskState.OK
        self.detail = ""
        self.commits = 0
        self.last_commit_s = 0.0

    def begin(self, epoch: int) -> None:
        """Put the epoch on disk, then whatever gathered meanwhile."""
        self._epoch = epoch
        self._loop.call_soon(self._flush)

    def hurry(self) -> None:
        """Commit as soon as this slice of the loop is over: all that it brings goes together."""
        if not self._is_urgent:
            self._is_urgent = True
            self._loop.call_soon(self._flush)

    def when_settled(self, tell: Callable[[], None]) -> None:
        """Call back once all that this slice of the loop and those before brought is on disk.

        If the disk refuses or stalls, now or before that, nobody waits for it.
        """
        if self.state is not DiskState.OK:
            tell()
            return
        self.pending.told.append(tell)
        self.hurry()

    def linger(self) -> None:
        """Commit in time, or when enough waits."""
        if self._is_urgent:
            return
        if self._ram.count + len(self.pending.deleted) >= self._config.commit_rows:
            self.hurry()
        elif self._linger is None:
            self._linger = self._loop.call_later(self._config.commit_after_s, self._flush)

    def linger_if_pending(self) -> None:
        """As `linger`, if there is anything."""
        if self.pending:
            self.linger()

    @property
    def is_working(self) -> bool:
        """A commit is under way."""
        return self._working is not None

    def is_dropping(self, row: OutboxRow) -> bool:
        """Tell whether a row read from disk is about to be removed there."""
        batches = (self.pending, self._working) if self._working else (self.pending,)
        return any(batch.drops(row.channel, row.id) for batch in batches)

    def fail(self, error: Exception) -> None:
        """Take note that the disk refused; try again later, with growing pauses."""
        self._set_state(DiskState.FAILING, str(error) or type(error).__name__)
        _tell(self.pending)
        if self._retry is None:
            pause_s = min(_MAX_RETRY_S, 2.0**self._failures)
            self._failures += 1
            self._retry = self._loop.call_later(pause_s, self._try_again)
        if self._is_closing:
            self._idle.set()

    def stalled(self) -> None:
        """Take note that the disk does not answer."""
        self._set_state(DiskState.STALLED, f"no answer within {self._config.stall_after_s:g} s")
        for batch in (self._working, self.pending):
            if batch is not None:
                _tell(batch)

    async def drain(self) -> None:
        """Commit all there is; return when done, or when the disk refused."""
        self._is_closing = True
        self._idle.clear()
        self._cancel_retry()
        self._flush()
        if self._working is not None:
            await self._idle.wait()
        for timer in (self._linger, self._retry, self._stall):
            if timer:
                timer.cancel()

    def _try_again(self) -> None:
        self._cancel_retry()
        self._flush(probe=True)

    def _cancel_retry(self) -> None:
        if self._retry:
            self._retry.cancel()
        self._retry = None

    def _flush(self, *, probe: bool = False) -> None:
        if self._linger:
            self._linger.cancel()
            self._linger = None
        if self._working is not None or self._retry is not None or not self._epoch:
            return  # without an epoch: what was found at opening waits for `begin`
        batch = Batch()
        if self._has_begun:
            self._is_urgent = False
            batch, self.pending = self.pending, batch
            batch.rows, batch.through = self._ram.start_commit(_MAX_ROWS, _MAX_BYTES)
            if not batch and not probe:
                _tell(batch)
                return
        self._working = batch
        self._stall = self._loop.call_later(self._config.stall_after_s, self.stalled)
        if self._has_begun:
            self._thread.submit(partial(self._disk.apply, batch), self._committed)
        else:
            self._thread.submit(partial(self._disk.begin, self._epoch), self._begun)

    def _begun(self, outcome: Begun | Exception) -> None:
        self._finish()
        if isinstance(outcome, Exception):
            self.fail(outcome)
            return
        self._has_begun = True
        self._set_state(DiskState.OK)
        self._listener.begun(outcome)
        self._go_on()

    def _committed(self, outcome: Applied | Exception) -> None:
        batch = self._finish()
        if isinstance(outcome, Exception):
            self._ram.commit_failed()
            batch.rows = []
            _tell(batch)
            batch.absorb(self.pending)
            self.pending = batch
            self.fail(outcome)
            return
        self.commits += 1
        self.last_commit_s = outcome.took_s
        self._set_state(DiskState.OK)
        if outcome.leftover:
            self.pending.receipts.update(outcome.leftover)
            self._is_urgent = True
        self._listener.committed(outcome, self._ram.commit_done())
        _tell(batch)
        if outcome.checkpoint_due:
            self._thread.submit(self._disk.checkpoint, self._checkpointed)
        self._go_on()

    def _checkpointed(self, outcome: Exception | None) -> None:
        if outcome is not None:
            self.fail(outcome)

    def _finish(self) -> Batch:
        if self._stall:
            self._stall.cancel()
        batch, self._working = self._working or Batch(), None
        return batch

    def _go_on(self) -> None:
        more = bool(self._ram.count or self.pending)
        if self._is_urgent or (self._is_closing and more):
            self._flush()
        elif more:
            self.linger()
        if self._is_closing and self._working is None:
            self._idle.set()

    def _set_state(self, state: DiskState, detail: str = "") -> None:
        was, self.state, self.detail = self.state, state, detail
        if state is DiskState.OK:
            self._failures = 0
        if state is not was:
            kind = ReportKind.RECOVERED if state is DiskState.OK else ReportKind(state.value)
            self._listener.state_changed(kind, detail)


def _tell(batch: Batch) -> None:
    told, batch.told = batch.told, []
    for tell in told:
        tell()
