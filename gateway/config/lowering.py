"""How one key of a configuration may change without a person at the building: each judge says why not, or "".

Bounds are absolute, or what holds already if that is more: many small steps lead no further than one.
"""

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

from gateway.config.table import shown
from gateway.domain.site import Period

# Any: the values of one key before and after, of whatever type the key has.
Value: TypeAlias = Any
Judge: TypeAlias = Callable[[Value, Value], str]

_WEEK_MIN = 7 * 24 * 60


def fixed(why: str) -> Judge:
    """It stays as it is; the values are not shown, as some are secret."""

    def judge(old: Value, new: Value) -> str:
        return "" if old == new else f"changed; {why}"

    return judge


def kept(why: str) -> Judge:
    """What was not there may come; what is there stays."""

    def judge(old: Value, new: Value) -> str:
        if old is None or old == new:
            return ""
        return f"{'removed' if new is None else 'changed'}; {why}"

    return judge


def at_most(bound: float) -> Judge:
    """A number may rise up to the bound; without one (None, "off") is beyond any bound."""

    def judge(old: Value, new: Value) -> str:
        if old is None or old == new:
            return ""
        if new is None:
            return f"switched off; it was {_number(old)}"
        most = max(old, bound)
        return f"raised from {_number(old)} to {_number(new)}; at most {_number(most)}" if new > most else ""

    return judge


def at_least(bound: float) -> Judge:
    """A number may fall down to the bound; without one (None, "off") is below any bound."""

    def judge(old: Value, new: Value) -> str:
        if old is None or old == new:
            return ""
        if new is None:
            return f"switched off; it was {_number(old)}"
        least = min(old, bound)
        return (
            f"lowered from {_number(old)} to {_number(new)}; at least {_number(least)}" if new < least else ""
        )

    return judge


def within(least: float, most: float) -> Judge:
    """A number may move between both bounds: the other end floods with alarms, wears out or locks out.

    What one key has switched off (None) may come with any value between them.
    """
    falls, rises = at_least(least), at_most(most)

    def judge(old: Value, new: Value) -> str:
        if old is None and new is not None:
            old = least
        return falls(old, new) or rises(old, new)

    return judge


def no_more(old: Value, new: Value) -> str:
    """A number does not rise."""
    return f"raised from {_number(old)} to {_number(new)}" if new > old else ""


def quorum(old: Value, new: Value) -> str:
    """One sensor alone may come to be enough; everything else asks for more in some case.

    With 3 of 3 and one in trouble a single one is enough; with 2 of 3 it is not.
    """
    if new in (old, 1):
        return ""
    return no_more(old, new) or f"lowered from {old} to {new}; with a sensor in trouble it asks for more"


def no_longer(most_chars: int) -> Judge:
    """A name may change, but not grow beyond a line: it is part of every snapshot."""

    def judge(old: Value, new: Value) -> str:
        is_long = old != new and len(new) > most_chars
        return f"has {len(new)} characters; at most {most_chars}" if is_long else ""

    return judge


def no_less_often(shortest_s: float, longest_s: float) -> Judge:
    """A pause, None for never: neither never, nor longer than the one bound, nor shorter than the other."""
    rarely, often = at_most(longest_s), at_least(shortest_s)

    def judge(old: Value, new: Value) -> str:
        return rarely(old, new) or (often(shortest_s if old is None else old, new) if new is not None else "")

    return judge


def no_slower(least: float) -> Judge:
    """A rate, 0 for no limit, may fall down to the bound."""
    bounded = at_least(least)

    def judge(old: Value, new: Value) -> str:
        return bounded(old or math.inf, new or math.inf)

    return judge


def stays_on(old: Value, new: Value) -> str:
    """What is on stays on."""
    return "switched off" if old and not new else ""


def stays_off(old: Value, new: Value) -> str:
    """What is off stays off."""
    return "switched on" if new and not old else ""


def no_weaker(*strongest_first: str) -> Judge:
    """A word may only be replaced by a stronger one."""

    def judge(old: Value, new: Value) -> str:
        if strongest_first.index(new) <= strongest_first.index(old):
            return ""
        return f'"{new}" instead of "{old}"'

    return judge


def all_of(old: Collection[str], new: Collection[str]) -> str:
    """None of the names goes."""
    gone = sorted(str(name) for name in set(old) - set(new))
    return f"without {', '.join(gone)}" if gone else ""


def none_but(old: Collection[str], new: Collection[str]) -> str:
    """No name comes."""
    more = sorted(str(name) for name in set(new) - set(old))
    return f"with {', '.join(more)}, which was not allowed" if more else ""


def all_the_time(old: Iterable[Period], new: Iterable[Period]) -> str:
    """Every minute of the week that was covered still is; no period at all is the whole week."""
    lost = _covered(old) - _covered(new)
    return f"{len(lost)} minutes of the week are no longer covered" if lost else ""


def _covered(periods: Iterable[Period]) -> set[int]:
    spans = [*periods]
    if not spans:
        return set(range(_WEEK_MIN))
    return {
        (span.start_min + minute) % _WEEK_MIN
        for span in spans
        for minute in range((span.end_min - span.start_min) % _WEEK_MIN or _WEEK_MIN)
    }


def _number(value: Value) -> str:
    return f"{value:g}" if isinstance(value, int | float) else shown(value)
