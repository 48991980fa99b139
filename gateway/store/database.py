"""The SQLite file: how it is opened, what is in it, and what becomes of an unreadable one.

WAL with synchronous FULL: a commit that returned survives a power cut. Locked for this process alone, which
also spares the shared-memory file. Pages of 1 KiB: a lone alarm then writes 7 to 8 kB to flash, not 14.
"""

import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path

from gateway.errors import StoreError

PAGE_BYTES = 1024
CHECKPOINT_BYTES = 1024 * 1024
"""The WAL goes into the file at about this size, when the thread has nothing better to do."""

_APPLICATION_ID = 0x72656564
_SCHEMA_VERSION = 1
_BUSY_S = 0.5
_CACHE_KIB = 512
_KEEP_SET_ASIDE = 4
_DAMAGE_WORDS = ("no such table", "no such column", "Could not decode")
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE epoch (run INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, boot_id TEXT NOT NULL,
    through INTEGER NOT NULL, settled INTEGER NOT NULL);
CREATE TABLE message (key INTEGER PRIMARY KEY, crc INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE aside (id INTEGER PRIMARY KEY, key INTEGER NOT NULL, problem TEXT NOT NULL,
    payload BLOB NOT NULL);
CREATE TABLE notice (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, detail TEXT NOT NULL, ranges TEXT NOT NULL);
CREATE TABLE journal (n INTEGER PRIMARY KEY, body TEXT NOT NULL, hash BLOB NOT NULL);
CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE claim (command_id TEXT PRIMARY KEY, not_after_unix_s REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX claim_by_date ON claim (not_after_unix_s);
CREATE TABLE mark (name TEXT PRIMARY KEY, number REAL NOT NULL, hash BLOB) WITHOUT ROWID;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the file.

    Raises:
        StoreError: The content is of no use: damaged, or not written by this version.
        sqlite3.Error, OSError: The disk refuses: no folder, space or permission, or another process has it.
    """
    # SQLite takes a stub of a file for a new one; a new one is empty.
    if path.is_file() and 0 < path.stat().st_size < PAGE_BYTES:
        raise StoreError(f"{path} is damaged (cut off)")
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        if is_damage(error):
            raise StoreError(f"{path} is damaged ({error})") from error
        raise
    except StoreError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # A safety net only: the store checkpoints when it is idle, not in the middle of an alarm's commit.
    connection.execute(f"PRAGMA wal_autocheckpoint = {4 * CHECKPOINT_BYTES // PAGE_BYTES}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if version == 0 and tables == 0:
        stamp = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_SCHEMA_VERSION};"
        connection.executescript(f"{_SCHEMA}{stamp}COMMIT;")
        _sync_folder(path)
    elif version != _SCHEMA_VERSION:
        raise StoreError(f"{path} has schema version {version}, this program knows {_SCHEMA_VERSION}")


def is_damage(error: BaseException) -> bool:
    """Tell content that cannot be read (set the file aside) from a disk that refuses (try again)."""
    if isinstance(error, sqlite3.OperationalError) and str(error).startswith(_DAMAGE_WORDS):
        return True
    return isinstance(error, StoreError) or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGE


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return what the content takes, without the pages that wait for reuse."""
    query = "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count"
    pages: int = connection.execute(query).fetchone()[0]
    return pages * PAGE_BYTES


def set_aside(path: Path) -> Path:
    """Rename the file and its WAL to the next free `<name>.corrupt-<n>`; the last four are kept.

    Raises OSError.
    """
    numbers = sorted(_numbers(path))
    aside = path.with_name(f"{path.name}.corrupt-{numbers[-1] + 1 if numbers else 1}")
    for old in numbers[: max(0, len(numbers) + 1 - _KEEP_SET_ASIDE)]:
        for suffix in ("", "-wal"):
            with suppress(OSError):
                path.with_name(f"{path.name}.corrupt-{old}{suffix}").unlink()
    path.rename(aside)
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").rename(f"{aside}-wal")
    _sync_folder(path)
    return aside


def _numbers(path: Path) -> list[int]:
    pattern = re.compile(re.escape(path.name) + r"\.corrupt-(\d{1,9})")
    return [int(match[1]) for file in path.parent.iterdir() if (match := pattern.fullmatch(file.name))]


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
