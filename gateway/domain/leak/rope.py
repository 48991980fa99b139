"""Where along a rope the water is, and when that is worth telling.

A leak that runs along a rope moves its place with every poll; alarms and messages follow in steps.
"""

from dataclasses import dataclass

from gateway.domain.model import Reading

MOVED_M = 1.0
TOLD_EVERY_S = 30.0
"""A place that moved by more than `MOVED_M` is told again, at most this often."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the water is, metres from the beginning of the rope; None if the sensor has not said.

    Args:
        distance_m: As last said.
        told_m: As alarms and messages say it, since `told_s`.
    """

    distance_m: float | None = None
    told_m: float | None = None
    told_s: float = 0.0


NOWHERE = Place()


def follow(place: Place, reading: Reading, now_s: float) -> Place:
    """Return the place after a reading: none once it is dry."""
    distance_m = reading.distance_m
    if reading.wet is False:
        return NOWHERE
    if distance_m is None or reading.wet is None:
        return place
    told_m = place.told_m
    has_moved = told_m is None or abs(distance_m - told_m) > MOVED_M
    if has_moved and (told_m is None or now_s >= place.told_s + TOLD_EVERY_S):
        return Place(distance_m, distance_m, now_s)
    return Place(distance_m, told_m, place.told_s)


def worded(distance_m: float) -> str:
    """Return the place as alarms say it: "at 12.3 m"."""
    return f"at {round(distance_m, 1):g} m"
