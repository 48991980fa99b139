"""One sensor: what it last said, whether that can be believed, and whether it is still there.

    bytes --driver--> Reading --replay.judge--> accepted: feeds supervision, may change wet and dry
                                                repeated: nothing new
                                                replayed, forged: counted, trouble; feeds nothing

A silent or faulty sensor keeps its last word for display and for an alarm that stands, but it cannot say
"dry" any more. Silence alone never reads as wet. What was wet before a restart is remembered as a reason
not to reset; it acts again only when the sensor says so again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.domain.commands import Publish, Remember
from gateway.domain.effects import Effect
from gateway.domain.evolve import replace
from gateway.domain.leak.health import SUSPICION_S, Health, after_reading, after_time, changes, conditions
from gateway.domain.leak.replay import Verdict, judge
from gateway.domain.leak.rope import NOWHERE, Place, follow
from gateway.domain.model import Channel, Json, Reading
from gateway.domain.site import SensorSpec

_Value = TypeVar("_Value", int, float)

CHATTER_CHANGES = 20
CHATTER_QUIET_S = 3.0
"""More than this many changes, none this long after the one before: a loose wire, told as one trouble."""

TELEMETRY_EVERY_S = 300.0
"""Battery and temperature are told when they changed, at most this often."""


@dataclass(frozen=True)
class Sensor:
    """State of one sensor.

    Args:
        found_s: When supervision began.
        seen_s: The last sign of life that counts.
        wet: The last word, also from before a restart; None if there is none.
        heard: `wet` was said since the start.
        place: Where along a rope the water is.
        settled: The sensor has spoken since the start, so the alarms from before it are up to date.
        counter: The largest counter accepted; None takes any.
        last: The last accepted frame.
        flips: Changes between wet and dry without a pause; the last was at `flipped_s`.
        rejected: Frames that did not count, since the start.
        told: The battery and temperature that the cloud knows, as of `told_s`.
    """

    spec: SensorSpec
    found_s: float = 0.0
    seen_s: float | None = None
    wet: bool | None = None
    heard: bool = False
    place: Place = NOWHERE
    settled: bool = False
    counter: int | None = None
    last: Reading | None = None
    health: Health = field(default_factory=Health)
    flips: int = 0
    flipped_s: float = 0.0
    rejected: int = 0
    battery_percent: int | None = None
    battery_v: float | None = None
    temperature_degc: float | None = None
    told: tuple[float | None, ...] = (None, None, None)
    told_s: float | None = None


def new(spec: SensorSpec) -> Sensor:
    """Return a sensor that nothing is known of."""
    return Sensor(spec)


def found(spec: SensorSpec, memory: Mapping[str, Json], now_s: float) -> Sensor:
    """Return a sensor at the start of the gateway; its silence counts from now.

    What was remembered of it and cannot be understood is taken as never heard.
    """
    match memory.get(_memory_key(spec)):
        case {"counter": int() | None as counter, "wet": bool() | None as wet}:
            return Sensor(spec, found_s=now_s, wet=wet, counter=counter if spec.keyed else None)
        case _:
            return Sensor(spec, found_s=now_s)


# --- what zones ask -----------------------------------------------------------------------------------


def is_healthy(sensor: Sensor) -> bool:
    """Tell whether water at this sensor would be noticed."""
    is_whole = can_be_heard(sensor) and not sensor.health.reported
    return is_whole and (sensor.wet is not None or sensor.spec.silence_s is not None)


def can_be_heard(sensor: Sensor) -> bool:
    """Tell whether its "wet" counts; a rope with a broken cable is not healthy, but the water is there."""
    return not sensor.health.missing and not sensor.health.fault


def can_vote(sensor: Sensor) -> bool:
    """Tell whether its wet or dry of today can be believed."""
    return is_healthy(sensor) and sensor.heard


def is_wet(sensor: Sensor) -> bool:
    """Tell whether it has said wet since the start, and not dry since; also if it is silent now."""
    return sensor.heard and sensor.wet is True


def was_wet(sensor: Sensor) -> bool:
    """Tell whether its last word was wet, even if that was before a restart."""
    return sensor.wet is True


# --- what happens to it -------------------------------------------------------------------------------


def read(sensor: Sensor, reading: Reading, now_s: float) -> tuple[Sensor, list[Effect]]:
    """Take a decoded frame or edge."""
    match judge(reading, sensor.last, sensor.counter, keyed=sensor.spec.keyed):
        case Verdict.ACCEPTED:
            return _accept(sensor, reading, now_s)
        case Verdict.REPEATED:
            return _repeat(sensor, reading, now_s)
        case Verdict.EMPTY:
            return replace(sensor, rejected=sensor.rejected + 1), []
        case Verdict.REPLAYED:
            health = replace(sensor.health, replayed_until_s=now_s + SUSPICION_S)
        case Verdict.FORGED:
            health = replace(sensor.health, forged_until_s=now_s + SUSPICION_S)
    return _with_health(replace(sensor, rejected=sensor.rejected + 1), health)


def fault(sensor: Sensor, problem: str, now_s: float) -> tuple[Sensor, list[Effect]]:
    """Take a fault of the sensor or its loop. It lasts until the sensor says wet or dry again."""
    del now_s  # a fault is no sign of life
    return _with_health(sensor, replace(sensor.health, fault=problem or "faulty"))


def rejected(sensor: Sensor, problem: str, now_s: float) -> tuple[Sensor, list[Effect]]:
    """Take bytes that nobody understood: they are counted and feed nothing."""
    del problem, now_s  # if no better frame follows, the sensor is missed in time
    return replace(sensor, rejected=sensor.rejected + 1), []


def accept_counter_reset(sensor: Sensor) -> tuple[Sensor, list[Effect]]:
    """Take any counter next, as a person has confirmed a new battery or a new key."""
    sensor = replace(sensor, counter=None)
    after, effects = _with_health(sensor, replace(sensor.health, replayed_until_s=None))
    return after, [*effects, *_remembered(after, urgent=True)]


def tick(sensor: Sensor, now_s: float) -> tuple[Sensor, list[Effect]]:
    """Notice silence, the end of a suspicion and the end of chattering."""
    health = after_time(sensor.health, now_s)
    silent_s = _silent_at_s(sensor)
    if silent_s is not None and now_s >= silent_s:
        health = replace(health, missing=True)
    calmed = health.chattering and now_s >= sensor.flipped_s + CHATTER_QUIET_S
    if calmed:
        health = replace(health, chattering=False)
    after, effects = _with_health(sensor, health)
    return after, [*effects, *_wet_news(after), *_remembered(after, urgent=True)] if calmed else effects


def deadline_s(sensor: Sensor) -> float | None:
    """Return when `tick` has something to do next."""
    health = sensor.health
    ends = (
        None if health.missing else _silent_at_s(sensor),
        health.forged_until_s,
        health.replayed_until_s,
        health.mended_s,
        sensor.flipped_s + CHATTER_QUIET_S if health.chattering else None,
    )
    return min((end_s for end_s in ends if end_s is not None), default=None)


def view(sensor: Sensor, now_s: float) -> dict[str, Json]:
    """Return the sensor as persons and programs see it (docs/protocol.md, snapshot)."""
    faults: list[Json] = []
    for kind, condition in conditions(sensor.health, sensor.spec).items():
        faults.append(f"{kind}: {condition.detail}")
    return {
        "name": sensor.spec.name,
        "kind": sensor.spec.kind,
        "wet": sensor.wet,
        "distance_m": sensor.place.distance_m,
        "healthy": is_healthy(sensor),
        "faults": faults,
        "supervised": sensor.spec.supervised,
        "keyed": sensor.spec.keyed,
        "last_seen_s_ago": None if sensor.seen_s is None else now_s - sensor.seen_s,
        "battery_percent": sensor.battery_percent,
        "temperature_degc": sensor.temperature_degc,
        "rejected": sensor.rejected,
        "bypassed": False,
    }


# --- inside -------------------------------------------------------------------------------------------


def _accept(sensor: Sensor, reading: Reading, now_s: float) -> tuple[Sensor, list[Effect]]:
    after = replace(
        sensor,
        seen_s=now_s,
        last=reading,
        counter=reading.counter if sensor.spec.keyed else None,
        wet=sensor.wet if reading.wet is None else reading.wet,
        heard=sensor.heard or reading.wet is not None,
        place=follow(sensor.place, reading, now_s),
        settled=True,
        battery_percent=_newer(reading.battery_percent, sensor.battery_percent),
        battery_v=_newer(reading.battery_v, sensor.battery_v),
        temperature_degc=_newer(reading.temperature_degc, sensor.temperature_degc),
    )
    has_changed = after.wet != sensor.wet
    if has_changed:
        flips = sensor.flips + 1 if now_s < sensor.flipped_s + CHATTER_QUIET_S else 1
        after = replace(after, flips=flips, flipped_s=now_s)
    health = after_reading(sensor.health, sensor.spec, reading, now_s)
    if has_changed and after.flips > CHATTER_CHANGES:
        health = replace(health, chattering=True)
    after, effects = _with_health(after, health, first=not sensor.settled)
    is_first_dry = sensor.wet is None and after.wet is False
    has_moved = after.place is not sensor.place and after.place.told_m not in (None, sensor.place.told_m)
    if (has_changed or has_moved) and not is_first_dry and not health.chattering:
        effects += _wet_news(after)
    if sensor.spec.keyed or has_changed:
        effects += _remembered(after, urgent=has_changed and not health.chattering)
    return _telemetry(after, effects, now_s)


def _repeat(sensor: Sensor, reading: Reading, now_s: float) -> tuple[Sensor, list[Effect]]:
    if not sensor.spec.keyed:
        sensor = replace(sensor, seen_s=now_s)
        return _with_health(sensor, replace(sensor.health, missing=False))
    if reading.wet is True and was_wet(sensor):
        # the frame that was on the air when the power went: still wet, but no new sign of life
        return replace(sensor, heard=True), []
    return sensor, []


def _telemetry(sensor: Sensor, effects: list[Effect], now_s: float) -> tuple[Sensor, list[Effect]]:
    values = (sensor.battery_percent, sensor.battery_v, sensor.temperature_degc)
    too_soon = sensor.told_s is not None and now_s < sensor.told_s + TELEMETRY_EVERY_S
    if values == sensor.told or too_soon:
        return sensor, effects
    body: dict[str, Json] = {
        "sensor_id": sensor.spec.id,
        "battery_percent": sensor.battery_percent,
        "battery_v": sensor.battery_v,
        "temperature_degc": sensor.temperature_degc,
    }
    return replace(sensor, told=values, told_s=now_s), [*effects, Publish(Channel.TELE, "sensor", body)]


def _newer(value: _Value | None, known: _Value | None) -> _Value | None:
    return known if value is None else value


def _with_health(sensor: Sensor, health: Health, *, first: bool = False) -> tuple[Sensor, list[Effect]]:
    if not first and (health is sensor.health or health == sensor.health):
        return sensor, []
    return replace(sensor, health=health), changes(sensor.health, health, sensor.spec, first=first)


def _wet_news(sensor: Sensor) -> list[Effect]:
    body: dict[str, Json] = {"sensor_id": sensor.spec.id, "wet": sensor.wet}
    if sensor.place.told_m is not None:
        body["distance_m"] = sensor.place.told_m
    return [Publish(Channel.EVENT, "sensor", body)]


def _remembered(sensor: Sensor, *, urgent: bool) -> list[Effect]:
    if not sensor.spec.keyed and sensor.spec.silence_s is None:
        return []  # a wired contact is read again at the start
    value: dict[str, Json] = {"counter": sensor.counter, "wet": sensor.wet}
    return [Remember(_memory_key(sensor.spec), value, urgent)]


def _memory_key(spec: SensorSpec) -> str:
    return f"counter/{spec.id}"


def _silent_at_s(sensor: Sensor) -> float | None:
    if sensor.spec.silence_s is None:
        return None
    since_s = sensor.found_s if sensor.seen_s is None else sensor.seen_s
    return since_s + sensor.spec.silence_s
