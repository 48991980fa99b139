"""A building that behaves like one: pure, with its own time, as fast as it is asked to go.

    street -> pipes -> leak -> puddle on the floor -> probes -> contacts and adverts -> gateway
                ^                                                                          |
                +-- valves <------------------------- coils <------------------------------+

Time goes from one thing that happens to the next. Only while a valve moves and water flows is it cut into
ticks. Contacts do not bounce here, so there is nothing to debounce.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count

from gateway.domain.model import Coil, Position
from gateway.errors import DriverError
from gateway.sim.actuator import Actuator
from gateway.sim.happening import (
    AdvertSent,
    ContactChanged,
    Damaged,
    Happening,
    LoopChanged,
    OutputSet,
    SensorWetted,
    ValveStopped,
)
from gateway.sim.loop import Circuit
from gateway.sim.plan import Plan, outputs
from gateway.sim.transmitter import Transmitter
from gateway.sim.water import S_PER_MIN, Pipes, Probe, Puddle

TICK_S = 0.05
"""Step while a moving valve changes the flow."""

SHORTEST_S = 1e-6
"""Time always goes on, whatever the floats say."""

STAGGER_S = 1.7
"""Sensors do not all send at once after the start."""


class Building:
    """The working model. `gateway/sim/hands.py` is what people do in it.

    Args:
        start_s: The building's time at first.
        counter: The radio sensors' counter at first; a real sensor's has run for years.
    """

    def __init__(self, plan: Plan, *, start_s: float = 0.0, counter: int = 1) -> None:
        self.plan = plan
        self.now_s = start_s
        self.pipes = Pipes(plan)
        self.puddles = {name: Puddle(room) for name, room in plan.room.items()}
        self.temperatures_degc = {name: room.temperature_degc for name, room in plan.room.items()}
        self.valves = {name: Actuator(valve) for name, valve in plan.valve.items()}
        self.probes = {name: Probe(wired.wet_l) for name, wired in (plan.contact | plan.loop).items()}
        self.circuits = {name: Circuit(loop) for name, loop in plan.loop.items()}
        self.transmitters = {
            name: Transmitter(
                name, beacon, counter=counter, first_s=start_s + place * STAGGER_S, now_s=start_s
            )
            for place, (name, beacon) in enumerate(plan.beacon.items(), start=1)
        }
        self.pressed = dict.fromkeys(plan.button, False)
        self.line_faults: dict[str, bool] = {}
        self.outputs = outputs(plan)
        self.damage: list[str] = []
        self._coils = _coils(plan)
        self._contact_of = _contacts(self)
        self._happened: list[Happening] = []
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._resting = dict.fromkeys(plan.valve, True)
        self.wet = {name: False for name, _, _ in self.all_probes()}
        self.contacts = {line: closed() for line, closed in self._contact_of.items()}
        self.ratios = {
            plan.loop[name].input: circuit.ratio(wet=False) for name, circuit in self.circuits.items()
        }
        self.settle()

    def take(self) -> list[Happening]:
        """Return what happened since the last call, oldest first."""
        happened, self._happened = self._happened, []
        return happened

    def next_s(self) -> float:
        """Return when something will happen if nobody touches anything; infinity if nothing will."""
        times_s = [when_s for when_s, _, _ in self._later[:1]]
        times_s += [transmitter.next_s() for transmitter in self.transmitters.values()]
        waits_s = [valve.next_in_s(self.now_s) for valve in self.valves.values()]
        waits_s += [self._probe_turns_in_s(room, probe) for _, room, probe in self.all_probes()]
        waits_s += [self._meter_turns_in_s(name) for name in self.plan.meter]
        waits_s.append(TICK_S if self._valve_changes_flow() else None)
        times_s += [self.now_s + max(wait_s, SHORTEST_S) for wait_s in waits_s if wait_s is not None]
        return min(times_s, default=float("inf"))

    def step(self, until_s: float) -> bool:
        """Go to the next thing that happens, or to `until_s`; return whether that time is reached."""
        to_s = max(self.now_s, min(until_s, self.next_s()))
        self._pass(to_s - self.now_s, to_s)
        while self._later and self._later[0][0] <= self.now_s:
            heappop(self._later)[2]()
        for name, transmitter in self.transmitters.items():
            if transmitter.next_s() <= self.now_s:
                self.send(transmitter.tick(self._temperature_degc(name), self.now_s))
        self.settle()
        return self.now_s >= until_s

    def run(self, until_s: float) -> None:
        """Go on to this time."""
        while not self.step(until_s):
            pass

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do this after a while."""
        heappush(self._later, (self.now_s + delay_s, next(self._order), action))

    def set_output(self, line: str, level: bool) -> None:
        """Drive a line, as the gateway's board does. It keeps its level until it is driven again.

        Raises:
            DriverError: There is no such output.
        """
        if line not in self.outputs:
            raise DriverError(
                f'line "{line}" is no output of this building; it has {", ".join(self.outputs)}'
            )
        self.outputs[line] = level
        self._happened.append(OutputSet(line=line, level=level, at_s=self.now_s))
        if line in self._coils:
            name, coil = self._coils[line]
            self._note_damage(name, self.valves[name].drive(coil, level, self.now_s))
        self.settle()

    def send(self, advert: AdvertSent | None) -> None:
        """Put an advertisement on the air."""
        if advert is not None:
            self._happened.append(advert)

    def speak(self, beacon: str) -> None:
        """Let a radio sensor send what it has to say, once."""
        self.send(self.transmitters[beacon].report(self._temperature_degc(beacon), self.now_s, repeats=1))

    def settle(self) -> None:
        """Let everything follow what was changed at this moment."""
        self.pipes.settle(self._openings())
        for name, valve in self.valves.items():
            if valve.moving is self._resting[name]:
                self._resting[name] = not valve.moving
                if not valve.moving:
                    self._happened.append(ValveStopped(valve=name, position=valve.position, at_s=self.now_s))
        for name, room, probe in self.all_probes():
            probe.feel(self.puddles[room])
            if probe.wet is not self.wet[name]:
                self._turn(name, probe.wet)
        for line, closed in self._contact_of.items():
            if self.contacts[line] is not (now := self.line_faults.get(line, closed())):
                self.contacts[line] = now
                self._happened.append(ContactChanged(line=line, closed=now, at_s=self.now_s))
        for name, circuit in self.circuits.items():
            source, ratio = self.plan.loop[name].input, circuit.ratio(wet=self.wet[name])
            if self.ratios[source] != ratio:
                self.ratios[source] = ratio
                self._happened.append(LoopChanged(input=source, ratio=ratio, at_s=self.now_s))

    def all_probes(self) -> list[tuple[str, str, Probe]]:
        """Return (sensor, room, probe) of all sensors."""
        rooms = {name: wired.room for name, wired in (self.plan.contact | self.plan.loop).items()}
        wired = [(name, rooms[name], probe) for name, probe in self.probes.items()]
        radio = [
            (name, self.plan.beacon[name].room, sensor.probe) for name, sensor in self.transmitters.items()
        ]
        return wired + radio

    def _turn(self, name: str, wet: bool) -> None:
        self.wet[name] = wet
        self._happened.append(SensorWetted(sensor=name, wet=wet, at_s=self.now_s))
        if name in self.transmitters:
            self.send(self.transmitters[name].report(self._temperature_degc(name), self.now_s))

    def _pass(self, duration_s: float, to_s: float) -> None:
        self.now_s = to_s
        for name, valve in self.valves.items():
            self._note_damage(name, valve.advance(duration_s, to_s))
        spilt_l = self.pipes.advance(duration_s, self._openings())
        for room, puddle in self.puddles.items():
            puddle.advance(duration_s, spilt_l.get(room, 0.0))

    def _note_damage(self, valve: str, problem: str) -> None:
        if problem:
            self.damage.append(f"valve {valve}: {problem}")
            self._happened.append(Damaged(valve=valve, problem=problem, at_s=self.now_s))

    def _openings(self) -> dict[str, float]:
        return {name: valve.opening for name, valve in self.valves.items()}

    def _temperature_degc(self, beacon: str) -> float:
        return self.temperatures_degc[self.plan.beacon[beacon].room]

    def _valve_changes_flow(self) -> bool:
        return any(valve.moving for valve in self.valves.values()) and self.pipes.has_outlet()

    def _probe_turns_in_s(self, room: str, probe: Probe) -> float | None:
        return self.puddles[room].reaches_in_s(probe.turns_at_l, self.pipes.inflow_l_per_min(room))

    def _meter_turns_in_s(self, name: str) -> float | None:
        meter = self.plan.meter[name]
        flow = self.pipes.flow_l_per_min[meter.pipe]
        half_l = meter.l_per_pulse / 2
        left_l = half_l - self.pipes.passed_l[meter.pipe] % half_l
        return left_l / flow * S_PER_MIN if flow else None


