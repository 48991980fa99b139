"""What people, rats and frost do in the building.

Each poke is also a request on the building's socket: `{"do": "leak", "pipe": "kitchen"}`.
"""

from functools import partial
from math import sqrt
from typing import TypeAlias

from gateway.domain.model import Position
from gateway.errors import DriverError
from gateway.sim.building import Building
from gateway.sim.poke import Poked, find, sane
from gateway.sim.wires import Corrode, Cut, Mend, Short

FULL_PERCENT = 100.0


class Leak(Poked, frozen=True):
    """A pipe starts to leak: so much at supply pressure, or as its plan says."""

    pipe: str
    l_per_min: float | None = None

    def _change(self, building: Building) -> None:
        pipe = find("pipe", self.pipe, building.plan.pipe)
        rate = pipe.leak_l_per_min if self.l_per_min is None else self.l_per_min
        building.pipes.leak(self.pipe, sane("l_per_min", rate))


class Dry(Poked, frozen=True):
    """Mend a pipe and mop its room."""

    pipe: str

    def _change(self, building: Building) -> None:
        building.puddles[find("pipe", self.pipe, building.plan.pipe).room].mop()
        building.pipes.leak(self.pipe, 0.0)


class Tap(Poked, frozen=True):
    """Open a tap at the end of a pipe; 0 shuts it."""

    pipe: str
    l_per_min: float

    def _change(self, building: Building) -> None:
        find("pipe", self.pipe, building.plan.pipe)
        building.pipes.tap(self.pipe, sane("l_per_min", self.l_per_min))


class Soak(Poked, frozen=True):
    """Hold a sensor into a cup of water."""

    sensor: str
    for_s: float = 5.0

    def _change(self, building: Building) -> None:
        probes = {name: probe for name, _, probe in building.all_probes()}
        probe = find("sensor", self.sensor, probes)
        building.later(sane("for_s", self.for_s), partial(setattr, probe, "soaked", False))
        probe.soaked = True


class Press(Poked, frozen=True):
    """Press a button."""

    button: str
    for_s: float = 0.3

    def _change(self, building: Building) -> None:
        find("button", self.button, building.pressed)
        building.later(sane("for_s", self.for_s), partial(building.pressed.__setitem__, self.button, False))
        building.pressed[self.button] = True


class Stall(Poked, frozen=True):
    """Block a valve where it stands."""

    valve: str

    def _change(self, building: Building) -> None:
        find("valve", self.valve, building.valves).stalled = True


class Slow(Poked, frozen=True):
    """Make a valve move this many times slower: lime."""

    valve: str
    times: float

    def _change(self, building: Building) -> None:
        valve = find("valve", self.valve, building.valves)
        valve.slowness = max(1.0, sane("times", self.times))


class Wear(Poked, frozen=True):
    """Wear out a valve: shut, it still passes this much at supply pressure."""

    valve: str
    l_per_min: float

    def _change(self, building: Building) -> None:
        valve = find("valve", self.valve, building.valves)
        open_l_per_min = building.plan.valve[self.valve].conductance * sqrt(building.plan.supply_bar)
        valve.passing = min(1.0, sane("l_per_min", self.l_per_min) / open_l_per_min)


class Free(Poked, frozen=True):
    """Make a blocked, slow, burnt or worn valve as good as new."""

    valve: str

    def _change(self, building: Building) -> None:
        valve = find("valve", self.valve, building.valves)
        valve.stalled, valve.burnt, valve.slowness, valve.passing = False, False, 1.0, 0.0


class Turn(Poked, frozen=True):
    """Turn a valve by hand."""

    valve: str
    position: Position

    def _change(self, building: Building) -> None:
        find("valve", self.valve, building.valves).turn(self.position)


class Battery(Poked, frozen=True):
    """Leave so much in a radio sensor's battery; 0 kills the sensor."""

    sensor: str
    percent: float

    def _change(self, building: Building) -> None:
        sensor = find("radio sensor", self.sensor, building.transmitters)
        sensor.charge(min(FULL_PERCENT, sane("percent", self.percent)), building.now_s)


class Renew(Poked, frozen=True):
    """Put a new battery into a radio sensor: its counter starts again from 1."""

    sensor: str

    def _change(self, building: Building) -> None:
        sensor = find("radio sensor", self.sensor, building.transmitters)
        sensor.charge(FULL_PERCENT, building.now_s)
        sensor.counter = 1


class Speak(Poked, frozen=True):
    """Press the test button of a radio sensor: it sends a new frame at once."""

    sensor: str

    def _change(self, building: Building) -> None:
        find("radio sensor", self.sensor, building.transmitters)
        building.speak(self.sensor)


class Replay(Poked, frozen=True):
    """Send a radio sensor's first frame again, as an eavesdropper can."""

    sensor: str

    def _change(self, building: Building) -> None:
        sensor = find("radio sensor", self.sensor, building.transmitters)
        building.send(sensor.replayed(building.now_s))


class Forge(Poked, frozen=True):
    """Send a frame that says wet in a keyed sensor's name, without its key."""

    sensor: str

    def _change(self, building: Building) -> None:
        forged = find("radio sensor", self.sensor, building.transmitters).forged(building.now_s)
        if forged is None:
            raise DriverError(
                f"radio sensor {self.sensor} has no key: nothing tells a forged frame from its own"
            )
        building.send(forged)


class Chill(Poked, frozen=True):
    """Change the temperature of a room."""

    room: str
    degc: float

    def _change(self, building: Building) -> None:
        find("room", self.room, building.plan.room)
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
    | Corrode
    | Mend
    | Stall
    | Slow
    | Wear
    | Free
    | Turn
    | Battery
    | Renew
    | Speak
    | Replay
    | Forge
    | Chill
)
