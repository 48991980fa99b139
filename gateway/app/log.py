"""The log: to systemd's journal with fields where stderr leads there, else as lines to stderr.

A line may carry `extra={"message_id": ..., "fields": {...}}`: what it is (app/message_ids.py), and whom it
is about. Who stands at a terminal sees the text only.
"""

import logging
import os
import sys
import time

from gateway.app import journald
from gateway.app.repeats import Repeats

_SYSLOG = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _Lines(logging.Formatter):
    """One line for an event, a traceback only for a bug."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__(
            "%(name)s: %(message)s" if journal else "%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not self._journal:
            return text
        return "\n".join(f"<{_priority(record)}>{line}" for line in text.splitlines())


class Journal(logging.Handler):
    """Sends lines with their fields.

    Args:
        sender: Takes them.
    """

    def __init__(self, sender: journald.Journald) -> None:
        super().__init__()
        self._sender = sender
        self._text = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line."""
        self._sender.send(fields_of(record, self._text.format(record)))

    def close(self) -> None:
        """Send nothing any more."""
        self._sender.close()
        super().close()


class Sparing(logging.Handler):
    """Hands lines on to another handler, but not the same ones for ever (app/repeats.py)."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on what is to be written now."""
        for line in self._repeats.take(record, time.monotonic()):
            self._target.handle(line)

    def close(self) -> None:
        """Tell of what was left out."""
        for line in self._repeats.rest():
            self._target.handle(line)
        self._target.close()
        super().close()


def set_up(*, verbose: bool = False) -> None:
    """Send all logs to where stderr leads."""
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, handlers=[Sparing(_target())])


def fields_of(record: logging.LogRecord, text: str) -> dict[str, str]:
    """Return the journal's fields of a line (systemd.journal-fields(7)); ours begin with REED_."""
    fields = {
        "MESSAGE": text,
        "PRIORITY": str(_priority(record)),
        "SYSLOG_IDENTIFIER": "reed-gateway",
        "LOGGER": record.name,
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        "CODE_FUNC": record.funcName,
    }
    if message_id := getattr(record, "message_id", ""):
        fields["MESSAGE_ID"] = message_id
    return fields | getattr(record, "fields", {})


def _target() -> logging.Handler:
    to_journal = journald.is_stderr()
    if to_journal and os.path.exists(journald.ADDRESS):  # noqa: PTH110  # pathlib only for this
        return Journal(journald.Journald(journald.ADDRESS))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(journal=to_journal))
    return handler


def _priority(record: logging.LogRecord) -> int:
    return _SYSLOG.get(record.levelno, 6)
