"""The journal of actuations: append-only, each entry bound to all before it by SHA-256.

`hash(n) = SHA-256(hash(n-1) || body(n))`, the body in UTF-8, `hash(0)` 32 zero bytes. Entries that leave for
the bound on their number leave the hash of the last of them behind, as the anchor for the rest. Whoever can
write the file can forge the whole chain; the head shows that, if it was told to somebody else before.
"""

import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

START = bytes(32)
_SLICE = 100


class Head(NamedTuple):
    """The last entry: its number (0 before the first) and hash."""

    n: int
    hash: bytes


class Slice(NamedTuple):
    """A checked part: where it ended, what is wrong in it, and if the journal ends there."""

    behind: Head
    problems: list[str]
    is_last: bool


def head(connection: sqlite3.Connection) -> Head:
    """Return the last entry, or the anchor if there is none."""
    row = connection.execute("SELECT n, hash FROM journal ORDER BY n DESC LIMIT 1").fetchone()
    return Head(*row) if row else anchor(connection)


def anchor(connection: sqlite3.Connection) -> Head:
    """Return the last entry that left."""
    row = connection.execute("SELECT number, hash FROM mark WHERE name = 'journal'").fetchone()
    return Head(int(row[0]), row[1]) if row else Head(0, START)


def set_anchor(connection: sqlite3.Connection, to: Head) -> None:
    """Let the chain begin behind this entry."""
    connection.execute("INSERT OR REPLACE INTO mark VALUES ('journal', ?, ?)", to)


def append(connection: sqlite3.Connection, last: Head, bodies: Sequence[str], keep: int) -> Head:
    """Add entries behind `last`, return the head; beyond `keep` and a sixteenth the oldest leave."""
    for body in bodies:
        last = Head(last.n + 1, sha256(last.hash + body.encode()).digest())
        connection.execute("INSERT INTO journal VALUES (?, ?, ?)", (last.n, body, last.hash))
    if bodies:
        _prune(connection, last.n, keep)
    return last


def _prune(connection: sqlite3.Connection, last_n: int, keep: int) -> None:
    first_n = anchor(connection).n
    if last_n - first_n <= keep + keep // 16:
        return
    row = connection.execute("SELECT n, hash FROM journal WHERE n = ?", (last_n - keep,)).fetchone()
    if row:
        set_anchor(connection, Head(*row))
        connection.execute("DELETE FROM journal WHERE n <= ?", (row[0],))


def verify(connection: sqlite3.Connection, behind: Head) -> Slice:
    """Check the next hundred entries."""
    problems = []
    query = "SELECT n, body, hash FROM journal WHERE n > ? ORDER BY n LIMIT ?"
    rows = connection.execute(query, (behind.n, _SLICE)).fetchall()
    for n, body, stored in rows:
        if n != behind.n + 1:
            problems.append(f"journal: entries {behind.n + 1} to {n - 1} are missing")
        elif sha256(behind.hash + str(body).encode()).digest() != stored:
            problems.append(f"journal: entry {n} was changed, or the one before it was replaced")
        behind = Head(n, stored)
    return Slice(behind, problems, len(rows) < _SLICE)
