"""Parts of a week as people write them: "Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00".

Days as a range or a list, then the time of day from when to when; a night ends on the next day.
"""

import re
from collections.abc import Iterable, Iterator

from gateway.domain.site import Period

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLE = 'write it as "Mon-Fri 22:00-06:00" or "Sat,Sun 00:00-24:00"'

_HOUR_MIN = 60
_DAY_MIN = 24 * _HOUR_MIN
_WEEK_MIN = len(DAYS) * _DAY_MIN
_FORM = re.compile(r"([A-Za-z,-]+) +(\d{1,2}):(\d\d) ?- ?(\d{1,2}):(\d\d)")


def parse(text: str) -> tuple[Period, ...]:
    """Return one period for each day that the text names. Raises ValueError with what to write instead."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(EXAMPLE)
    days = dict.fromkeys(day for part in found[1].split(",") for day in _days(part))
    start_min, end_min = _minutes(found[2], found[3]), _minutes(found[4], found[5])
    if start_min in (_DAY_MIN, end_min):
        raise ValueError("ends where it begins; a whole day is 00:00-24:00")
    end_min += _DAY_MIN * (end_min < start_min)
    return tuple(
        Period(start_min=day * _DAY_MIN + start_min, end_min=(day * _DAY_MIN + end_min) % _WEEK_MIN)
        for day in days
    )


def shown(periods: Iterable[Period]) -> str:
    """Return periods as a person writes them, days with the same times together; "always" for none."""
    days_of: dict[tuple[int, int], list[int]] = {}
    for period in periods:
        day, start_min = divmod(period.start_min, _DAY_MIN)
        length_min = (period.end_min - period.start_min) % _WEEK_MIN
        days_of.setdefault((start_min, length_min), []).append(day)
    parts = [
        f"{_ranges(days)} {_clock(start_min)}-{_clock(start_min + length_min)}"
        for (start_min, length_min), days in days_of.items()
    ]
    return ", ".join(parts) or "always"


def _days(part: str) -> Iterator[int]:
    names = part.split("-")
    try:
        first, last = (DAYS.index(name.capitalize()) for name in (names[0], names[-1]))
    except ValueError:
        raise ValueError(f'"{part}" is no day of the week; {EXAMPLE}') from None
    if len(names) > 2:  # noqa: PLR2004  # a range has two ends
        raise ValueError(f'"{part}" is no range of days; {EXAMPLE}')
    # "Sat-Mon" goes over the end of the week
    return ((first + step) % len(DAYS) for step in range((last - first) % len(DAYS) + 1))


def _minutes(hours: str, minutes: str) -> int:
    total = int(hours) * _HOUR_MIN + int(minutes)
    if int(minutes) >= _HOUR_MIN or total > _DAY_MIN:
        raise ValueError(f'"{hours}:{minutes}" is no time of day; give 00:00 to 24:00')
    return total


def _ranges(days: list[int]) -> str:
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAYS[run[0]] + (f"-{DAYS[run[-1]]}" if len(run) > 1 else "") for run in runs)


def _clock(minute: int) -> str:
    minute -= _DAY_MIN * (minute > _DAY_MIN)
    return f"{minute // _HOUR_MIN:02}:{minute % _HOUR_MIN:02}"
