"""Maintenance windows: parts of each day, local time."""

from gateway.domain.update.order import Window

_DAY_MIN = 1440


def opens_in_min(window: Window | None, minute: int) -> int:
    """Return in how many minutes it opens; 0 while it is open, and always without one.

    Args:
        window: From its first minute, up to but without its last one; a whole day ("00:00-24:00") is always.
        minute: Of the day now, local time.
    """
    if window is None:
        return 0
    long_min = (window.until_min - window.from_min) % _DAY_MIN or _DAY_MIN
    if (minute - window.from_min) % _DAY_MIN < long_min:
        return 0
    return (window.from_min - minute) % _DAY_MIN


def shown(window: Window) -> str:
    """Return it as it is configured, e.g. "02:00-04:00"."""
    return "-".join(f"{at // 60:02}:{at % 60:02}" for at in (window.from_min, window.until_min))
