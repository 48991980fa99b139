"""What decides which flow rules count: how the building is used, and the local time."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.domain.events import TimeTold
from gateway.domain.model import Occupancy
from gateway.domain.site import Action, FlowRuleSpec, MeterSpec, Period

WEEK_MIN = 7 * 24 * 60
STALE_S = 180.0
"""The time is told each minute; one that is older than this is not believed any more."""


class Clock(NamedTuple):
    """The wall clock as it was told last, and when that was in monotonic seconds."""

    told: TimeTold | None = None
    at_s: float = 0.0

    def is_trusted(self, now_s: float) -> bool:
        """Tell whether the local time is known."""
        return self.told is not None and self.told.trusted and now_s - self.at_s <= STALE_S

    def unix_s(self, now_s: float) -> float:
        """Return Unix seconds as they are now; 0 if nobody has told them."""
        return 0.0 if self.told is None else self.told.unix_s + (now_s - self.at_s)

    def week_s(self, now_s: float) -> float:
        """Return seconds since Monday 00:00 local time, as they are now."""
        if self.told is None:
            return 0.0
        told_s = self.told.minute_of_week * 60.0 + self.told.unix_s % 60.0
        return (told_s + (now_s - self.at_s)) % (WEEK_MIN * 60.0)


@dataclass(frozen=True)
class Setting:
    """How things stand for the rules. `minute_of_week` is None while the clock is not trusted."""

    mode: Occupancy
    minute_of_week: int | None


def counts(rule: FlowRuleSpec, setting: Setting) -> bool:
    """Tell whether the rule counts now. Without a trusted clock all of its periods might be now."""
    # maintenance silences nothing: what counts while people are in the building counts then, too
    modes = rule.modes
    if setting.mode not in modes and not (
        setting.mode is Occupancy.MAINTENANCE and Occupancy.OCCUPIED in modes
    ):
        return False
    minute = setting.minute_of_week
    return not rule.periods or minute is None or any(_lies_in(minute, part) for part in rule.periods)


def why_not_closing(rule: FlowRuleSpec, meter: MeterSpec, setting: Setting) -> str:
    """Return why the rule would not close a valve now; "" if it would."""
    if rule.action is not Action.CLOSE:
        return "the rule only notifies"
    if not meter.valves:
        return "the meter has no valves"
    if setting.mode is Occupancy.MAINTENANCE:
        return "maintenance: rules only notify"
    if rule.periods and setting.minute_of_week is None:
        return "the clock is not trusted, so nobody knows whether the rule counts now"
    return ""


def _lies_in(minute: int, period: Period) -> bool:
    length_min = (period.end_min - period.start_min) % WEEK_MIN or WEEK_MIN
    return (minute - period.start_min) % WEEK_MIN < length_min
