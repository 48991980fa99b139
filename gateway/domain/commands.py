"""What to do about it, in the imperative: all that comes out of the core."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gateway.domain.model import Actor, Channel, Coil, Json, LedPattern, SounderPattern


@dataclass(frozen=True, slots=True)
class SetCoil:
    """Energise or release a coil, now. Always precedes every other command of its list."""

    valve_id: str
    coil: Coil
    energised: bool


@dataclass(frozen=True, slots=True)
class Record:
    """Append to the hash-chained journal: who did what to what, and why.

    Args:
        kind: e.g. "valve.intent", "valve.result", "alarm.reset", "override".
        subject: e.g. "valve/main", "alarm/leak/plant-room".
        correlation_id: Ties intent, result and messages of one cause together.
    """

    kind: str
    subject: str
    actor: Actor
    cause: str
    correlation_id: str
    detail: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the cloud; the store keeps it until it was received."""

    channel: Channel
    kind: str
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Remember:
    """Keep a value across restarts (None forgets it). `urgent`: on disk now, else with the next batch."""

    key: str
    value: Json
    urgent: bool = True


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """The state of a request: rejected, executing, succeeded or failed (docs/protocol.md)."""

    command_id: str
    state: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Indicate:
    """Show and sound this from now on."""

    led: LedPattern
    sounder: SounderPattern


Command: TypeAlias = SetCoil | Record | Publish | Remember | AnswerRequest | Indicate
