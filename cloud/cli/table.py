"""Words and columns for people: tables, moments, lengths of time."""

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime

_UNIT_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST_DAYS = 366.0


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns, two spaces apart, without trailing blanks."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def when(moment: datetime | None) -> str:
    """Return a moment to the minute: "2026-11-23 04:11 UTC"; "-" for none."""
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def distance(moment: datetime, now: datetime) -> str:
    """Return how far away a moment is: "in 29 d", "2 h ago"."""
    length_s = (moment - now).total_seconds()
    return f"in {duration(length_s)}" if length_s >= 0 else f"{duration(-length_s)} ago"


def duration(length_s: float) -> str:
    """Return a length of time in its biggest unit: "29 d", "3 h", "12 min", "4 s"."""
    for unit, size_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if length_s >= size_s:
            return f"{length_s // size_s:.0f} {unit}"
    return f"{length_s:.0f} s"


def seconds(text: str) -> float:
    """Read a length of time for argparse: "90", "90s", "15m", "2h", "1d"."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNIT_S:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no length of time; write 90s, 15m, 2h or 1d")
    length_s = float(found[1]) * _UNIT_S[found[2]]
    if length_s > _LONGEST_DAYS * _UNIT_S["d"]:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is too long; at most {_LONGEST_DAYS:g}d")
    return length_s
