"""The words that events (events.py) and commands (commands.py) are made of.

Everything is frozen, so it can be logged, replayed and compared.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
"""What a message body, a remembered value or a view is made of."""


class SignalClass(StrEnum):
    """NFPA 72's three classes, always shown apart."""

    ALARM = "alarm"
    """Water, flow, or a valve that fails to close."""
    SUPERVISORY = "supervisory"
    """Protection impaired or off normal: override, lockout, shelved, moved by hand."""
    TROUBLE = "trouble"
    """System fault: sensor missing, battery, tamper, adapter, feedback, cloud, disk, clock."""


class Position(StrEnum):
    """Where a valve is or should be."""

    OPEN = "open"
    CLOSED = "closed"


class Coil(StrEnum):
    """An output that moves a valve. A spring-return valve has only OPEN: energised means held open."""

    OPEN = "open"
    CLOSE = "close"


class ActorKind(StrEnum):
    """Who or what caused an actuation, in no order; authority/ranks.py holds the order."""

    BUTTON = "button"
    LEAK_PROTECTION = "leak_protection"
    FLOW_RULE = "flow_rule"
    REMOTE = "remote"
    LOCAL = "local"
    EXERCISE = "exercise"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` identifies a person or thing: "alice@example.com", "uid:1000", "lobby", "zone/plant-room"."""

    kind: ActorKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


SYSTEM = Actor(ActorKind.SYSTEM, "gateway")


class Channel(IntEnum):
    """Where a message goes; the value is its priority, lowest first to leave and last to be evicted."""

    ALARM = 0
    EVENT = 1
    ACK = 2
    STATE = 3
    TELE = 4


class Occupancy(StrEnum):
    """How the building is used just now; flow rules may differ. No mode silences everything."""

    OCCUPIED = "occupied"
    UNOCCUPIED = "unoccupied"
    MAINTENANCE = "maintenance"
    """Plumbers at work: flow rules notify and do not close."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one frame or edge of a sensor says.

    Args:
        format: Name of the wire format, e.g. "bthome-v2", "contact".
        wet: True wet, False dry, None if the frame does not say.
        authentic: True if a MIC was verified, False if it failed, None if the format has none.
        counter: The sender's counter (bound to the MIC if authentic) or packet id; None if it has none.
        battery_percent: 0 to 100.
        temperature_degc: Temperature, degrees Celsius.
        battery_low: The sensor's own opinion of its battery.
        tamper: The sensor's own tamper contact.
        distance_m: Where along the rope the water is, metres from its beginning.
        fault: What the device says is wrong with itself ("cable break"); "" if it says that nothing is.
    """

    format: str
    wet: bool | None = None
    authentic: bool | None = None
    counter: int | None = None
    battery_percent: int | None = None
    battery_v: float | None = None
    battery_low: bool | None = None
    temperature_degc: float | None = None
    tamper: bool | None = None
    distance_m: float | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for something, why, and until when it may be done.

    Args:
        command_id: Names the answer (`AnswerRequest`); unique.
        actor: Authenticated by whoever made this object.
        cause: The person's reason, free text; may be empty where none is needed.
        expires_s: Monotonic seconds after which a stored wish lapses; None for no expiry.
        may_open: The actor is authorised to open a valve (group `reed`, or a stepped-up remote user).
    """

    command_id: str
    actor: Actor
    cause: str = ""
    expires_s: float | None = None
    may_open: bool = False


class Wish(StrEnum):
    """What a person asks of a valve."""

    OPEN = "open"
    CLOSE = "close"
    AUTO = "auto"
    """Give up own wishes and a lockout."""
    LOCKOUT = "lockout"
    """Out of service: nothing drives the valve until AUTO. Local only."""


class LedPattern(StrEnum):
    """What the status light shows; docs/safety.md lists the rhythms."""

    AUTO = "auto"
    OVERRIDE = "override"
    ALARM = "alarm"
    TROUBLE = "trouble"
    CLOUD_DENIED = "cloud_denied"
    COUNTDOWN = "countdown"
    PRESS_SHORT = "press_short"
    PRESS_LONG = "press_long"
    PRESS_VERY_LONG = "press_very_long"
    DENIED = "denied"


class SounderPattern(StrEnum):
    """What the sounder plays."""

    SILENT = "silent"
    ALARM = "alarm"
    COUNTDOWN = "countdown"
