"""Which database: SQLite in the home, or PostgreSQL by its URL."""

from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from cloud.errors import SetupError
from cloud.home import Home

Settings: TypeAlias = dict[str, Any]  # Any: Django's own mixture of strings, numbers and tables

_BUSY_S = 20
_CONNECT_S = 10
_PATIENCE = f"-c lock_timeout={_BUSY_S}s -c idle_in_transaction_session_timeout=60s"
"""Of PostgreSQL: a process that stopped in the middle of a decision must not keep all others waiting."""


def settings(url: str, home: Home) -> Settings:
    """Return Django's settings of the database.

    Raises:
        SetupError: The URL is none of PostgreSQL.
    """
    return _postgresql(url) if url else _sqlite(home)


def _sqlite(home: Home) -> Settings:
    """Return a database whose writers queue up from their first statement, and whose commits are on disk."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(home.database_file),
        "OPTIONS": {
            "timeout": _BUSY_S,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
        },
    }


def _postgresql(url: str) -> Settings:
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise SetupError(f"database.url: {error}") from None
    query = parse_qs(split.query)
    name = unquote(split.path.lstrip("/"))
    if split.scheme not in ("postgresql", "postgres") or not name or set(query) - {"host", "sslmode"}:
        raise SetupError('database.url: give "postgresql://USER:PASSWORD@HOST:PORT/NAME"')
    options: dict[str, str | int] = {"connect_timeout": _CONNECT_S, "options": _PATIENCE}
    if "sslmode" in query:
        options["sslmode"] = query["sslmode"][0]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(split.username or ""),
        "PASSWORD": unquote(split.password or ""),
        "HOST": query.get("host", [split.hostname or ""])[0],
        "PORT": str(port or ""),
        "OPTIONS": options,
    }
