"""What can still be read of a damaged file, for the new one. Everything else stays in the file set aside."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from gateway.store import epochs, messages
from gateway.store.messages import checksum, unpack

_CHUNK = 200


class Salvaged(NamedTuple):
    """How much came over."""

    messages: int = 0
    claims: int = 0


def salvage(damaged: Path, into: sqlite3.Connection) -> Salvaged:
    """Copy epochs, messages and claims whose bytes are sound; never raises for what is in the damaged file.

    Epochs that `into` has already count as sound.

    Raises sqlite3.Error if the new file refuses.
    """
    try:
        source = sqlite3.connect(damaged, isolation_level=None)
    except sqlite3.Error:
        return Salvaged()
    with closing(source):
        runs = _epochs(source, into)
        moved = sum(_copy_messages(into, chunk) for chunk in _chunks(_messages(source, runs)))
        claims = sum(_copy_claims(into, chunk) for chunk in _chunks(_claims(source)))
    return Salvaged(moved, claims)


def _read(source: sqlite3.Connection, query: str, *args: object) -> Iterator[tuple[Any, ...]]:
    # Any: a damaged cell may hold any type; every reader checks.
    try:
        yield from source.execute(query, args)
    except (sqlite3.Error, UnicodeDecodeError, OverflowError):
        return


def _both_ways(source: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Read from the front until the damage, then from the back until the damage."""
    yield from _read(source, f"{query} ASC")
    yield from _read(source, f"{query} DESC")


def _epochs(source: sqlite3.Connection, into: sqlite3.Connection) -> set[int]:
    known = set(epochs.load(into))
    into.execute("BEGIN IMMEDIATE")
    for run, epoch, boot_id in _both_ways(source, "SELECT run, epoch, boot_id FROM epoch ORDER BY run"):
        if run not in known and isinstance(epoch, int) and isinstance(boot_id, str):
            epochs.add(into, run, epoch, boot_id, epochs.UNKNOWN)
            known.add(run)
    into.execute("COMMIT")
    return known


def _messages(source: sqlite3.Connection, runs: set[int]) -> Iterator[tuple[int, bytes]]:
    for key, crc, payload in _both_ways(source, "SELECT key, crc, payload FROM message ORDER BY key"):
        if isinstance(payload, bytes) and crc == checksum(key, payload) and _is_known(key, runs):
            yield key, payload


def _is_known(key: int, runs: set[int]) -> bool:
    try:
        return unpack(key).run in runs
    except ValueError:
        return False


def _claims(source: sqlite3.Connection) -> Iterator[tuple[str, float]]:
    for command_id, date in _both_ways(
        source, "SELECT command_id, not_after_unix_s FROM claim ORDER BY command_id"
    ):
        if isinstance(command_id, str) and isinstance(date, float):
            yield command_id, date


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _copy_messages(into: sqlite3.Connection, rows: list[tuple[int, bytes]]) -> int:
    into.execute("BEGIN IMMEDIATE")
    before = into.total_changes
    messages.insert(into, rows)
    into.execute("COMMIT")
    return into.total_changes - before


def _copy_claims(into: sqlite3.Connection, rows: list[tuple[str, float]]) -> int:
    into.execute("BEGIN IMMEDIATE")
    before = into.total_changes
    into.executemany("INSERT OR IGNORE INTO claim VALUES (?, ?)", rows)
    into.execute("COMMIT")
    return into.total_changes - before
