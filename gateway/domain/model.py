"""The vocabulary: events (past tense) go into the core, commands (imperative) come out.

Nothing here carries a clock: the time of an event is the `now_s` of the call that handles it
(monotonic seconds, never decreasing). Everything is frozen, so it can be logged, replayed and compared.
"""

from collections.abc import Mapping
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
    """Who or what caused an actuation, in no order; authority.py holds the order."""

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


# --- events -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SensorRead:
    """A sensor reported. The core judges authenticity and replay."""

    sensor_id: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class SensorFaulted:
    """A sensor or its loop is faulty (`fault` in words, e.g. "loop open"); never means dry."""

    sensor_id: str
    fault: str


@dataclass(frozen=True, slots=True)
class FrameRejected:
    """Bytes that claim to be from this sensor could not be understood. Feeds no supervision."""

    sensor_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class ValveFound:
    """At start: present levels of a valve's lines, read before anything is driven.

    Args:
        coils: Energised or not, for each coil that the valve has.
        switches: End switches made or not; empty if the valve has none.
    """

    valve_id: str
    coils: Mapping[Coil, bool]
    switches: Mapping[Position, bool]


@dataclass(frozen=True, slots=True)
class EndSwitchChanged:
    """An end switch was made or released."""

    valve_id: str
    end: Position
    made: bool


@dataclass(frozen=True, slots=True)
class CoilFailed:
    """The line could not be driven; what the coil does now is unknown."""

    valve_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class ButtonChanged:
    """A debounced edge of a local override button.

    Args:
        is_edge: False for the level that was found when the board came (back): since when is not known.
    """

    button_id: str
    pressed: bool
    is_edge: bool = True


@dataclass(frozen=True, slots=True)
class ValveRequested:
    """A person asks something of a valve."""

    valve_id: str
    wish: Wish
    request: Request


@dataclass(frozen=True, slots=True)
class ExerciseRequested:
    """A person asks for an exercise stroke now."""

    valve_id: str
    request: Request


@dataclass(frozen=True, slots=True)
class AcknowledgeRequested:
    """A person has seen an alarm; silences notification only."""

    alarm_id: str
    request: Request


@dataclass(frozen=True, slots=True)
class ResetRequested:
    """A person wants a latched alarm to end; `request.cause` is required."""

    alarm_id: str
    request: Request


@dataclass(frozen=True, slots=True)
class ShelveRequested:
    """A person silences an alarm for a time; `request.cause` is required; 0 unshelves."""

    alarm_id: str
    duration_s: float
    request: Request


@dataclass(frozen=True, slots=True)
class WalkTestRequested:
    """A person starts or stops a walk test of a zone: its sensors report, its valves do not move."""

    zone_id: str
    on: bool
    request: Request


@dataclass(frozen=True, slots=True)
class AdapterFailed:
    """A part outside core and valves crashed or lost its device; it is being restarted."""

    adapter: str
    problem: str


@dataclass(frozen=True, slots=True)
class AdapterRecovered:
    """The part works again."""

    adapter: str


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The session with the broker came up or went down."""

    up: bool


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The time that `next_deadline_s` named has come."""


Event: TypeAlias = (
    SensorRead
    | SensorFaulted
    | FrameRejected
    | ValveFound
    | EndSwitchChanged
    | CoilFailed
    | ButtonChanged
    | ValveRequested
    | ExerciseRequested
    | AcknowledgeRequested
    | ResetRequested
    | ShelveRequested
    | WalkTestRequested
    | AdapterFailed
    | AdapterRecovered
    | LinkChanged
    | DeadlinePassed
)


# --- commands ---------------------------------------------------------------------------------------


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


class LedPattern(StrEnum):
    """What the status light shows; docs/safety.md lists the rhythms."""

    AUTO = "auto"
    OVERRIDE = "override"
    ALARM = "alarm"
    TROUBLE = "trouble"
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


@dataclass(frozen=True, slots=True)
class Indicate:
    """Show and sound this from now on."""

    led: LedPattern
    sounder: SounderPattern


Command: TypeAlias = SetCoil | Record | Publish | Remember | AnswerRequest | Indicate
