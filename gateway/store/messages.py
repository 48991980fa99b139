"""The table of queued messages: one B-tree, ordered by channel, then age.

The key packs channel, run and seq into 63 bits, so that priority, age and every range that is deleted are
ranges of the key. `run` counts the epochs of this file from 1. A checksum per row covers key and payload:
SQLite has none, and a damaged payload must not reach the cloud as a message.
"""

import sqlite3
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from gateway.domain.model import Channel
from gateway.store.database import used_bytes

_RUN_BITS = 20
_SEQ_BITS = 40
_CRC_MASK = 0xFFFFFFFF
MAX_SEQ = (1 << _SEQ_BITS) - 1
DELETE_ROWS = 2_000
"""A watermark may cover the whole backlog: an alarm waits for one slice of it, not for all."""

_EVICT_ROWS = 1_000
_KEEP_ASIDE = 100
# Many rows in one statement: each statement gives the interpreter lock away, and waits to get it back.
_INSERTS = {
    rows: "INSERT OR IGNORE INTO message VALUES (?,?,?)" + ",(?,?,?)" * (rows - 1) for rows in (250, 25, 1)
}


class Key(NamedTuple):
    """What a key packs."""

    channel: Channel
    run: int
    seq: int


def pack(channel: int, run: int, seq: int) -> int:
    """Return the key of a message."""
    return (channel << (_RUN_BITS + _SEQ_BITS)) | (run << _SEQ_BITS) | seq


def unpack(key: int) -> Key:
    """Return what `pack` put in. Raises ValueError for a key that no message has."""
    run = (key >> _SEQ_BITS) & ((1 << _RUN_BITS) - 1)
    return Key(Channel(key >> (_RUN_BITS + _SEQ_BITS)), run, key & MAX_SEQ)


def span(channel: int) -> tuple[int, int]:
    """Return the first and last possible key of a channel."""
    return pack(channel, 0, 0), pack(channel + 1, 0, 0) - 1


def checksum(key: int, payload: bytes) -> int:
    """Return the CRC-32 of key and payload."""
    return zlib.crc32(payload, key & _CRC_MASK)


def insert(connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes]]) -> int:
    """Add messages, return how many; one that is there stays: a commit may be done twice after an error."""
    crc32 = zlib.crc32
    cells = [cell for key, payload in rows for cell in (key, crc32(payload, key & _CRC_MASK), payload)]
    added = start = 0
    for size, statement in _INSERTS.items():
        while len(cells) - start >= 3 * size:
            added += connection.execute(statement, cells[start : start + 3 * size]).rowcount
            start += 3 * size
    return added


def after(connection: sqlite3.Connection, key: int, limit: int) -> list[tuple[int, int, bytes]]:
    """Return up to `limit` rows (key, checksum, payload) of the same channel behind `key`, oldest first."""
    last = span(key >> (_RUN_BITS + _SEQ_BITS))[1]
    query = "SELECT key, crc, payload FROM message WHERE key > ? AND key <= ? ORDER BY key LIMIT ?"
    return connection.execute(query, (key, last, limit)).fetchall()


def count(connection: sqlite3.Connection) -> dict[Channel, int]:
    """Return how many messages each channel holds."""
    query = "SELECT count(*) FROM message WHERE key BETWEEN ? AND ?"
    return {channel: connection.execute(query, span(channel)).fetchone()[0] for channel in Channel}


def delete(connection: sqlite3.Connection, key: int) -> int:
    """Remove one message; return 1 if it was there."""
    return connection.execute("DELETE FROM message WHERE key = ?", (key,)).rowcount


def delete_range(connection: sqlite3.Connection, first: int, last: int, limit: int) -> tuple[int, bool]:
    """Remove up to about `limit` messages from the front of a range; return how many, and if that was all."""
    query = "SELECT key FROM message WHERE key BETWEEN ? AND ? ORDER BY key LIMIT 1 OFFSET ?"
    bound = connection.execute(query, (first, last, limit)).fetchone()
    until = last if bound is None else bound[0]
    removed = connection.execute("DELETE FROM message WHERE key BETWEEN ? AND ?", (first, until)).rowcount
    return removed, bound is None or until == last


def set_aside(connection: sqlite3.Connection, key: int, problem: str, payload: bytes) -> int:
    """Keep a message out of the way, with the reason; return 1 if it was queued on disk."""
    connection.execute("INSERT INTO aside (key, problem, payload) VALUES (?, ?, ?)", (key, problem, payload))
    connection.execute("DELETE FROM aside WHERE id <= (SELECT max(id) FROM aside) - ?", (_KEEP_ASIDE,))
    return delete(connection, key)


def evict(connection: sqlite3.Connection, max_bytes: int) -> list[int]:
    """Remove the oldest of the least important messages until there is room again; return their keys.

    Makes room for 1/64 of the cap at once: a full outbox explains a gap per MiB, not one per message.
    """
    evicted: list[int] = []
    for channel in reversed(Channel):
        while used_bytes(connection) > max_bytes - max_bytes // 64:
            query = "SELECT key FROM message WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?"
            keys = [row[0] for row in connection.execute(query, (*span(channel), _EVICT_ROWS))]
            if not keys:
                break
            # Small steps near the end: with a small cap a thousand rows would empty the channel.
            keys = keys[: max(1, min(len(keys), max_bytes // 64 // 256))]
            connection.execute("DELETE FROM message WHERE key BETWEEN ? AND ?", (keys[0], keys[-1]))
            evicted += keys
    return evicted
