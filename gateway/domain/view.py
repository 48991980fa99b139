"""The whole site in one JSON-able value, for status, live view and the snapshot message."""

from collections.abc import Mapping, Sequence

from gateway.domain.commands import Indicate
from gateway.domain.model import Json, SignalClass

_WORST_FIRST = (SignalClass.ALARM, SignalClass.SUPERVISORY, SignalClass.TROUBLE)


def site_view(
    parts: Mapping[str, Json], alarms: Sequence[dict[str, Json]], shown: Indicate
) -> dict[str, Json]:
    """Put the parts together; `state` is the worst signal class that is not normal, or "normal"."""
    present = {alarm["class"] for alarm in alarms if alarm["shelved_for_s"] is None}
    state = next((cls.value for cls in _WORST_FIRST if cls.value in present), "normal")
    return {
        "state": state,
        **parts,
        "alarms": list(alarms),
        "indicator": {"led": shown.led.value, "sounder": shown.sounder.value},
    }
