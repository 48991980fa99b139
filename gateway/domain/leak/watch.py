"""All sensors and zones of a site: what a report means for the valves.

The answer is a list of demands, in the order in which they are to be met; who may refuse one is decided
elsewhere (arbiter.py).
"""

import math
from collections.abc import Callable, Iterable, Mapping

from gateway.domain.demand import Demand, Turn
from gateway.domain.effects import Effect
from gateway.domain.events import FrameRejected, SensorFaulted, SensorRead
from gateway.domain.leak import recall, sensor, zone
from gateway.domain.leak.sensor import Sensor
from gateway.domain.leak.zone import Zone
from gateway.domain.model import Json, Request
from gateway.domain.site import Site

Judged = tuple[list[Demand], list[Effect]]

_CAUSE = "leak confirmed"


class Watch:
    """Sensors and zones; each call that takes something in returns demands and further effects."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._sensors = {spec.id: sensor.new(spec) for spec in site.sensors.values()}
        self._zones = {spec.id: zone.new(spec) for spec in site.zones.values()}
        self._zones_of: dict[str, tuple[str, ...]] = {}
        # deadlines change with their sensor or zone only: asking all of them after each event takes 0.3 ms
        self._sensor_due_s: dict[str, float] = {}
        self._zone_due_s: dict[str, float] = {}
        for spec in site.zones.values():
            for sensor_id in spec.sensors:
                self._zones_of[sensor_id] = (*self._zones_of.get(sensor_id, ()), spec.id)

    def start(self, memory: Mapping[str, Json], is_latched: Callable[[str], bool], now_s: float) -> None:
        """Take over what was known before the restart; `is_latched` tells of an alarm id."""
        for sensor_id, spec in self._site.sensors.items():
            self._keep_sensor(sensor_id, sensor.found(spec, memory, now_s))
        for zone_id, watched in self._site.zones.items():
            latched = is_latched(f"leak/zone/{zone_id}")
            self._keep_zone(zone_id, zone.found(watched, latched, now_s))

    def recall(self, memory: Mapping[str, Json], is_latched: Callable[[str], bool], now_s: float) -> None:
        """Take over what was known before the restart, late; `is_latched` tells of an alarm id."""
        for sensor_id, before in list(self._sensors.items()):
            self._keep_sensor(sensor_id, recall.recalled(before, memory, now_s))
        for zone_id, known in list(self._zones.items()):
            if is_latched(f"leak/zone/{zone_id}") and not known.latched:
                self._keep_zone(zone_id, recall.relatched(known))

    # --- what happens -------------------------------------------------------------------------------

    def sense(self, event: SensorRead | SensorFaulted | FrameRejected, now_s: float) -> Judged:
        """Take what a sensor, or somebody in its name, said."""
        if event.sensor_id not in self._sensors:
            return [], []
        before = self._sensors[event.sensor_id]
        match event:
            case SensorRead(reading=reading):
                after, effects = sensor.read(before, reading, now_s)
            case SensorFaulted(fault=fault):
                after, effects = sensor.fault(before, fault, now_s)
            case FrameRejected(problem=problem):
                after, effects = sensor.rejected(before, problem, now_s)
        self._keep_sensor(event.sensor_id, after)
        demands, changes = self._judge(self._zones_of.get(event.sensor_id, ()), now_s, fresh=True)
        return demands, changes + effects

    def valve_reported(self, valve_id: str, now_s: float) -> Judged:
        """Look again at the zones of a valve: somebody may have turned it while water runs."""
        zones = (key for key, state in self._zones.items() if valve_id in state.spec.valves)
        return self._judge(zones, now_s, fresh=True)

    def tick(self, now_s: float) -> Judged:
        """Notice silence, and what lasted long enough."""
        effects: list[Effect] = []
        zones = {zone_id for zone_id, due_s in self._zone_due_s.items() if now_s >= due_s}
        for sensor_id in [key for key, due_s in self._sensor_due_s.items() if now_s >= due_s]:
            after, changes = sensor.tick(self._sensors[sensor_id], now_s)
            self._keep_sensor(sensor_id, after)
            zones.update(self._zones_of.get(sensor_id, ()))
            effects += changes
        demands, changes = self._judge(sorted(zones), now_s, fresh=False)
        return demands, changes + effects

    def walk_test(self, zone_id: str, on: bool, request: Request, now_s: float) -> Judged:
        """Start or stop a walk test of a zone."""
        after, effects = zone.walk_test(self._zones[zone_id], on, request, now_s)
        self._keep_zone(zone_id, after)
        demands, changes = self._judge((zone_id,), now_s, fresh=True)
        return demands, effects + changes

    def reset(self, zone_id: str, now_s: float) -> list[Demand]:
        """End a latched leak, after its alarm was reset."""
        before = self._zones[zone_id]
        self._keep_zone(zone_id, zone.reset(before, now_s))
        return self._demands(before, self._zones[zone_id], fresh=False)

    def accept_counter_reset(self, sensor_id: str) -> list[Effect]:
        """Let a sensor count from the beginning."""
        after, effects = sensor.accept_counter_reset(self._sensors[sensor_id])
        self._keep_sensor(sensor_id, after)
        return effects

    # --- questions ----------------------------------------------------------------------------------

    def has_zone(self, zone_id: str) -> bool:
        """Tell whether the site has this zone."""
        return zone_id in self._zones

    def has_sensor(self, sensor_id: str) -> bool:
        """Tell whether the site has this sensor."""
        return sensor_id in self._sensors

    def may_reset(self, zone_id: str, now_s: float) -> str | None:
        """Return why this zone's leak may not be reset; None if it may."""
        return zone.may_reset(self._zones[zone_id], self._sensors, now_s)

    def demanding(self, valve_id: str) -> list[str]:
        """Return the zones that want this valve closed."""
        return [
            zone_id
            for zone_id, state in self._zones.items()
            if state.demands_close and valve_id in state.spec.valves
        ]

    @property
    def is_wet(self) -> bool:
        """Some zone has water."""
        return any(state.is_wet for state in self._zones.values())

    def deadline_s(self) -> float | None:
        """Return when `tick` is wanted."""
        due_s = min(
            min(self._sensor_due_s.values(), default=math.inf),
            min(self._zone_due_s.values(), default=math.inf),
        )
        return due_s if due_s < math.inf else None

    def view(self, now_s: float) -> tuple[dict[str, dict[str, Json]], dict[str, dict[str, Json]]]:
        """Return zones and sensors as persons see them."""
        zones = {key: zone.view(state, self._sensors, now_s) for key, state in self._zones.items()}
        return zones, {key: sensor.view(state, now_s) for key, state in self._sensors.items()}

    # --- inside -------------------------------------------------------------------------------------

    def _judge(self, zone_ids: Iterable[str], now_s: float, *, fresh: bool) -> Judged:
        demands: list[Demand] = []
        effects: list[Effect] = []
        for zone_id in zone_ids:
            before = self._zones[zone_id]
            after, changes = zone.step(before, self._sensors, now_s)
            self._keep_zone(zone_id, after)
            demands += self._demands(before, after, fresh=fresh)
            effects += changes
        return demands, effects

    def _keep_sensor(self, sensor_id: str, state: Sensor) -> None:
        self._sensors[sensor_id] = state
        due_s = sensor.deadline_s(state)
        self._sensor_due_s[sensor_id] = math.inf if due_s is None else due_s

    def _keep_zone(self, zone_id: str, state: Zone) -> None:
        self._zones[zone_id] = state
        due_s = zone.deadline_s(state)
        self._zone_due_s[zone_id] = math.inf if due_s is None else due_s

    @staticmethod
    def _demands(before: Zone, after: Zone, *, fresh: bool) -> list[Demand]:
        spec = after.spec
        if before.demands_close and not after.demands_close:
            return [Demand(spec.id, spec.valves, Turn.ENDED)]
        if after.demands_close and not before.demands_close:
            return [Demand(spec.id, spec.valves, Turn.NEW, _CAUSE)]
        if after.demands_close and fresh and after.is_wet:
            return [Demand(spec.id, spec.valves, Turn.STANDING, _CAUSE)]
        return []
