"""Which commands were taken: at most once, across restarts, whatever the clock does.

The number of ids is bounded. Those with the earliest `not_after` leave first, and the latest date that left
is kept as a floor: a command from before it is refused, as its id may be one that left. No clock takes part.
"""

import sqlite3


def claim(connection: sqlite3.Connection, command_id: str, not_after_unix_s: float, keep: int) -> bool:
    """Return True the first time. Inside a transaction; on disk when that commits."""
    if not not_after_unix_s > _floor(connection):
        return False
    row = (command_id, not_after_unix_s)
    taken = connection.execute("INSERT OR IGNORE INTO claim VALUES (?, ?)", row).rowcount == 1
    if taken:
        _prune(connection, keep)
    return taken


def _floor(connection: sqlite3.Connection) -> float:
    row = connection.execute("SELECT number FROM mark WHERE name = 'claims'").fetchone()
    return float(row[0]) if row else float("-inf")


def _prune(connection: sqlite3.Connection, keep: int) -> None:
    held = connection.execute("SELECT count(*) FROM claim").fetchone()[0]
    if held <= keep:
        return
    query = "SELECT not_after_unix_s FROM claim ORDER BY not_after_unix_s LIMIT 1 OFFSET ?"
    floor = connection.execute(query, (max(0, held - keep - 1) + keep // 16,)).fetchone()
    if floor is None:
        return
    connection.execute("INSERT OR REPLACE INTO mark VALUES ('claims', ?, NULL)", floor)
    connection.execute("DELETE FROM claim WHERE not_after_unix_s <= ?", floor)
