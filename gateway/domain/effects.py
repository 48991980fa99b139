"""What the parts of the domain tell the core: commands, and conditions for the alarm table."""

from dataclasses import dataclass
from typing import TypeAlias

from gateway.domain.commands import Command
from gateway.domain.model import Actor, SignalClass


@dataclass(frozen=True, slots=True)
class Why:
    """Who causes an actuation, for what reason; `correlation_id` ties its records together."""

    actor: Actor
    cause: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Raise:
    """A condition is present.

    Args:
        kind: e.g. "leak".
        subject: e.g. "zone/plant-room".
        latched: It stays in alarm until a person resets it.
        places: For a leak at ropes: each sensor with the distance of the water, metres; also in `detail`.
    """

    kind: str
    subject: str
    cls: SignalClass
    detail: str = ""
    latched: bool = False
    correlation_id: str = ""
    places: tuple[tuple[str, float], ...] = ()

    @property
    def alarm_id(self) -> str:
        """The alarm that this condition belongs to."""
        return f"{self.kind}/{self.subject}"


@dataclass(frozen=True, slots=True)
class Clear:
    """A condition is gone (a latched alarm stays)."""

    kind: str
    subject: str

    @property
    def alarm_id(self) -> str:
        """The alarm that this condition belongs to."""
        return f"{self.kind}/{self.subject}"


Effect: TypeAlias = Command | Raise | Clear
