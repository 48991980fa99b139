"""What people, rats and frost do in the building.

Each poke is also a request on the building's socket: `{"do": "leak", "pipe": "kitchen"}`.
"""

from collections.abc import Mapping
from functools import partial
from typing import TypeAlias, TypeVar

from msgspec import Struct

from gateway.domain.model import Position
from gateway.errors import DriverError
from gateway.sim.building import Building

FULL_PERCENT = 100.0

_MOST = 1e6

_Thing = TypeVar("_Thing")


def _find(kind: str, name: str, things: Mapping[str, _Thing]) -> _Thing:
    if name not in things:
        raise DriverError(
            f'there is no {kind} "{name}" in this building; it has {", ".join(things) or "none"}'
        )
    return things[name]


def _sane(key: str, value: float) -> float:
    if not 0 <= value <= _MOST:
        raise DriverError(f"{key} is {value:g}; allowed: 0 to {_MOST:g}")
    return value


class _Poke(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag=str.lower):
    """One thing to do; `_change` says how. What follows from it happens at once."""

    def do(self, building: Building) -> None:
        """Do it now.

        Raises:
            DriverError: There is no such thing in the building, or the number makes no sense.
        """
        self._change(building)
        building.settle()

    def _change(self, building: Building) -> None:
        raise NotImplementedError


class Leak(_Poke, frozen=True):
    """A pipe starts to leak: so much at supply pressure, or as its plan says."""

    pipe: str
    l_per_min: float | None = None

    def _change(self, building: Building) -> None:
        pipe = _find("pipe", self.pipe, building.plan.pipe)
        rate = pipe.leak_l_per_min if self.l_per_min is None else self.l_per_min
        building.pipes.leak(self.pipe, _sane("l_per_min", rate))


class Dry(_Poke, frozen=True):
    """Mend a pipe and mop its room."""

    pipe: str

    def _change(self, building: Building) -> None:
        building.puddles[_find("pipe", self.pipe, building.plan.pipe).room].mop()
        building.pipes.leak(self.pipe, 0.0)


class Tap(_Poke, frozen=True):
    """Open a tap at the end of a pipe; 0 shuts it."""

    pipe: str
    l_per_min: float

    def _change(self, building: Building) -> None:
        _find("pipe", self.pipe, building.plan.pipe)
        building.pipes.tap(self.pipe, _sane("l_per_min", self.l_per_min))


class Soak(_Poke, frozen=True):
    """Hold a sensor into a cup of water."""

    sensor: str
    for_s: float = 5.0

    def _change(self, building: Building) -> None:
        probes = {name: probe for name, _, probe in building.all_probes()}
        probe = _find("sensor", self.sensor, probes)
        building.later(_sane("for_s", self.for_s), partial(setattr, probe, "soaked", False))
        probe.soaked = True


class Press(_Poke, frozen=True):
    """Press a button."""

    button: str
    for_s: float = 0.3

    def _change(self, building: Building) -> None:
        _find("button", self.button, building.pressed)
        building.later(_sane("for_s", self.for_s), partial(building.pressed.__setitem__, self.button, False))
        building.pressed[self.button] = True


class Cut(_Poke, frozen=True):
    """Cut the wire of an input line: it reads as an open contact."""

    line: str

    def _change(self, building: Building) -> None:
        _find("input line", self.line, building.contacts)
        building.line_faults[self.line] = False


class Short(_Poke, frozen=True):
    """Short an input line: it reads as a closed contact."""

    line: str

    def _change(self, building: Building) -> None:
        _find("input line", self.line, building.contacts)
        building.line_faults[self.line] = True


class Mend(_Poke, frozen=True):
    """Repair the wire of an input line."""

    line: str

    def _change(self, building: Building) -> None:
        _find("input line", self.line, building.contacts)
        building.line_faults.pop(self.line, None)


class Stall(_Poke, frozen=True):
    """Block a valve where it stands."""

    valve: str

    def _change(self, building: Building) -> None:
        _find("valve", self.valve, building.valves).stalled = True


class Slow(_Poke, frozen=True):
    """Make a valve move this many times slower: lime."""

    valve: str
    times: float

    def _change(self, building: Building) -> None:
        valve = _find("valve", self.valve, building.valves)
        valve.slowness = max(1.0, _sane("times", self.times))


class Free(_Poke, frozen=True):
    """Make a blocked, slow or burnt valve as good as new."""

    valve: str

    def _change(self, building: Building) -> None:
        valve = _find("valve", self.valve, building.valves)
        valve.stalled, valve.burnt, valve.slowness = False, False, 1.0


class Turn(_Poke, frozen=True):
    """Turn a valve by hand."""

    valve: str
    position: Position

    def _change(self, building: Building) -> None:
        _find("valve", self.valve, building.valves).turn(self.position)


class Battery(_Poke, frozen=True):
    """Leave so much in a radio sensor's battery; 0 kills the sensor."""

    sensor: str
    percent: float

    def _change(self, building: Building) -> None:
        sensor = _find("radio sensor", self.sensor, building.transmitters)
        sensor.charge(min(FULL_PERCENT, _sane("percent", self.percent)), building.now_s)


class Renew(_Poke, frozen=True):
    """Put a new battery into a radio sensor: its counter starts again from 1."""

    sensor: str

    def _change(self, building: Building) -> None:
        sensor = _find("radio sensor", self.sensor, building.transmitters)
        sensor.charge(FULL_PERCENT, building.now_s)
        sensor.counter = 1


class Speak(_Poke, frozen=True):
    """Press the test button of a radio sensor: it sends a new frame at once."""

    sensor: str

    def _change(self, building: Building) -> None:
        _find("radio sensor", self.sensor, building.transmitters)
        building.speak(self.sensor)


class Replay(_Poke, frozen=True):
    """Send a radio sensor's first frame again, as an eavesdropper can."""

    sensor: str

    def _change(self, building: Building) -> None:
        sensor = _find("radio sensor", self.sensor, building.transmitters)
        building.send(sensor.replayed(building.now_s))


class Forge(_Poke, frozen=True):
    """Send a frame that says wet in a keyed sensor's name, without its key."""

    sensor: str

    def _change(self, building: Building) -> None:
        forged = _find("radio sensor", self.sensor, building.transmitters).forged(building.now_s)
        if forged is None:
            raise DriverError(
                f"radio sensor {self.sensor} has no key: nothing tells a forged frame from its own"
            )
        building.send(forged)


class Chill(_Poke, frozen=True):
    """Change the temperature of a room."""

    room: str
    degc: float

    def _change(self, building: Building) -> None:
        _find("room", self.room, building.plan.room)
        if not ABSOLUTE_ZERO_DEGC <= self.degc <= TOO_HOT_DEGC:
            raise DriverError(f"degc is {self.degc:g}; allowed: {ABSOLUTE_ZERO_DEGC:g} to {TOO_HOT_DEGC:g}")
        building.temperatures_degc[self.room] = self.degc


ABSOLUTE_ZERO_DEGC, TOO_HOT_DEGC = -270.0, 300.0

Poke: TypeAlias = (
    Leak
    | Dry
    | Tap
    | Soak
    | Press
    | Cut
    | Short
    | Mend
    | Stall
    | Slow
    | Free
    | Turn
    | Battery
    | Renew
    | Speak
    | Replay
    | Forge
    | Chill
)
