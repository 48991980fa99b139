"""What of a valve is kept across restarts; never believed over a switch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.model import Json, Position
from gateway.domain.valve import travel
from gateway.domain.valve.model import CONDITIONS, FAULTS, Valve, ValveState


@dataclass(frozen=True, slots=True)
class Memory:
    """The valve as the last process left it; the defaults stand for "nothing known"."""

    position: Position | None = None
    fault: str = ""
    testing: bool = False
    conditions: frozenset[str] = frozenset()
    closing: travel.Travel = field(default=travel.Travel())
    opening: travel.Travel = field(default=travel.Travel())


def key(valve_id: str) -> str:
    """Return the name under which a valve is remembered."""
    return f"valve/{valve_id}"


def is_same(one: Valve, other: Valve) -> bool:
    """Tell quickly that the same is to be remembered; False if that takes a closer look."""
    return (
        one.position is other.position
        and one.fault == other.fault
        and (one.state is ValveState.TESTING) is (other.state is ValveState.TESTING)
        and one.conditions is other.conditions
        and one.closing is other.closing
        and one.opening is other.opening
    )


def to_json(valve: Valve) -> Json:
    """Return what is to be remembered."""
    return {
        "position": valve.position.value if valve.position else None,
        "fault": valve.fault,
        "testing": valve.state is ValveState.TESTING,
        "conditions": [*sorted(valve.conditions)],
        "closing": travel.to_json(valve.closing),
        "opening": travel.to_json(valve.opening),
    }


def from_json(value: Json) -> Memory:
    """Read what `to_json` made; a part that makes no sense counts as not known."""
    if not isinstance(value, Mapping):
        return Memory()
    position, fault, conditions = value.get("position"), value.get("fault"), value.get("conditions")
    return Memory(
        position=next((end for end in Position if end.value == position), None),
        fault=fault if isinstance(fault, str) and fault in FAULTS else "",
        testing=value.get("testing") is True,
        conditions=frozenset(kind for kind in CONDITIONS if kind in conditions)
        if isinstance(conditions, list)
        else frozenset(),
        closing=travel.from_json(value.get("closing")),
        opening=travel.from_json(value.get("opening")),
    )
