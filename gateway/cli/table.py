"""Words and columns for people: tables, lengths of time, yes and no."""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

_UNIT_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}

_LONGEST_DAYS = 366.0
"""The gateway takes no longer ones, and no operating system can wait for ever."""

_LITRES_TO_READ = 10_000
"""More than this is easier to read in cubic metres, as a meter shows it."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns, two spaces apart, without trailing blanks."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def duration(length_s: float | None) -> str:
    """Return a length of time in its two biggest units: "3 d 4 h", "2 min 5 s", "0.4 s"."""
    if length_s is None:
        return "-"
    if length_s < 10:  # noqa: PLR2004  # below this, tenths matter to a reader
        return f"{length_s:.1f} s"
    left, parts = round(length_s), []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def brief(length_s: float) -> str:
    """Return a length of time in its biggest unit: "3 d", "59 min"."""
    return " ".join(duration(length_s).split()[:2])


def seconds(text: str) -> float:
    """Read a length of time for argparse: "90", "90s", "15m", "2h", "1d"."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNIT_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time; write 90s, 15m, 2h or 1d")
    length_s = float(found[1]) * _UNIT_S[found[2]]
    if length_s > _LONGEST_DAYS * _UNIT_S["d"]:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is too long; at most {_LONGEST_DAYS:g}d")
    return length_s


def amount(litres: float) -> str:
    """Return a volume: "0.5 l", "210 l", "4810.36 m³"."""
    if litres < _LITRES_TO_READ:
        return f"{round(litres, 1):g} l"
    return f"{litres / 1000:.2f} m³"


def flow(meter: Mapping[str, Any]) -> str:
    """Return the flow through a meter, with what its pulses leave open: "12 l/min (10 to 14.4)"."""
    at_most = meter["at_most_l_per_min"]
    match meter["state"]:
        case "flowing":
            upper = "more" if at_most is None else f"{at_most:.3g}"
            return f"{meter['l_per_min']:.3g} l/min ({meter['at_least_l_per_min']:.3g} to {upper})"
        case "none":
            return "none" if at_most is None else f"none (at most {at_most:.2g} l/min)"
        case state:
            return str(state)


def wetness(wet: bool | None) -> str:
    """Return what a sensor says, in a word."""
    return {True: "WET", False: "dry", None: "?"}[wet]


def place(distance_m: float | None) -> str:
    """Return where along a rope the water is, to be put behind "wet"; "" if nobody knows."""
    return "" if distance_m is None else f" at {round(distance_m, 1):g} m"


def valve_state(valve: dict[str, object]) -> str:
    """Return the state of a valve, and how a closed one is known to be closed."""
    state = str(valve["state"]).replace("_", " ")
    return f"{state} ({closure(valve)})" if valve.get("closure") else state


def closure(valve: Mapping[str, Any]) -> str:
    """Return how a closed valve is known to be closed, or that it is not; "" if it is not to be closed."""
    if valve["closure"] == "passing":
        return "PASSING WATER"
    by_flow = valve["closure"] == "confirmed" and valve["closure_by"] == "flow"
    return "confirmed by flow" if by_flow else str(valve["closure"] or "")


def override(valve: dict[str, object]) -> str:
    """Return who holds the valve, in words, or ""."""
    match valve.get("override"):
        case {"position": position, "mode": mode, "remaining_s": remaining_s}:
            left = f", {duration(remaining_s)} left" if isinstance(remaining_s, (int, float)) else ""
            return f"{mode} {position}{left}"
        case _:
            return ""


def alarm_state(alarm: dict[str, object]) -> str:
    """Return the life-cycle state of an alarm with what qualifies it."""
    marks = [str(alarm["state"]).replace("_", ", ")]
    marks += ["latched"] if alarm["latched"] else []
    shelved_for_s = alarm["shelved_for_s"]
    if isinstance(shelved_for_s, (int, float)):
        marks.append(f"shelved for {duration(shelved_for_s)}")
    return ", ".join(marks)
