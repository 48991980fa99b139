"""The disk side: one connection, used by one thread; replaces the file when it is damaged, mid-flight too."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import itemgetter
from typing import NamedTuple, TypeVar

from gateway.domain.ports import MessageId, OutboxRow
from gateway.store import claims, database, epochs, journal, memory, messages, notices
from gateway.store.batch import Batch
from gateway.store.config import Config
from gateway.store.ledger import Ledger, State
from gateway.store.notices import Notice
from gateway.store.receipts import Receipts
from gateway.store.report import BootInfo, ReportKind
from gateway.store.salvage import salvage

T = TypeVar("T")

_UNREADABLE_SECTOR = {
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
}
_READ_FAILURES = 3
_ROW_OVERHEAD_BYTES = 24
_PAYLOAD = itemgetter(2)
_COMMIT_OVERHEAD_BYTES = 6 * database.PAGE_BYTES


class Opened(NamedTuple):
    """What the file remembers; `values` (key to JSON text) is None if they cannot be trusted."""

    last_epoch: int
    values: Mapping[str, str] | None


class Begun(NamedTuple):
    """The new epoch is on disk; `values` as in Opened, from before this epoch wrote any."""

    run: int
    former: list[epochs.Former]
    notices: list[Notice]
    state: State
    values: Mapping[str, str] | None


class Applied(NamedTuple):
    """A commit is on disk; `leftover` are receipts of which only a slice was done."""

    state: State
    notices: list[Notice]
    leftover: Receipts
    checkpoint_due: bool
    took_s: float


class Page(NamedTuple):
    """Some rows of a channel; `behind` is the last key seen, `is_last` that there are no more."""

    behind: int
    is_last: bool
    rows: list[OutboxRow]
    notices: list[Notice]


class Disk:
    """All work on the file. Every method runs in the disk thread and raises sqlite3.Error or OSError.

    Args:
        tell: Called in the disk thread when the file had to be replaced.
    """

    def __init__(self, config: Config, boot: BootInfo, tell: Callable[[Notice], None]) -> None:
        self._config = config
        self._boot = boot
        self._tell = tell
        self._ledger = Ledger(config)
        self._connection: sqlite3.Connection | None = None
        self._values: dict[str, str] | None = None
        self._epoch = 0
        self._wal_bytes = 0
        self._read_failures = 0
        self._replacements = 0

    def open(self) -> Opened:
        """Open or create the file and read what the core needs."""
        values: Mapping[str, str] | None = self._guarded(memory.load)
        if self._replacements:
            values = None
        self._values = dict(values or {})
        return Opened(max(self._ledger.runs.values(), default=0), values)

    def begin(self, epoch: int) -> Begun:
        """Start a new epoch."""

        def write(connection: sqlite3.Connection) -> Begun:
            ledger = self._ledger
            ledger.run = max(epochs.load(connection), default=0) + 1
            connection.execute("BEGIN IMMEDIATE")
            epochs.add(connection, ledger.run, epoch, self._boot.boot_id)
            epochs.prune(connection, ledger.run)
            connection.execute("COMMIT")
            self._epoch = epoch
            ledger.load(connection)
            ledger.recount(connection)
            if self._values is None:
                self._values = memory.load(connection)
            former = epochs.unsettled(connection, epoch)
            # empty: the file is new, and what was remembered in another one is not known
            values = None if self._replacements else dict(self._values) or None
            return Begun(ledger.run, former, notices.load(connection), ledger.state(), values)

        return self._guarded(write)

    def apply(self, batch: Batch) -> Applied:
        """Carry out a batch in one transaction."""
        started_s = time.perf_counter()

        def write(connection: sqlite3.Connection) -> tuple[list[Notice], Receipts, State]:
            made, leftover = self._ledger.apply(connection, batch)
            return made, leftover, self._ledger.state()

        made, leftover, state = self._guarded(write)
        self._mirror(batch.memory)
        self._wal_bytes += _COMMIT_OVERHEAD_BYTES
        self._wal_bytes += sum(map(len, map(_PAYLOAD, batch.rows))) + _ROW_OVERHEAD_BYTES * len(batch.rows)
        due = self._wal_bytes > database.CHECKPOINT_BYTES
        return Applied(state, made, leftover, due, time.perf_counter() - started_s)

    def read(self, behind: int, limit: int) -> Page:
        """Return the sound rows of a channel behind a key; damaged ones are put aside."""

        def query(connection: sqlite3.Connection) -> Page:
            found = messages.after(connection, behind, limit)
            rows, damaged = [], []
            for key, crc, payload in found:
                channel, run, seq = messages.unpack(key)
                if run in self._ledger.runs and crc == messages.checksum(key, payload):
                    rows.append(OutboxRow(MessageId(self._ledger.runs[run], seq), channel, payload))
                else:
                    damaged.append((key, payload))
            made = self._ledger.reject(connection, damaged) if damaged else []
            return Page(found[-1][0] if found else behind, len(found) < limit, rows, made)

        return self._guarded(query)

    def claim(self, command_id: str, not_after_unix_s: float) -> bool:
        """Return True, on disk, if this command was not taken before."""

        def write(connection: sqlite3.Connection) -> bool:
            connection.execute("BEGIN IMMEDIATE")
            taken = claims.claim(connection, command_id, not_after_unix_s, self._config.claims)
            connection.execute("COMMIT")
            return taken

        return self._guarded(write)

    def anchor(self) -> journal.Head:
        """Return where the journal begins."""
        return self._guarded(journal.anchor)

    def verify(self, behind: journal.Head) -> journal.Slice:
        """Check a slice of the journal."""
        return self._guarded(lambda connection: journal.verify(connection, behind))

    def checkpoint(self) -> None:
        """Move the WAL into the file."""
        self._guarded(lambda connection: connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
        self._wal_bytes = 0

    def close(self) -> None:
        """Close the file; SQLite empties and removes the WAL."""
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _mirror(self, changes: Mapping[str, str | None]) -> None:
        """Keep what a replacement file must be given."""
        values = {**(self._values or {}), **changes}
        self._values = {key: text for key, text in values.items() if text is not None}

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work; on damage do it once more, on a new file."""
        try:
            result = work(self._ready())
        except Exception as error:
            self.close()
            if not self._is_lost(error):
                raise
            self._replace(error)
            result = work(self._ready())
        return result

    def _is_lost(self, error: Exception) -> bool:
        """Damage, or a sector that cannot be read time after time."""
        if getattr(error, "sqlite_errorcode", 0) in _UNREADABLE_SECTOR:
            self._read_failures += 1
        return database.is_damage(error) or self._read_failures == _READ_FAILURES

    def _ready(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = database.connect(self._config.path)
            self._ledger.load(self._connection)
            if self._epoch:
                self._ledger.recount(self._connection)
        return self._connection

    def _replace(self, error: Exception) -> None:
        """Set the file aside, start a new one with all that is in RAM and all that can still be read."""
        head, runs = self._ledger.head, dict(self._ledger.runs)
        aside = database.set_aside(self._config.path)
        connection = database.connect(self._config.path)
        connection.execute("BEGIN IMMEDIATE")
        for known_run, epoch in runs.items():
            epochs.add(connection, known_run, epoch, self._boot.boot_id, epochs.UNKNOWN)
        memory.save(connection, self._values or {})
        if head.n:
            journal.set_anchor(connection, head)
        connection.execute("COMMIT")
        self._connection = connection
        saved = salvage(aside, connection)
        self._ledger.load(connection)
        self._ledger.recount(connection)
        detail = f"{error}; set aside as {aside.name}, {saved.messages} queued messages saved"
        self._replacements += 1
        self._tell(Notice(0, ReportKind.QUARANTINED, detail))
