"""The site as configured: plain specifications, already validated by gateway/config."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.model import Occupancy


class Action(StrEnum):
    """What a confirmed leak does."""

    NOTIFY = "notify"
    CLOSE = "close"


class ValveKind(StrEnum):
    """How a valve is driven."""

    SPRING_RETURN = "spring_return"
    """2 wires, power to open; closes by spring when the coil is released."""
    MOTORISED = "motorised"
    """3 or 5 wires: one coil for each direction, runs to its end."""
    LATCHING = "latching"
    """A short pulse in either direction; stays by itself."""


class OnDaemonLoss(StrEnum):
    """What the outputs do when the daemon ends."""

    HOLD = "hold"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSpec:
    """What the core must know of a sensor.

    Args:
        name: For people.
        keyed: Only frames with a verified MIC and a larger counter count.
        silence_s: Deadline for the next sign of life; None if the sensor cannot give one (a bare contact).
        supervised: A cut wire or dead sensor is noticed (by loop or by `silence_s`); shown in status.
        battery_low_percent: Trouble at or below this.
        battery_low_v: The same for a sensor that reports its voltage.
        freeze_warning_degc: Supervisory signal at or below this.
        freeze_degc: Alarm at or below this.
    """

    id: str
    kind: str
    name: str = ""
    keyed: bool = False
    silence_s: float | None = None
    supervised: bool = False
    battery_low_percent: int = 15
    battery_low_v: float = 2.2
    freeze_warning_degc: float | None = 6.0
    freeze_degc: float | None = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneSpec:
    """Sensors that watch one place, and what a leak there does.

    Args:
        sensors: Ids of the sensors.
        valves: Ids of the valves that a leak closes.
        name: For people.
        action: What a confirmed leak does.
        confirm_s: A wet quorum must last this long; 0 acts in the same call.
        quorum: This many sensors must be wet; a sensor in trouble leaves the count of those that can vote,
            and the quorum becomes 1 when fewer than `quorum` healthy ones are left.
        latch: The alarm stays until a person resets it.
        dry_hold_s: All sensors must have been dry this long before a reset is accepted.
        cooldown_s: An unlatched alarm that returned does not move the valve again within this time.
    """

    id: str
    sensors: tuple[str, ...]
    valves: tuple[str, ...] = ()
    name: str = ""
    action: Action = Action.CLOSE
    confirm_s: float = 5.0
    quorum: int = 1
    latch: bool = True
    dry_hold_s: float = 60.0
    cooldown_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ValveSpec:
    """A shutoff valve.

    Args:
        end_switches: Which ends report (none, one or both).
        travel_s: Time from end to end as the data sheet says; learned from then on.
        max_run_s: Hard bound on one run of a motor coil.
        dead_time_s: Pause between the two directions.
        pulse_s: Length of a latching pulse.
        exercise_every_s: Exercise this often when all is quiet; None never.
    """

    id: str
    kind: ValveKind
    name: str = ""
    end_switches: frozenset[str] = frozenset()
    travel_s: float = 10.0
    max_run_s: float = 60.0
    dead_time_s: float = 0.5
    pulse_s: float = 0.05
    retry_every_s: float = 300.0
    exercise_every_s: float | None = None
    on_daemon_loss: OnDaemonLoss = OnDaemonLoss.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonSpec:
    """A local override button.

    Args:
        valves: Ids of the valves that it commands; all of the site if empty.
    """

    id: str
    valves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSpec:
    """A water meter with a pulse output.

    Args:
        litres_per_pulse: What one pulse stands for.
        valves: Ids of the valves through which all of its water flows: each of them, closed, stops the meter.
        name: For people.
        passing_l_per_min: More than this with one of its valves closed: the valve lets water through.
    """

    id: str
    litres_per_pulse: float
    valves: tuple[str, ...] = ()
    name: str = ""
    passing_l_per_min: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A part of each week, in minutes since Monday 00:00 local time; `end_min` may lie before `start_min`."""

    start_min: int
    end_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRuleSpec:
    """Too much water for too long, as BREEAM Wat 03 asks for.

    Args:
        meter: Id of the meter.
        above_l_per_min: The flow must stay above this.
        for_s: For this long.
        action: What happens then.
        modes: The rule counts in these modes only; maintenance counts as occupied, but closes nothing.
        periods: And within these parts of the week; always if empty.
        pre_alarm_s: Warn this long before closing; who stops the water or overrides meanwhile prevents it.
        name: For people.
    """

    id: str
    meter: str
    above_l_per_min: float
    for_s: float
    action: Action = Action.CLOSE
    modes: frozenset[Occupancy] = frozenset({Occupancy.OCCUPIED, Occupancy.UNOCCUPIED})
    periods: tuple[Period, ...] = ()
    pre_alarm_s: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverridePolicy:
    """Times of the local override; defaults as in docs/safety.md.

    Args:
        short_min_s: A press shorter than this is none.
        short_max_s: Up to this it is a short one: a timed override.
        long_s: From here on it is a long one: an override without end.
        very_long_s: From here on it ends the override.
        stuck_s: Held longer than this the button counts as stuck and is ignored.
        timed_s: How long a timed override lasts.
        countdown_s: A leak closes a valve that is held open after this, unless somebody presses again.
        reannounce_s: An override without end is announced again this often.
        leak_breaks_hold: A leak begins the countdown in an override without end, too.
    """

    short_min_s: float = 0.05
    short_max_s: float = 1.0
    long_s: float = 3.0
    very_long_s: float = 10.0
    stuck_s: float = 60.0
    timed_s: float = 3600.0
    countdown_s: float = 120.0
    reannounce_s: float = 8 * 3600.0
    leak_breaks_hold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything the core decides about. Ids are unique within their kind."""

    sensors: Mapping[str, SensorSpec] = field(default_factory=dict)
    zones: Mapping[str, ZoneSpec] = field(default_factory=dict)
    valves: Mapping[str, ValveSpec] = field(default_factory=dict)
    buttons: Mapping[str, ButtonSpec] = field(default_factory=dict)
    meters: Mapping[str, MeterSpec] = field(default_factory=dict)
    flow_rules: Mapping[str, FlowRuleSpec] = field(default_factory=dict)
    override: OverridePolicy = field(default_factory=OverridePolicy)
    cloud_loss_s: float = 900.0
