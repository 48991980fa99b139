"""Water use by the local hour and day.

Each litre is in exactly one hour and exactly one day. A period is told when it is over, in one piece or, if
the clock was set, not trusted or the gateway was away, in several with the time that each of them covers.
While the clock is not trusted, periods are as long as an hour or a day and have no begin.

What was counted before the first word of the clock waits for it, and so does what was remembered over a
restart: if that belongs to the present period, it goes on.
"""

from dataclasses import dataclass

from gateway.domain.evolve import replace
from gateway.domain.flow.setting import Clock
from gateway.domain.model import Json

_HOUR_S = 3600.0
_DAY_S = 86_400.0
_ON_TIME_S = 61.0
"""The clock is told each minute: a period that is noticed within this began on time."""

_LONGEST_DAY_S = 26 * _HOUR_S
"""A day of 25 hours, at the end of summer time, and some more."""


@dataclass(frozen=True)
class Part:
    """What was counted in one period so far.

    Args:
        slot: Which hour or day; None if the clock was not trusted.
        start_unix_s: When counting began; None likewise.
        lasted_s: Time that it covers, without `begun_s` until now.
        begun_s: When the gateway began to count for it since its start, monotonic seconds.
        is_named: The clock has said which period this is.
    """

    begun_s: float
    slot: int | None = None
    start_unix_s: float | None = None
    lasted_s: float = 0.0
    pulses: int = 0
    litres: float = 0.0
    is_named: bool = False

    def covers_s(self, now_s: float) -> float:
        """Return the time that it covers."""
        return self.lasted_s + (now_s - self.begun_s)


@dataclass(frozen=True)
class Usage:
    """The use in the present period.

    Args:
        period: "hour" or "day".
        former: What was remembered over the restart, until the clock says where it belongs.
    """

    period: str
    part: Part
    former: Part | None = None


def new(period: str, now_s: float) -> Usage:
    """Return the use of a period ("hour" or "day") of which nothing is known."""
    return Usage(period, Part(now_s))


def counted(usage: Usage, pulses: int, litres: float) -> Usage:
    """Count water, after `advance` has made sure that the period is the present one."""
    part = replace(usage.part, pulses=usage.part.pulses + pulses, litres=usage.part.litres + litres)
    return replace(usage, part=part)


def advance(usage: Usage, clock: Clock, now_s: float) -> tuple[Usage, list[dict[str, Json]]]:
    """Look at the clock; return what is over, in the form in which it is told."""
    if clock.told is None:
        return usage, []
    slot, start_unix_s = _now(usage.period, clock, now_s)
    over: list[dict[str, Json]] = []
    part = usage.part
    if not part.is_named:
        unix_s = None if slot is None else clock.unix_s(now_s) - part.covers_s(now_s)
        part = replace(part, slot=slot, start_unix_s=unix_s, is_named=True)
    elif not _goes_on(usage.period, part, slot, clock, now_s):
        over += _told(usage.period, part, now_s)
        part = Part(now_s, slot, start_unix_s, is_named=True)
    former = usage.former
    if former is not None and slot is not None and _is_same(former, slot, clock.unix_s(now_s)):
        part = _joined(former, part)
    elif former is not None:
        # what it covers while it waited is covered by the present part
        over += _told(usage.period, replace(former, begun_s=now_s), now_s)
    return replace(usage, part=part, former=None), over


def recall(usage: Usage, memory: Json, now_s: float) -> Usage:
    """Take over what was remembered; what cannot be understood is not there."""
    match memory:
        case {
            "slot": int() | None as slot,
            "start_unix_s": int() | float() | None as start_unix_s,
            "lasted_s": int() | float() as lasted_s,
            "pulses": int() as pulses,
            "litres": int() | float() as litres,
        }:
            return replace(usage, former=Part(now_s, slot, start_unix_s, lasted_s, pulses, litres, True))
        case _:
            return usage


def memory(usage: Usage, now_s: float) -> Json:
    """Return what survives a restart; before the first word of the clock all water is of one period."""
    part = usage.part if usage.former is None else _joined(usage.former, usage.part)
    return {
        "slot": part.slot,
        "start_unix_s": part.start_unix_s,
        "lasted_s": round(part.covers_s(now_s), 1),
        "pulses": part.pulses,
        "litres": part.litres,
    }


def litres(usage: Usage) -> float:
    """Return what was used in this period so far."""
    return usage.part.litres + (0.0 if usage.former is None else usage.former.litres)


# --- inside -------------------------------------------------------------------------------------------


def _length_s(period: str) -> float:
    return _HOUR_S if period == "hour" else _DAY_S


def _now(period: str, clock: Clock, now_s: float) -> tuple[int | None, float | None]:
    """Return the present period and its begin, if counting begins now; None, None without a clock."""
    if not clock.is_trusted(now_s):
        return None, None
    unix_s, week_s = clock.unix_s(now_s), clock.week_s(now_s)
    since_s = week_s % _length_s(period)
    start_unix_s = float(round(unix_s - since_s)) if since_s <= _ON_TIME_S else unix_s
    # an hour is named by its begin; a day by its place in the week, since the clock is set in some of them
    slot = round((unix_s - since_s) / 60.0) if period == "hour" else int(week_s // _DAY_S)
    return slot, start_unix_s


def _goes_on(period: str, part: Part, slot: int | None, clock: Clock, now_s: float) -> bool:
    if slot is None or part.slot != slot or part.start_unix_s is None:
        return part.slot is slot is None and part.covers_s(now_s) < _length_s(period)
    # a clock that is set by weeks finds the same day of the week
    return abs(clock.unix_s(now_s) - part.start_unix_s) < _LONGEST_DAY_S


def _is_same(former: Part, slot: int, unix_s: float) -> bool:
    if former.slot != slot or former.start_unix_s is None:
        return False
    return 0.0 <= unix_s - former.start_unix_s < _LONGEST_DAY_S


def _joined(former: Part, part: Part) -> Part:
    return replace(
        former,
        begun_s=part.begun_s,
        lasted_s=former.lasted_s + part.lasted_s,
        pulses=former.pulses + part.pulses,
        litres=former.litres + part.litres,
    )


def _told(period: str, part: Part, now_s: float) -> list[dict[str, Json]]:
    if part.slot is None and not part.pulses:
        return []
    return [
        {
            "period": period,
            "start_unix_s": part.start_unix_s,
            "duration_s": round(part.covers_s(now_s), 1),
            "pulses": part.pulses,
            "litres": round(part.litres, 3),
            "time_trusted": part.slot is not None,
        }
    ]
