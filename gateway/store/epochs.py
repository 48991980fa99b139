"""Epochs: each start is a new one, so that a message lost from RAM can never lend its id to another.

An epoch must be new even if the file with the last one is gone and the clock is wrong. Hence not a counter:
seconds since 1970 in the upper bits, 20 random bits below (in all below 2**53, exact in every JSON reader),
and above the last one that the file knows. It names; it tells no time.
"""

import secrets
import sqlite3
import time
from typing import NamedTuple

from gateway.domain.model import Channel
from gateway.store import messages

_RANDOM_BITS = 20
UNKNOWN = -1


class Former(NamedTuple):
    """An earlier epoch that the cloud has not been told of; `through`: seqs up to here are accounted for."""

    epoch: int
    through: int


def propose() -> int:
    """Return an epoch that no other start has used."""
    return (int(time.time()) << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)


def load(connection: sqlite3.Connection) -> dict[int, int]:
    """Return run to epoch of all epochs in the file."""
    return dict(connection.execute("SELECT run, epoch FROM epoch ORDER BY run"))


def unsettled(connection: sqlite3.Connection, current: int) -> list[Former]:
    """Return the former epochs to report."""
    query = "SELECT epoch, max(through, 0) FROM epoch WHERE settled = 0 AND epoch != ? ORDER BY run"
    return [Former(*row) for row in connection.execute(query, (current,))]


def add(connection: sqlite3.Connection, run: int, epoch: int, boot_id: str, through: int = 0) -> None:
    """Keep an epoch; one that is there already stays. UNKNOWN: its messages went through a damaged file."""
    row = (run, epoch, boot_id, through)
    connection.execute("INSERT OR IGNORE INTO epoch VALUES (?, ?, ?, ?, 0)", row)


def reach(connection: sqlite3.Connection, run: int, through: int) -> None:
    """Note that all seqs of this run up to `through` are on disk, received, or explained."""
    query = "UPDATE epoch SET through = ? WHERE run = ? AND through BETWEEN 0 AND ?"
    connection.execute(query, (through, run, through))


def settle(connection: sqlite3.Connection, epoch: int) -> None:
    """Note that the cloud will be told, whatever happens."""
    connection.execute("UPDATE epoch SET settled = 1 WHERE epoch = ?", (epoch,))


def prune(connection: sqlite3.Connection, current_run: int) -> None:
    """Forget settled epochs that have no message left."""
    for (run,) in connection.execute("SELECT run FROM epoch WHERE settled = 1").fetchall():
        if run != current_run and not _has_messages(connection, run):
            connection.execute("DELETE FROM epoch WHERE run = ?", (run,))


def _has_messages(connection: sqlite3.Connection, run: int) -> bool:
    query = "SELECT 1 FROM message WHERE key BETWEEN ? AND ? LIMIT 1"
    keys = ((messages.pack(c, run, 0), messages.pack(c, run, messages.MAX_SEQ)) for c in Channel)
    return any(connection.execute(query, pair).fetchone() for pair in keys)
