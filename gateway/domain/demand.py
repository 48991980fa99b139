"""What zones and flow rules want of the valves; who may refuse it is decided in authority/."""

from dataclasses import dataclass
from enum import StrEnum


class Turn(StrEnum):
    """How a demand for closed valves changed."""

    NEW = "new"
    STANDING = "standing"
    """It demanded before, and the water has just been seen to be still there."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Demand:
    """A zone or flow rule wants its valves closed, or no longer.

    Args:
        by: Id of the zone or rule.
        valves: Ids of the valves.
        turn: What is new about it.
        cause: Why, in words.
    """

    by: str
    valves: tuple[str, ...]
    turn: Turn
    cause: str = ""
