"""What can be seen in the building: one JSON object."""

from gateway.domain.model import Json
from gateway.sim.building import Building


def look(building: Building) -> dict[str, Json]:
    """Return all that can be seen in the building now."""
    pipes = building.pipes
    return {
        "now_s": building.now_s,
        "rooms": {
            name: {
                "puddle_l": round(puddle.volume_l, 3),
                "temperature_degc": building.temperatures_degc[name],
            }
            for name, puddle in building.puddles.items()
        },
        "pipes": {
            name: {
                "flow_l_per_min": round(pipes.flow_l_per_min[name], 3),
                "leak_l_per_min": round(pipes.leak_l_per_min[name], 3),
                "leaked_l": round(pipes.leaked_l[name], 3),
            }
            for name in building.plan.pipe
        },
        "meters": {
            name: {
                "flow_l_per_min": round(pipes.flow_l_per_min[meter.pipe], 3),
                "passed_l": round(pipes.passed_l[meter.pipe], 3),
            }
            for name, meter in building.plan.meter.items()
        },
        "valves": {
            name: {"position": round(valve.position, 3), "moving": valve.moving, "stalled": valve.stalled}
            for name, valve in building.valves.items()
        },
        "sensors": {name: _look_at_sensor(building, name) for name in building.wet},
        "loops": {name: round(building.ratios[loop.input], 4) for name, loop in building.plan.loop.items()},
        "buttons": dict(building.pressed),
        "contacts": dict(building.contacts),
        "outputs": dict(building.outputs),
        "damage": list(building.damage),
    }


def _look_at_sensor(building: Building, name: str) -> dict[str, Json]:
    seen: dict[str, Json] = {"wet": building.wet[name]}
    sensor = building.transmitters.get(name)
    if sensor is not None:
        seen |= {"battery_percent": round(sensor.battery_percent(building.now_s)), "counter": sensor.counter}
    return seen
