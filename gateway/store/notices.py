"""Notices: why messages are missing. Written with the loss itself, kept until the cloud is told."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.domain.model import Channel
from gateway.store.report import ReportKind, SeqRange

_MAX_RANGES = 500
"""A report becomes one message: with this many ranges it stays far below 128 KiB."""


class Notice(NamedTuple):
    """One report about missing messages, as kept on disk; 0 is the id of one that is not."""

    id: int
    kind: ReportKind
    detail: str
    ranges: tuple[SeqRange, ...] = ()


def add(
    connection: sqlite3.Connection, kind: ReportKind, detail: str, ranges: Sequence[SeqRange]
) -> list[Notice]:
    """Write notices about these ranges, as many as it takes; return them."""
    made = []
    for start in range(0, len(ranges), _MAX_RANGES):
        part = tuple(ranges[start : start + _MAX_RANGES])
        row = (kind.value, detail, json.dumps(part, separators=(",", ":")))
        cursor = connection.execute("INSERT INTO notice (kind, detail, ranges) VALUES (?, ?, ?)", row)
        made.append(Notice(cursor.lastrowid or 0, kind, detail, part))
    return made


def load(connection: sqlite3.Connection) -> list[Notice]:
    """Return what the cloud has not been told."""
    rows = connection.execute("SELECT id, kind, detail, ranges FROM notice ORDER BY id")
    return [Notice(n, ReportKind(kind), detail, _ranges(text)) for n, kind, detail, text in rows]


def settle(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Forget notices that are on their way as messages."""
    connection.executemany("DELETE FROM notice WHERE id = ?", [(notice_id,) for notice_id in ids])


def _ranges(text: str) -> tuple[SeqRange, ...]:
    return tuple(SeqRange(Channel(c), epoch, first, last) for c, epoch, first, last in json.loads(text))
