"""How flow and times are put into words."""

_IN_SECONDS_S = 120.0
_IN_MINUTES_S = 7200.0


def duration(seconds: float) -> str:
    """Return a time as a person says it: "90 s", "30 min", "2.5 h"."""
    if seconds < _IN_SECONDS_S:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < _IN_MINUTES_S else f"{seconds / 3600:.3g} h"
