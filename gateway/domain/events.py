"""What happened, in the past tense: the only way into the core.

Nothing here carries a clock: the time of an event is the `now_s` of the call that handles it
(monotonic seconds, never decreasing).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gateway.domain.model import Coil, Json, Occupancy, Position, Reading, Request, Wish


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
class MeterPulsed:
    """A water meter counted; each pulse is `litres_per_pulse` of its MeterSpec."""

    meter_id: str
    pulses: int = 1


@dataclass(frozen=True, slots=True)
class OccupancyRequested:
    """A person says how the building is used from now on."""

    mode: Occupancy
    request: Request


@dataclass(frozen=True, slots=True)
class TimeTold:
    """The wall clock, each minute and after each step: periods of flow rules and water use per hour need it.

    Args:
        unix_s: Seconds since 1970.
        minute_of_week: Local time, minutes since Monday 00:00.
        trusted: It may be believed (docs/architecture.md, Time).
    """

    unix_s: float
    minute_of_week: int
    trusted: bool


@dataclass(frozen=True, slots=True)
class MemoryRead:
    """What could not be read at the start (`Core.start(None, ...)`) has been read after all."""

    memory: Mapping[str, Json]


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
    """The session with the broker came up or went down.

    Args:
        up: There is one.
        denied: Why the cloud turns us away for who we are; "" if it is merely out of reach.
    """

    up: bool
    denied: str = ""


@dataclass(frozen=True, slots=True)
class UpdateReported:
    """How far an update of this gateway has come.

    Args:
        kind: "os", "app" or "config".
        state: As domain.update.words.State has them.
        detail: Why, in words.
    """

    kind: str
    version: str
    state: str
    detail: str = ""


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
    | MeterPulsed
    | OccupancyRequested
    | TimeTold
    | MemoryRead
    | AdapterFailed
    | AdapterRecovered
    | LinkChanged
    | UpdateReported
    | DeadlinePassed
)
