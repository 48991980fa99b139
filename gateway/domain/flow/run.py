"""How long water has been running faster than a limit, told by nothing but pulses.

A run begins with a pulse and goes on as long as, at each further pulse, more water has passed since its
beginning than the limit would have let through. So a constant flow below the limit never gets beyond its
first pulse, and one above it is never interrupted. A pause or a slump over the last 10 s (or the last gap, if
that is longer) interrupts the run, too, whatever surplus it had: "stays above" means all the time. Slumps of
less than a tenth are none, since single pulses come a little early or late.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.flow.meter import S_PER_MIN, Edge, interval_s
from gateway.domain.site import MeterSpec

SMOOTH_S = 10.0
SLUMP = 0.9


@dataclass(frozen=True)
class Run:
    """From its first pulse to the latest one."""

    first: Edge
    last: Edge

    @property
    def pulses(self) -> int:
        """Pulses after the first: what has certainly passed."""
        return self.last.pulses - self.first.pulses

    @property
    def duration_s(self) -> float:
        """Time from the first to the latest pulse."""
        return self.last.at_s - self.first.at_s


def goes_on(run: Run | None, edges: Sequence[Edge], spec: MeterSpec, limit_l_per_min: float) -> Run:
    """Return the run after the newest of these pulses: a longer one, or a new one that begins there."""
    newest = edges[-1]
    if run is None or _volume_l(run.first, newest, spec) <= _allowed_l(run.first, newest, limit_l_per_min):
        return Run(newest, newest)
    before = next((edge for edge in reversed(edges) if newest.at_s - edge.at_s >= SMOOTH_S), None)
    if before is not None and before.at_s >= run.first.at_s:
        allowed_l = SLUMP * _allowed_l(before, newest, limit_l_per_min)
        if _volume_l(before, newest, spec) < allowed_l:
            return Run(newest, newest)
    return Run(run.first, newest)


def silence_s(spec: MeterSpec, limit_l_per_min: float) -> float:
    """Return how long after a pulse the lack of another one ends a run."""
    return max(SMOOTH_S, interval_s(spec, limit_l_per_min) / SLUMP)


def _volume_l(first: Edge, last: Edge, spec: MeterSpec) -> float:
    return (last.pulses - first.pulses) * spec.litres_per_pulse


def _allowed_l(first: Edge, last: Edge, limit_l_per_min: float) -> float:
    return (last.at_s - first.at_s) * limit_l_per_min / S_PER_MIN
