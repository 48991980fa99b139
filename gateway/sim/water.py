"""Water: flows in a tree of pipes, and puddles on floors.

A valve, a leak and an open tap each pass `q = k * sqrt(dp)` (turbulent flow; q in l/min, dp in bar, k the
conductance). Outlets side by side add their k; in series, `1/k**2` adds. As every outlet ends at the
pressure of the air, a tree of pipes reduces to one k and its flows are exact. Pipe friction is left out.
"""

from collections.abc import Mapping
from math import sqrt

from gateway.sim.plan import Plan, Room

NEAR_L = 1e-9
"""Volumes closer than this are the same: sums of floats do not hit a level exactly."""

S_PER_MIN = 60.0


class Pipes:
    """The tree of pipes with its leaks and taps, and how much went where."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rated_dp_sqrt = sqrt(plan.supply_bar)
        self._branches: dict[str, list[str]] = {name: [] for name in ("", *plan.pipe)}
        for name, pipe in plan.pipe.items():
            self._branches[pipe.branch_of].append(name)
        self._leaks = dict.fromkeys(plan.pipe, 0.0)
        self._taps = dict.fromkeys(plan.pipe, 0.0)
        self.flow_l_per_min = dict.fromkeys(plan.pipe, 0.0)
        self.leak_l_per_min = dict.fromkeys(plan.pipe, 0.0)
        self.tap_l_per_min = dict.fromkeys(plan.pipe, 0.0)
        self.passed_l = dict.fromkeys(plan.pipe, 0.0)
        self.leaked_l = dict.fromkeys(plan.pipe, 0.0)
        self.tapped_l = dict.fromkeys(plan.pipe, 0.0)

    def leak(self, pipe: str, rated_l_per_min: float) -> None:
        """Make a hole that loses this much at supply pressure; 0 mends it."""
        self._leaks[pipe] = rated_l_per_min / self._rated_dp_sqrt

    def tap(self, pipe: str, rated_l_per_min: float) -> None:
        """Open a tap that takes this much at supply pressure; 0 shuts it."""
        self._taps[pipe] = rated_l_per_min / self._rated_dp_sqrt

    def settle(self, openings: Mapping[str, float]) -> None:
        """Find all flows for these valve openings (0 shut to 1 open); they hold until the next call."""
        for pipe in self._branches[""]:
            self._flow_through(pipe, self._plan.supply_bar, openings)

    def advance(self, duration_s: float, openings: Mapping[str, float]) -> dict[str, float]:
        """Let water flow while the valves go evenly to these openings; return litres spilt, by room."""
        mean = duration_s / S_PER_MIN / 2
        meters = (
            (self.flow_l_per_min, self.passed_l),
            (self.leak_l_per_min, self.leaked_l),
            (self.tap_l_per_min, self.tapped_l),
        )
        before = [dict(flows) for flows, _ in meters]
        leaked_before = dict(self.leaked_l)
        self.settle(openings)
        for (flows, volumes), earlier in zip(meters, before, strict=True):
            for name, flow in flows.items():
                volumes[name] += (earlier[name] + flow) * mean
        spilt: dict[str, float] = {}
        for name, pipe in self._plan.pipe.items():
            spilt[pipe.room] = spilt.get(pipe.room, 0.0) + self.leaked_l[name] - leaked_before[name]
        return spilt

    def has_outlet(self) -> bool:
        """Return whether water could run anywhere."""
        return any(self._leaks.values()) or any(self._taps.values())

    def inflow_l_per_min(self, room: str) -> float:
        """Return what leaks into a room now."""
        return sum(self.leak_l_per_min[name] for name, pipe in self._plan.pipe.items() if pipe.room == room)

    def _conductance(self, name: str, openings: Mapping[str, float]) -> float:
        pipe = self._plan.pipe[name]
        beyond = self._leaks[name] + self._taps[name]
        beyond += sum(self._conductance(branch, openings) for branch in self._branches[name])
        if not pipe.valve:
            return beyond
        valve = self._plan.valve[pipe.valve].conductance * openings[pipe.valve]
        return valve * beyond / sqrt(valve**2 + beyond**2) if valve and beyond else 0.0

    def _flow_through(self, name: str, inlet_bar: float, openings: Mapping[str, float]) -> None:
        pipe = self._plan.pipe[name]
        flow = self._conductance(name, openings) * sqrt(inlet_bar)
        bar = inlet_bar
        if pipe.valve:
            valve = self._plan.valve[pipe.valve].conductance * openings[pipe.valve]
            bar = max(0.0, inlet_bar - (flow / valve) ** 2) if valve else 0.0
        self.flow_l_per_min[name] = flow
        self.leak_l_per_min[name] = self._leaks[name] * sqrt(bar)
        self.tap_l_per_min[name] = self._taps[name] * sqrt(bar)
        for branch in self._branches[name]:
            self._flow_through(branch, bar, openings)


class Puddle:
    """The water on the floor of a room: comes from leaks, leaves by drain and overflow."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.volume_l = 0.0
        self.drained_l = 0.0

    def advance(self, duration_s: float, spilt_l: float) -> None:
        """Let time pass in which so much was spilt."""
        drain_l = self._room.drain_l_per_min * duration_s / S_PER_MIN
        before_l = self.volume_l
        self.volume_l = min(self._room.full_l, max(0.0, before_l + spilt_l - drain_l))
        self.drained_l += before_l + spilt_l - self.volume_l

    def mop(self) -> None:
        """Take the water away."""
        self.drained_l += self.volume_l
        self.volume_l = 0.0

    def reaches_in_s(self, level_l: float, inflow_l_per_min: float) -> float | None:
        """Return when the puddle will have this volume, from now; None if it will not, or has it."""
        rise_l_per_s = (inflow_l_per_min - self._room.drain_l_per_min) / S_PER_MIN
        gap_l = level_l - self.volume_l
        if abs(gap_l) <= NEAR_L or gap_l * rise_l_per_s <= 0 or level_l > self._room.full_l:
            return None
        return gap_l / rise_l_per_s


class Probe:
    """Two electrodes on a floor: wet from `wet_l` up, dry again below half of it, or held under water."""

    def __init__(self, wet_l: float) -> None:
        self._wet_l = wet_l
        self._in_puddle = False
        self.soaked = False

    @property
    def wet(self) -> bool:
        """Water bridges the electrodes."""
        return self._in_puddle or self.soaked

    @property
    def turns_at_l(self) -> float:
        """The volume of the puddle at which this probe changes."""
        return self._wet_l / 2 if self._in_puddle else self._wet_l

    def feel(self, puddle: Puddle) -> None:
        """Notice the present puddle."""
        if self._in_puddle:
            self._in_puddle = puddle.volume_l > self.turns_at_l + NEAR_L
        else:
            self._in_puddle = puddle.volume_l >= self.turns_at_l - NEAR_L