def _coils(plan: Plan) -> dict[str, tuple[str, Coil]]:
    coils = {valve.open_line: (name, Coil.OPEN) for name, valve in plan.valve.items()}
    coils |= {valve.close_line: (name, Coil.CLOSE) for name, valve in plan.valve.items() if valve.close_line}
    return coils


def _contacts(building: Building) -> dict[str, Callable[[], bool]]:
    plan = building.plan
    contacts: dict[str, Callable[[], bool]] = {}
    for name, valve in plan.valve.items():
        at = building.valves[name].at
        contacts[valve.open_switch_line] = partial(at, Position.OPEN)
        contacts[valve.closed_switch_line] = partial(at, Position.CLOSED)
    for name, contact in plan.contact.items():
        contacts[contact.line] = partial(_relay, building.probes[name], contact.normally == "open")
    for name, button in plan.button.items():
        contacts[button.line] = partial(building.pressed.__getitem__, name)
    for meter in plan.meter.values():
        contacts[meter.line] = partial(_reed, building.pipes, meter.pipe, meter.l_per_pulse)
    contacts.pop("", None)
    return contacts


def _relay(probe: Probe, normally_open: bool) -> bool:
    return probe.wet is normally_open


def _reed(pipes: Pipes, pipe: str, l_per_pulse: float) -> bool:
    return pipes.passed_l[pipe] % l_per_pulse >= l_per_pulse / 2
