"""What was remembered of sensors and zones but read late, joined with what has happened since the start."""

from collections.abc import Mapping

from gateway.domain.evolve import replace
from gateway.domain.leak import sensor
from gateway.domain.leak.sensor import Sensor
from gateway.domain.leak.zone import Phase, Zone
from gateway.domain.model import Json


def recalled(before: Sensor, memory: Mapping[str, Json], now_s: float) -> Sensor:
    """Return a sensor that counts on from the larger counter; its own word since the start is newer."""
    was = sensor.found(before.spec, memory, now_s)
    counters = [counter for counter in (before.counter, was.counter) if counter is not None]
    wet = was.wet if before.wet is None else before.wet
    return replace(before, counter=max(counters, default=None), wet=wet)


def relatched(before: Zone) -> Zone:
    """Return a zone whose leak was latched before the restart."""
    return replace(before, phase=Phase.LEAK, latched=True, closing=True)
