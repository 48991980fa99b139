"""How long a valve takes from end to end: learned, watched for drift, and the bound that follows.

A stroke counts only if it began at the other end and ended at a switch. The baseline is the mean of the
first strokes and stays; mean and deviation follow the valve as it ages. Bounds: Belimo and AKCP alarm on a
missed end after a fixed time; a learned one notices a stiff valve sooner.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.model import Json
from gateway.domain.site import ValveSpec

BASELINE_STROKES = 5
TRUSTED_STROKES = 3
"""Before this many strokes the data sheet bounds the run and nothing is called slow or early."""
MEMORY = 0.2
"""Share of the newest stroke in mean and deviation, once there are enough."""
MARGIN = 1.5
SIGMAS = 3.0
SLOW = 1.3
EARLY = 0.1
SHORTEST_TIMEOUT_S = 0.25
"""A solenoid is there in 30 ms; a timer and a debounced switch need longer to say so."""


@dataclass(frozen=True, slots=True)
class Travel:
    """What was learned of one direction; all zero before the first stroke."""

    mean_s: float = 0.0
    deviation_s: float = 0.0
    baseline_s: float = 0.0
    strokes: int = 0

    def after(self, took_s: float) -> "Travel":
        """Return what is known after one more full stroke."""
        share = max(MEMORY, 1.0 / (self.strokes + 1))
        off_s = took_s - self.mean_s
        variance = (1.0 - share) * (self.deviation_s**2 + share * off_s**2)
        baseline_s = self.baseline_s
        if self.strokes < BASELINE_STROKES:
            baseline_s += (took_s - baseline_s) / (self.strokes + 1)
        return Travel(self.mean_s + share * off_s, math.sqrt(variance), baseline_s, self.strokes + 1)

    @property
    def trusted(self) -> bool:
        """Enough strokes to judge the next one by."""
        return self.strokes >= TRUSTED_STROKES

    def is_slow(self, took_s: float) -> bool:
        """Return whether this stroke took more than 30 % longer than the valve did when new."""
        return self.trusted and took_s > SLOW * self.baseline_s

    def is_early(self, took_s: float) -> bool:
        """Return whether no valve can have made this stroke so fast: the switch is not to be believed."""
        return self.trusted and took_s < EARLY * self.mean_s


def expected_s(travel: Travel, spec: ValveSpec) -> float:
    """Return how long a stroke should take."""
    return travel.mean_s if travel.trusted else spec.travel_s


def timeout_s(travel: Travel, spec: ValveSpec) -> float:
    """Return after how long a stroke has failed, never more than `spec.max_run_s`."""
    usual_s = expected_s(travel, spec)
    bound_s = max(MARGIN * usual_s, usual_s + SIGMAS * travel.deviation_s, SHORTEST_TIMEOUT_S)
    return min(bound_s, spec.max_run_s)


def to_json(travel: Travel) -> Json:
    """Return the form that is kept across restarts."""
    return {
        "mean_s": round(travel.mean_s, 4),
        "deviation_s": round(travel.deviation_s, 4),
        "baseline_s": round(travel.baseline_s, 4),
        "strokes": travel.strokes,
    }


def from_json(value: Json) -> Travel:
    """Read what `to_json` made; anything else counts as nothing learned."""
    if not isinstance(value, Mapping):
        return Travel()
    mean_s, deviation_s = _positive(value.get("mean_s")), _positive(value.get("deviation_s"))
    baseline_s, strokes = _positive(value.get("baseline_s")), value.get("strokes")
    if not mean_s or not baseline_s or not isinstance(strokes, int) or strokes < 1:
        return Travel()
    return Travel(mean_s, deviation_s, baseline_s, strokes)


def _positive(value: Json) -> float:
    if isinstance(value, (int, float)) and math.isfinite(value) and value > 0:
        return float(value)
    return 0.0
