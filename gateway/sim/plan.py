"""The description of a building, read from TOML.

[room.cellar]            water on its floor wets the sensors that lie there
[pipe.main]              pipes form a tree; `branch_of` names the one before it, none for the street
[valve.main]             sits at the inlet of the pipes that name it
[contact.cellar]         a leak detector with a relay contact on a line
[loop.boiler]            the same at the end of a supervised loop, on an input of a converter
[beacon.kitchen]         a BLE leak detector
[button.lobby]  [meter.main]  [indicator]
"""

from collections.abc import Collection
from pathlib import Path
from tomllib import TOMLDecodeError, loads
from typing import Literal, TypeAlias

from msgspec import Struct, ValidationError, convert, field

from gateway.domain.model import Position
from gateway.domain.site import ValveKind
from gateway.errors import ConfigError
from gateway.sim.loop import Loop, plan_problems
from gateway.sim.panel import Rail

Format: TypeAlias = Literal["bthome", "switchbot", "mocreo", "mibeacon"]


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the plan; unknown keys are refused."""


class Room(_Table, frozen=True):
    """A floor. Water above `full_l` overflows to where no sensor lies; the rest drains steadily."""

    full_l: float = 1.0
    drain_l_per_min: float = 2.0
    temperature_degc: float = 20.0


class Pipe(_Table, frozen=True):
    """A pipe; `leak_l_per_min` is what a leak of it loses at supply pressure with everything open."""

    room: str
    branch_of: str = ""
    valve: str = ""
    leak_l_per_min: float = 12.0


class Valve(_Table, frozen=True):
    """A shutoff valve and its lines.

    Args:
        travel_s: End to end by its drive.
        spring_s: Open to shut by its spring (spring_return only).
        position: Where it stands at first; a spring-return valve that stands open is energised.
        switch_rail: Where its end switches pull their lines.
        conductance: Flow when fully open, l/min at 1 bar across it.
    """

    kind: ValveKind
    open_line: str
    close_line: str = ""
    open_switch_line: str = ""
    closed_switch_line: str = ""
    travel_s: float = 5.0
    spring_s: float = 2.0
    position: Position = Position.OPEN
    switch_rail: Rail = "ground"
    conductance: float = 300.0


class Contact(_Table, frozen=True):
    """A wired leak detector; wet when `wet_l` stand in its room, dry again below half of that."""

    room: str
    line: str
    normally: Literal["open", "closed"] = "open"
    rail: Rail = "ground"
    wet_l: float = 0.1


class Beacon(_Table, frozen=True):
    """A BLE leak detector.

    Args:
        key: 16 bytes in hex: it encrypts ("bthome", "mibeacon"). Empty: it does not.
        model: Which Xiaomi product a "mibeacon" is.
        beacon_s: Interval of its signs of life.
        repeats: How often the same frame is sent when it gets wet or dry.
    """

    room: str
    format: Format
    address: str
    key: str = ""
    model: Literal["SJWS01LM", "SJWS02LM", "RS1BB", "zhiee"] = "SJWS02LM"
    wet_l: float = 0.1
    beacon_s: float = 30.0
    repeats: int = 3
    battery_percent: float = 95.0
    battery_days: float = 700.0
    rssi_dbm: int = -62


class Button(_Table, frozen=True):
    """A push button."""

    line: str
    rail: Rail = "ground"


class Meter(_Table, frozen=True):
    """A water meter at the inlet of a pipe; its reed contact closes once for each `l_per_pulse`."""

    pipe: str
    line: str
    rail: Rail = "ground"
    l_per_pulse: float = 1.0


class Indicator(_Table, frozen=True):
    """The status light and the sounder."""

    led_line: str = ""
    sounder_line: str = ""


class Plan(_Table, frozen=True):
    """A whole building."""

    supply_bar: float = 4.0
    room: dict[str, Room] = field(default_factory=dict)
    pipe: dict[str, Pipe] = field(default_factory=dict)
    valve: dict[str, Valve] = field(default_factory=dict)
    contact: dict[str, Contact] = field(default_factory=dict)
    loop: dict[str, Loop] = field(default_factory=dict)
    beacon: dict[str, Beacon] = field(default_factory=dict)
    button: dict[str, Button] = field(default_factory=dict)
    meter: dict[str, Meter] = field(default_factory=dict)
    indicator: Indicator = field(default_factory=Indicator)


def load(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        ConfigError: The file cannot be read, or the plan is wrong; with all that does not fit together.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError((str(path), f"cannot be read: {error.strerror}")) from error
    except UnicodeDecodeError as error:
        raise ConfigError((str(path), f"is not UTF-8 (byte {error.start}); save it as UTF-8")) from error


def parse(text: str) -> Plan:
    """Return the plan in a TOML text. Raises ConfigError."""
    try:
        plan = convert(loads(text), Plan)
    except (TOMLDecodeError, ValidationError) as error:
        raise ConfigError(("plan", str(error))) from error
    problems = [problem for check in _CHECKS for problem in check(plan)]
    if problems:
        raise ConfigError(*problems)
    return plan


def outputs(plan: Plan) -> dict[str, bool]:
    """Return the lines that the gateway drives, with their level at first."""
    lines: dict[str, bool] = {}
    for valve in plan.valve.values():
        held_open = valve.kind is ValveKind.SPRING_RETURN and valve.position is Position.OPEN
        lines |= {valve.open_line: held_open, valve.close_line: False}
    lines |= {plan.indicator.led_line: False, plan.indicator.sounder_line: False}
    lines.pop("", None)
    return lines


def rails(plan: Plan) -> dict[str, Rail]:
    """Return the lines that the gateway reads, with where a closed contact pulls each."""
    lines: dict[str, Rail] = {}
    for valve in plan.valve.values():
        lines |= {valve.open_switch_line: valve.switch_rail, valve.closed_switch_line: valve.switch_rail}
    wires: list[Contact | Button | Meter] = [
        *plan.contact.values(),
        *plan.button.values(),
        *plan.meter.values(),
    ]
    lines |= {wire.line: wire.rail for wire in wires}
    lines.pop("", None)
    return lines


_Problems: TypeAlias = list[tuple[str, str]]


def _dangling(plan: Plan) -> _Problems:
    named: list[tuple[str, str, Collection[str]]]
    named = [(f"pipe.{name}.branch_of", pipe.branch_of, plan.pipe) for name, pipe in plan.pipe.items()]
    named += [(f"pipe.{name}.valve", pipe.valve, plan.valve) for name, pipe in plan.pipe.items()]
    named += [(f"pipe.{name}.room", pipe.room, plan.room) for name, pipe in plan.pipe.items()]
    named += [(f"contact.{name}.room", contact.room, plan.room) for name, contact in plan.contact.items()]
    named += [(f"loop.{name}.room", loop.room, plan.room) for name, loop in plan.loop.items()]
    named += [(f"beacon.{name}.room", beacon.room, plan.room) for name, beacon in plan.beacon.items()]
    named += [(f"meter.{name}.pipe", meter.pipe, plan.pipe) for name, meter in plan.meter.items()]
    optional = ("branch_of", "valve")
    return [
        (key, f'there is no "{to}"; the plan has {", ".join(known) or "none"}')
        for key, to, known in named
        if to not in known and (to or not key.endswith(optional))
    ]


def _loops(plan: Plan) -> _Problems:
    def endless(name: str) -> bool:
        seen = set()
        while name in plan.pipe and name not in seen:
            seen.add(name)
            name = plan.pipe[name].branch_of
        return name in seen

    return [(f"pipe.{name}.branch_of", "leads round in a circle") for name in plan.pipe if endless(name)]


def _bad_numbers(plan: Plan) -> _Problems:
    positive: list[tuple[str, float]] = [("supply_bar", plan.supply_bar)]
    positive += [(f"room.{name}.full_l", room.full_l) for name, room in plan.room.items()]
    positive += [(f"room.{name}.drain_l_per_min", room.drain_l_per_min) for name, room in plan.room.items()]
    positive += [(f"pipe.{name}.leak_l_per_min", pipe.leak_l_per_min) for name, pipe in plan.pipe.items()]
    positive += [(f"meter.{name}.l_per_pulse", meter.l_per_pulse) for name, meter in plan.meter.items()]
    for name, valve in plan.valve.items():
        positive += [(f"valve.{name}.{key}", getattr(valve, key)) for key in _VALVE_NUMBERS]
    for name, beacon in plan.beacon.items():
        positive += [(f"beacon.{name}.{key}", getattr(beacon, key)) for key in _BEACON_NUMBERS]
    positive += [(f"contact.{name}.wet_l", contact.wet_l) for name, contact in plan.contact.items()]
    return [(key, f"{value}; allowed: more than 0") for key, value in positive if not 0 < value < _HUGE]


def _deep_probes(plan: Plan) -> _Problems:
    probes = [(f"contact.{name}", contact.room, contact.wet_l) for name, contact in plan.contact.items()]
    probes += [(f"loop.{name}", loop.room, loop.wet_l) for name, loop in plan.loop.items()]
    probes += [(f"beacon.{name}", beacon.room, beacon.wet_l) for name, beacon in plan.beacon.items()]
    return [
        (f"{key}.wet_l", f"{wet_l:g} l never stand in {room}; allowed: at most {plan.room[room].full_l:g}")
        for key, room, wet_l in probes
        if room in plan.room and wet_l > plan.room[room].full_l
    ]


_VALVE_NUMBERS = ("travel_s", "spring_s", "conductance")
_BEACON_NUMBERS = ("wet_l", "beacon_s", "repeats", "battery_days")
_HUGE = 1e9


def _bad_radios(plan: Plan) -> _Problems:
    problems: _Problems = []
    for name, beacon in plan.beacon.items():
        if not _is_hex(beacon.address.replace(":", ""), 6) or beacon.address != beacon.address.upper():
            problems.append(
                (f"beacon.{name}.address", f'"{beacon.address}"; write it as "A4:C1:38:00:00:01"')
            )
        if beacon.key and beacon.format not in ("bthome", "mibeacon"):
            problems.append((f"beacon.{name}.key", f"{beacon.format} does not encrypt"))
        elif beacon.key and not _is_hex(beacon.key, 16):
            problems.append((f"beacon.{name}.key", "must be 32 hex digits"))
    return problems


def _is_hex(text: str, size_bytes: int) -> bool:
    try:
        return len(bytes.fromhex(text)) == size_bytes
    except ValueError:
        return False


def _shared_lines(plan: Plan) -> _Problems:
    users: dict[str, list[str]] = {}
    for kind in ("valve", "contact", "button", "meter"):
        for name, thing in getattr(plan, kind).items():
            for key in (key for key in thing.__struct_fields__ if key.endswith("line")):
                users.setdefault(getattr(thing, key), []).append(f"{kind}.{name}.{key}")
    for key in ("led_line", "sounder_line"):
        users.setdefault(getattr(plan.indicator, key), []).append(f"indicator.{key}")
    users.pop("", None)
    return [(keys[-1], f'line "{line}" is also {keys[0]}') for line, keys in users.items() if len(keys) > 1]


def _bad_loops(plan: Plan) -> _Problems:
    return plan_problems(plan.loop, rails(plan))


_CHECKS = (_dangling, _loops, _bad_numbers, _deep_probes, _bad_radios, _shared_lines, _bad_loops)
