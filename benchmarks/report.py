"""Rows of the table that `make bench` prints."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Args:
        name: What was measured.
        value: The figure that the target speaks of.
        unit: "x" for a ratio within this run.
        target: In words, e.g. "<= 3"; "" if it is only reported.
        holds: The target is met; None if there is none.
        detail: The absolute figures behind it, and the cause of a miss.
    """

    name: str
    value: float
    unit: str
    target: str = ""
    holds: bool | None = None
    detail: str = ""


def at_most(name: str, value: float, limit: float, unit: str = "x", detail: str = "") -> Row:
    """Return a row whose value should not exceed the limit."""
    return Row(name, value, unit, f"<= {limit:g}", value <= limit, detail)


def at_least(name: str, value: float, limit: float, unit: str = "x", detail: str = "") -> Row:
    """Return a row whose value should reach the limit."""
    return Row(name, value, unit, f">= {limit:g}", value >= limit, detail)


def show(rows: Iterable[Row]) -> None:
    """Print the rows as a table."""
    marks = {True: "ok  ", False: "MISS", None: "    "}
    for row in rows:
        figure = f"{row.value:,.2f} {row.unit}"
        print(f"{marks[row.holds]} {row.name:<52} {figure:>16} {row.target:>9}  {row.detail}", flush=True)
