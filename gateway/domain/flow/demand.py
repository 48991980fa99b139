"""What flow means for the valves; who may refuse it is decided elsewhere (authority/protection.py)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from gateway.domain.demand import Demand


class Seen(StrEnum):
    """What a meter shows of a closed valve."""

    STOPPED = "stopped"
    QUIET = "quiet"
    """No water runs, but another valve of the meter is closed, too: nobody knows which of them holds."""
    PASSING = "passing"
    STILL_PASSING = "still_passing"
    """As before; it is time to drive the valve closed once more."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a meter shows of one of its valves."""

    meter_id: str
    valve_id: str
    seen: Seen


FlowDemand: TypeAlias = Demand | Finding
