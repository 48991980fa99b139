"""What the core wants to know after a restart: key to JSON, each with a checksum."""

import json
import sqlite3
import zlib
from collections.abc import Mapping

from gateway.domain.model import Json
from gateway.errors import StoreError


def load(connection: sqlite3.Connection) -> dict[str, str]:
    """Return all values as JSON text.

    Raises StoreError if one is damaged; then none is trusted: a latch that is missing looks like one reset.
    """
    values = {}
    for key, text, crc in connection.execute("SELECT key, value, crc FROM memory"):
        if not isinstance(key, str) or not isinstance(text, str) or _checksum(key, text) != crc:
            raise StoreError(f"memory: the value of {key!r} is damaged")
        values[key] = text
    return values


def parse(values: Mapping[str, str]) -> dict[str, Json]:
    """Return the values themselves."""
    return {key: json.loads(text) for key, text in values.items()}


def save(connection: sqlite3.Connection, changes: Mapping[str, str | None]) -> None:
    """Write values; None forgets one."""
    for key, text in changes.items():
        if text is None:
            connection.execute("DELETE FROM memory WHERE key = ?", (key,))
        else:
            row = (key, text, _checksum(key, text))
            connection.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", row)


def _checksum(key: str, text: str) -> int:
    return zlib.crc32(f"{key}\0{text}".encode(errors="surrogatepass"))
