"""Keeps a line that comes over and over from filling the journal: a few of a kind, then how many there were.

Lines are of a kind when they come from the same place in the code and tell of the same thing.
"""

import logging
from dataclasses import dataclass

BURST = 10
"""Lines of a kind that are written in a window."""

WINDOW_S = 60.0

_MAX_KINDS = 256
"""More kinds than this are not told apart any more: the oldest begins anew."""


@dataclass(slots=True)
class _Window:
    began_s: float
    count: int = 0
    last: logging.LogRecord | None = None


class Repeats:
    """Decides which lines are written; the times are monotonic seconds."""

    def __init__(self) -> None:
        self._windows: dict[object, _Window] = {}

    def take(self, record: logging.LogRecord, now_s: float) -> list[logging.LogRecord]:
        """Return what to write now: sums of windows that are over, and this line unless it is too much."""
        lines = self._ended(now_s)
        window = self._window(_kind(record), now_s)
        window.count += 1
        if window.count <= BURST:
            return [*lines, record]
        window.last = record
        return lines

    def rest(self) -> list[logging.LogRecord]:
        """Return what has not been told so far, at the end."""
        return self._ended(float("inf"))

    def _window(self, kind: object, now_s: float) -> _Window:
        window = self._windows.get(kind)
        if window is None:
            if len(self._windows) >= _MAX_KINDS:
                del self._windows[next(iter(self._windows))]
            window = self._windows[kind] = _Window(now_s)
        return window

    def _ended(self, now_s: float) -> list[logging.LogRecord]:
        lines = []
        # they stand in the order in which they began
        while self._windows:
            kind, window = next(iter(self._windows.items()))
            if now_s < window.began_s + WINDOW_S:
                break
            del self._windows[kind]
            if window.last is not None:
                lines.append(_summary(window.last, window.count - BURST))
        return lines


def _kind(record: logging.LogRecord) -> object:
    subject = getattr(record, "subject", None)
    if subject is None and isinstance(record.args, tuple):
        # by custom the first argument says whose line it is; numbers differ from line to line
        subject = next((arg for arg in record.args[:1] if isinstance(arg, str)), "")
    return record.name, record.levelno, record.msg, subject


def _summary(last: logging.LogRecord, count: int) -> logging.LogRecord:
    """Return the last of the lines that were left out, with their number, as a line of the same kind."""
    line = logging.makeLogRecord(last.__dict__)
    line.msg = f"{count} more like this within {WINDOW_S:.0f} s; the last: {last.getMessage()}"
    line.args = ()
    return line
