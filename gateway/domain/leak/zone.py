"""One zone: from wet sensors to a leak, and back to dry only by a person if the zone latches.

    dry --quorum wet--> confirming --confirm_s--> leak --all dry for a while--> dry
     |  <--not wet any more--+                      |
     +--walk test--> test                           +-- latched: demands "closed" until `reset`

Faults and silence never start anything: a leak begins with a sensor that can be heard and says wet. They do
not end anything either: a sensor that was wet and fell silent is still wet. A sensor in trouble leaves the
count of those that can vote, and the quorum becomes 1 when fewer than `quorum` healthy ones are left.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.commands import AnswerRequest
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.evolve import replace
from gateway.domain.leak import walk_test as walking
from gateway.domain.leak.rope import NOWHERE, TOLD_EVERY_S, worded
from gateway.domain.leak.sensor import Sensor, can_be_heard, can_vote, is_healthy, is_wet, was_wet
from gateway.domain.leak.walk_test import WalkTest
from gateway.domain.model import Json, Request, SignalClass
from gateway.domain.site import Action, ZoneSpec

SETTLE_S = 5.0
"""A leak is over when all is dry for this long (or `dry_hold_s` if shorter): a splash is not a new leak."""


class Phase(StrEnum):
    """What the zone is about."""

    DRY = "dry"
    CONFIRMING = "confirming"
    LEAK = "leak"
    TEST = "test"


@dataclass(frozen=True)
class Zone:
    """State of one zone.

    Args:
        is_wet: A sensor has said wet since the start and not dry since.
        latched: A leak was confirmed and no person has reset it.
        closing: The leak that is or was may move the valves (no cooldown).
        wet_since_s: When the quorum became wet, while confirming.
        dry_since_s: Since when all is dry; None if it is not.
        told: Sensors that the standing alarm names.
        places: Where along their ropes it says the water is, metres by sensor.
        told_s: When it said so last.
        quiet_until_s: End of the cooldown.
    """

    spec: ZoneSpec
    phase: Phase = Phase.DRY
    is_wet: bool = False
    latched: bool = False
    closing: bool = False
    wet_since_s: float = 0.0
    dry_since_s: float | None = None
    told: frozenset[str] = frozenset()
    places: Mapping[str, float] = field(default_factory=dict)
    told_s: float = 0.0
    quiet_until_s: float | None = None
    test: WalkTest | None = None

    @property
    def demands_close(self) -> bool:
        """Leak protection wants the valves of this zone closed."""
        return self.closing and self.spec.action is Action.CLOSE


def new(spec: ZoneSpec) -> Zone:
    """Return a zone that nothing is known of."""
    return Zone(spec)


def found(spec: ZoneSpec, latched: bool, now_s: float) -> Zone:
    """Return a zone at the start of the gateway; a leak that was latched still stands."""
    del now_s  # nothing that a zone waits for survives a restart
    return Zone(spec, phase=Phase.LEAK, latched=True, closing=True) if latched else Zone(spec)


def step(zone: Zone, sensors: Mapping[str, Sensor], now_s: float) -> tuple[Zone, list[Effect]]:
    """Look at the sensors again, after any of them changed and at `deadline_s`."""
    watched = [sensors[sensor_id] for sensor_id in zone.spec.sensors]
    wet = frozenset(sensor.spec.id for sensor in watched if is_wet(sensor))
    dry_since_s = None
    if not wet and _is_dry(watched):
        dry_since_s = now_s if zone.dry_since_s is None else zone.dry_since_s
    if (zone.is_wet, zone.dry_since_s) != (bool(wet), dry_since_s):
        zone = replace(zone, is_wet=bool(wet), dry_since_s=dry_since_s)
    effects: list[Effect] = []
    if zone.test is not None:
        test, effects = walking.step(zone.test, zone.spec, watched, now_s)
        zone = replace(zone, test=test, phase=Phase.DRY if test is None else Phase.TEST)
    if zone.phase in (Phase.DRY, Phase.CONFIRMING):
        zone, more = _watch(zone, watched, wet, now_s)
        return zone, effects + more
    if zone.phase is Phase.LEAK:
        zone, more = _leak(zone, watched, wet, now_s)
        return zone, effects + more
    return zone, effects


def reset(zone: Zone, now_s: float) -> Zone:
    """End a latched leak: its alarm has been reset."""
    del now_s
    return replace(zone, phase=Phase.DRY, latched=False, closing=False, told=frozenset(), places={})


def may_reset(zone: Zone, sensors: Mapping[str, Sensor], now_s: float) -> str | None:
    """Return why a latched leak may not be reset; None if it may."""
    watched = [sensors[sensor_id] for sensor_id in zone.spec.sensors]
    wet = sorted(sensor.spec.id for sensor in watched if was_wet(sensor))
    if wet:
        silent = [name for name in wet if not can_vote(sensors[name])]
        last_word = f" ({_names(silent)}: silent since; must say dry first)" if silent else ""
        return f"wet: {_names(wet)}{last_word}"
    unheard = sorted(sensor.spec.id for sensor in watched if _is_unheard(sensor))
    if unheard:
        return f"not heard since the start: {_names(unheard)}"
    if not _is_dry(watched) or zone.dry_since_s is None:
        return "no healthy sensor says dry"
    dry_s, hold_s = now_s - zone.dry_since_s, zone.spec.dry_hold_s
    if now_s < zone.dry_since_s + hold_s:
        return f"dry for {dry_s:.0f} of {hold_s:g} s"
    return None


def walk_test(zone: Zone, on: bool, request: Request, now_s: float) -> tuple[Zone, list[Effect]]:
    """Start or stop a walk test: sensors report, valves do not move, and it ends by itself."""
    if on == (zone.test is not None):
        said = "a walk test runs already" if on else "no walk test runs"
        return zone, [AnswerRequest(request.command_id, "succeeded", "", said)]
    if zone.test is not None:
        effects = walking.finish(zone.test, zone.spec, request.actor, request.cause or "stopped", now_s)
        done = AnswerRequest(request.command_id, "succeeded", "", walking.summary(zone.test, zone.spec))
        return replace(zone, test=None, phase=Phase.DRY), [*effects, done]
    if zone.latched or zone.is_wet or zone.phase is not Phase.DRY:
        return zone, [AnswerRequest(request.command_id, "rejected", "not_quiet", "it is wet or in alarm")]
    test, effects = walking.start(zone.spec, request, now_s)
    done = AnswerRequest(request.command_id, "succeeded", "", f"on for {walking.LONGEST_S:g} s at most")
    return replace(zone, test=test, phase=Phase.TEST), [*effects, done]


def deadline_s(zone: Zone) -> float | None:
    """Return when `step` has something to do next, if no sensor changes before."""
    match zone.phase:
        case Phase.CONFIRMING:
            return zone.wet_since_s + zone.spec.confirm_s
        case Phase.LEAK if zone.dry_since_s is not None:
            return zone.dry_since_s + _settle_s(zone.spec)
        case Phase.LEAK if not zone.closing and zone.is_wet:
            return zone.quiet_until_s
        case Phase.TEST if zone.test is not None:
            return zone.test.ends_s
        case _:
            return None


def view(zone: Zone, sensors: Mapping[str, Sensor], now_s: float) -> dict[str, Json]:
    """Return the zone as persons and programs see it (docs/protocol.md, snapshot)."""
    del now_s
    watched = [sensors[sensor_id] for sensor_id in zone.spec.sensors]
    wet: list[Json] = [sensor.spec.id for sensor in watched if was_wet(sensor)]
    return {
        "name": zone.spec.name,
        "state": _shown(zone, is_any_wet=bool(wet)),
        "wet": wet,
        "healthy": sum(map(is_healthy, watched)),
        "quorum": _quorum(zone.spec, watched),
        "sensors": list(zone.spec.sensors),
        "valves": list(zone.spec.valves),
        "action": zone.spec.action.value,
        "latched": zone.latched,
    }


# --- inside -------------------------------------------------------------------------------------------


def _watch(
    zone: Zone, watched: Sequence[Sensor], wet: frozenset[str], now_s: float
) -> tuple[Zone, list[Effect]]:
    is_enough = len(wet) >= _quorum(zone.spec, watched)
    if zone.phase is Phase.DRY:
        if not is_enough or not any(is_wet(sensor) and can_be_heard(sensor) for sensor in watched):
            return zone, []
        zone = replace(zone, phase=Phase.CONFIRMING, wet_since_s=now_s)
    elif not is_enough:
        return replace(zone, phase=Phase.DRY), []
    if now_s < zone.wet_since_s + zone.spec.confirm_s:
        return zone, []
    may_move = zone.quiet_until_s is None or now_s >= zone.quiet_until_s
    zone = replace(
        zone,
        phase=Phase.LEAK,
        latched=zone.latched or zone.spec.latch,
        closing=zone.closing or may_move,
        told=wet,
        places=_places({}, watched),
        told_s=now_s,
    )
    return zone, [_leak_raised(zone)]


def _leak(
    zone: Zone, watched: Sequence[Sensor], wet: frozenset[str], now_s: float
) -> tuple[Zone, list[Effect]]:
    if zone.dry_since_s is not None and now_s >= zone.dry_since_s + _settle_s(zone.spec):
        zone = replace(zone, phase=Phase.DRY, told=frozenset(), places={})
        if not zone.latched:
            was_closing, quiet_until_s = zone.closing, now_s + zone.spec.cooldown_s
            zone = replace(zone, closing=False)
            zone = replace(zone, quiet_until_s=quiet_until_s) if was_closing else zone
        return zone, [Clear("leak", f"zone/{zone.spec.id}")]
    if not zone.closing and wet and (zone.quiet_until_s is None or now_s >= zone.quiet_until_s):
        zone = replace(zone, closing=True)
    places = _places(zone.places, watched)
    is_known = wet <= zone.told and places.keys() == zone.places.keys()
    # a rope that says wet and dry in turns says another place each time
    if is_known and (places == zone.places or now_s < zone.told_s + TOLD_EVERY_S):
        return zone, []
    zone = replace(zone, told=zone.told | wet, places=places, told_s=now_s)
    return zone, [_leak_raised(zone)]


def _places(known: Mapping[str, float], watched: Sequence[Sensor]) -> Mapping[str, float]:
    """Return where the water is; where it was found on a rope that is dry again stays named."""
    on_ropes = [sensor for sensor in watched if sensor.place is not NOWHERE]
    if not on_ropes:
        return known  # wired contacts end here: a valve waits for them
    found = {s.spec.id: s.place.told_m for s in on_ropes if s.place.told_m is not None and is_wet(s)}
    return {**known, **found}


def _leak_raised(zone: Zone) -> Raise:
    subject, wet, places = f"zone/{zone.spec.id}", sorted(zone.told), tuple(sorted(zone.places.items()))
    if places:
        at = {sensor_id: f"{sensor_id} {worded(distance_m)}" for sensor_id, distance_m in places}
        wet = [at.get(sensor_id, sensor_id) for sensor_id in wet]
    detail = f"wet: {_names(wet)}"
    return Raise("leak", subject, SignalClass.ALARM, detail, latched=zone.spec.latch, places=places)


def _quorum(spec: ZoneSpec, watched: Sequence[Sensor]) -> int:
    healthy = sum(map(is_healthy, watched))
    return spec.quorum if healthy >= spec.quorum else 1


def _is_dry(watched: Sequence[Sensor]) -> bool:
    """No last word is wet, nobody healthy is yet to be heard, and at least one vouches for it."""
    doubts = any(was_wet(sensor) or _is_unheard(sensor) for sensor in watched)
    return any(map(can_vote, watched)) and not doubts


def _is_unheard(sensor: Sensor) -> bool:
    return is_healthy(sensor) and sensor.seen_s is None


def _settle_s(spec: ZoneSpec) -> float:
    return min(SETTLE_S, spec.dry_hold_s)


def _shown(zone: Zone, *, is_any_wet: bool) -> str:
    if zone.test is not None:
        return "test"
    if zone.phase is Phase.LEAK or zone.latched:
        return "alarm"
    if zone.phase is Phase.CONFIRMING:
        return "confirming"
    return "wet" if is_any_wet else "dry"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
