"""What the file holds, in figures, and the one transaction that changes it."""

import sqlite3
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from gateway.domain.model import Channel
from gateway.domain.ports import MessageId
from gateway.errors import StoreError
from gateway.store import database, epochs, journal, memory, messages, notices
from gateway.store.batch import Batch
from gateway.store.config import Config
from gateway.store.notices import Notice
from gateway.store.receipts import Receipts, runs
from gateway.store.report import ReportKind, SeqRange

Queued = dict[Channel, int]


class State(NamedTuple):
    """Figures for `stats` after a piece of work."""

    queued: Queued
    used_bytes: int
    head: journal.Head


class Ledger:
    """Knows runs, counts and the journal's head, so that a commit reads nothing it could know.

    Args:
        runs: Run to epoch, of all epochs that the file knows.
        run: The present one; 0 before it has begun.
    """

    def __init__(self, config: Config) -> None:
        self._cap_bytes = config.max_bytes - config.max_ram_bytes
        self._keep_entries = config.journal_entries
        self.runs: dict[int, int] = {}
        self.run = 0
        self.head = journal.Head(0, journal.START)
        self.queued: Queued = dict.fromkeys(Channel, 0)
        self.used_bytes = 0

    def load(self, connection: sqlite3.Connection) -> None:
        """Read runs and head. Raises StoreError for values that this program never wrote."""
        self.runs = epochs.load(connection)
        self.head = journal.head(connection)
        if not all(isinstance(epoch, int) for epoch in self.runs.values()):
            raise StoreError("the table of epochs is damaged")
        if not isinstance(self.head.hash, bytes):
            raise StoreError("the journal's head is damaged")

    def recount(self, connection: sqlite3.Connection) -> None:
        """Count the messages; reads the whole table."""
        self.queued = messages.count(connection)
        self.used_bytes = database.used_bytes(connection)

    def state(self) -> State:
        """Return the figures."""
        return State(dict(self.queued), self.used_bytes, self.head)

    def apply(self, connection: sqlite3.Connection, batch: Batch) -> tuple[list[Notice], Receipts]:
        """Carry out a batch in one transaction; return what it lost and which receipts remain to be done."""
        connection.execute("BEGIN IMMEDIATE")
        queued = dict(self.queued)
        if batch.settled_notices:
            notices.settle(connection, batch.settled_notices)
        for epoch in batch.settled_epochs:
            epochs.settle(connection, epoch)
        made = self._set_aside(connection, batch, queued)
        leftover = self._remove(connection, batch, queued)
        for channel, rows in groupby(batch.rows, key=itemgetter(1)):
            base = messages.pack(channel, self.run, 0)
            keyed = [(base | seq, payload) for (_, seq), _, payload in rows]
            queued[channel] += messages.insert(connection, keyed)
        made += notices.add(connection, ReportKind.EVICTED, "the queue in RAM is full", batch.lost)
        made += self._evict(connection, queued)
        head = journal.append(connection, self.head, batch.lines, self._keep_entries)
        memory.save(connection, batch.memory)
        if batch.rows or batch.lost:
            epochs.reach(connection, self.run, batch.through)
        connection.execute("COMMIT")
        self.queued, self.head = queued, head
        return made, leftover

    def reject(self, connection: sqlite3.Connection, damaged: Sequence[tuple[int, bytes]]) -> list[Notice]:
        """Put messages aside whose bytes changed on the disk."""
        problem = "damaged on disk"
        queued = dict(self.queued)
        connection.execute("BEGIN IMMEDIATE")
        spots = []
        for key, payload in damaged:
            channel, run, seq = messages.unpack(key)
            queued[channel] -= messages.set_aside(connection, key, problem, payload)
            spots.append(SeqRange(channel, self.runs.get(run, 0), seq, seq))
        made = notices.add(connection, ReportKind.POISONED, problem, spots)
        connection.execute("COMMIT")
        self.queued = queued
        return made

    def _set_aside(self, connection: sqlite3.Connection, batch: Batch, queued: Queued) -> list[Notice]:
        made = []
        for row, problem in batch.aside:
            if key := self._key(row.channel, row.id):
                queued[row.channel] -= messages.set_aside(connection, key, problem, row.payload)
            spot = SeqRange(row.channel, row.id.epoch, row.id.seq, row.id.seq)
            made += notices.add(connection, ReportKind.POISONED, problem, [spot])
        return made

    def _remove(self, connection: sqlite3.Connection, batch: Batch, queued: Queued) -> Receipts:
        for channel, message in batch.deleted:
            if key := self._key(channel, message):
                queued[channel] -= messages.delete(connection, key)
        leftover, budget = Receipts(), messages.DELETE_ROWS
        for epoch, (first, last) in batch.receipts:
            run = self._run_of(epoch)
            for channel in Channel if run else ():
                bounds = messages.pack(channel, run, first), messages.pack(channel, run, last)
                removed, is_all = messages.delete_range(connection, *bounds, max(budget, 1))
                queued[channel] -= removed
                budget -= removed
                if not is_all:
                    leftover.add(epoch, [(first, last)])
        return leftover

    def _evict(self, connection: sqlite3.Connection, queued: Queued) -> list[Notice]:
        self.used_bytes = database.used_bytes(connection)
        if self.used_bytes <= self._cap_bytes:
            return []
        keys = [messages.unpack(key) for key in messages.evict(connection, self._cap_bytes)]
        self.used_bytes = database.used_bytes(connection)
        ranges = []
        for (channel, run), group in groupby(keys, key=lambda key: (key.channel, key.run)):
            seqs = [key.seq for key in group]
            queued[channel] -= len(seqs)
            ranges += [SeqRange(channel, self.runs.get(run, 0), *span) for span in runs(seqs)]
        return notices.add(connection, ReportKind.EVICTED, "the queue on disk is full", ranges)

    def _run_of(self, epoch: int) -> int:
        """Return the run of an epoch, 0 if this file has none of its messages."""
        return next((run for run, known in self.runs.items() if known == epoch), 0)

    def _key(self, channel: Channel, message: MessageId) -> int:
        run = self._run_of(message.epoch)
        return messages.pack(channel, run, message.seq) if run else 0
