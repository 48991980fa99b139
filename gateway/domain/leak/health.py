"""What can be wrong with a sensor, and with the place where it lies: conditions for the alarm table."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.evolve import replace
from gateway.domain.model import Reading, SignalClass
from gateway.domain.site import SensorSpec

SUSPICION_S = 600.0
"""A refused frame is trouble until none has come for this long."""

MENDED_S = 10.0
"""What a device says is wrong with itself is over when it has not said so for this long; and its words do not
change more often: a loose cable is one trouble, not one for each poll."""

FREEZE_HYSTERESIS_DEGC = 1.0
BATTERY_HYSTERESIS_PERCENT = 5
BATTERY_HYSTERESIS_V = 0.1

_KINDS = ("sensor-missing", "sensor-fault", "battery-low", "tamper", "replay", "freeze", "freeze-warning")


@dataclass(frozen=True)
class Health:
    """What is wrong; all defaults is nothing.

    Args:
        fault: Why it cannot be heard or believed, in words; "" for none. Over with its next wet or dry.
        reported: What the device says is wrong with itself, in words, since `reported_s`; "" for nothing.
        mended_s: When `reported` is over, unless the device says it again.
        opened: The sensor's own tamper contact.
        forged_until_s: End of the suspicion that somebody imitates the sensor.
        replayed_until_s: End of the suspicion that somebody repeats old frames.
    """

    missing: bool = False
    fault: str = ""
    reported: str = ""
    reported_s: float = 0.0
    mended_s: float | None = None
    chattering: bool = False
    battery_low: bool = False
    opened: bool = False
    forged_until_s: float | None = None
    replayed_until_s: float | None = None
    freezing: bool = False
    near_freezing: bool = False


def after_reading(health: Health, spec: SensorSpec, reading: Reading, now_s: float) -> Health:
    """Return the health after a frame that counts."""
    if not (health.missing or health.fault) and _says_only_wet(reading):
        return health
    if reading.fault is not None:
        health = _after_report(health, reading.fault, now_s)
    degc, was = reading.temperature_degc, health
    return replace(
        health,
        missing=False,
        fault="" if reading.wet is not None else health.fault,
        battery_low=_is_battery_low(health.battery_low, spec, reading),
        opened=health.opened if reading.tamper is None else reading.tamper,
        freezing=_is_cold(was.freezing, degc, spec.freeze_degc),
        near_freezing=_is_cold(was.near_freezing, degc, spec.freeze_warning_degc),
    )


def _says_only_wet(reading: Reading) -> bool:
    """Tell whether it is one of a wired contact: a valve waits for those."""
    return (
        reading.battery_low is None
        and reading.battery_percent is None
        and reading.battery_v is None
        and reading.temperature_degc is None
        and reading.tamper is None
        and reading.fault is None
    )


def _after_report(health: Health, fault: str, now_s: float) -> Health:
    if not fault:
        is_over = not health.reported or health.mended_s is not None
        return health if is_over else replace(health, mended_s=now_s + MENDED_S)
    if fault != health.reported and (not health.reported or now_s >= health.reported_s + MENDED_S):
        return replace(health, reported=fault, reported_s=now_s, mended_s=None)
    return health if health.mended_s is None else replace(health, mended_s=None)


def _is_battery_low(was_low: bool, spec: SensorSpec, reading: Reading) -> bool:
    margin_percent = BATTERY_HYSTERESIS_PERCENT if was_low else 0
    margin_v = BATTERY_HYSTERESIS_V if was_low else 0.0
    says: list[bool] = []
    if reading.battery_low is not None:
        says.append(reading.battery_low)
    if reading.battery_percent is not None:
        says.append(reading.battery_percent <= spec.battery_low_percent + margin_percent)
    if reading.battery_v is not None:
        says.append(reading.battery_v <= spec.battery_low_v + margin_v)
    return any(says) if says else was_low


def _is_cold(was_cold: bool, degc: float | None, limit_degc: float | None) -> bool:
    if degc is None or limit_degc is None:
        return was_cold
    return degc <= limit_degc + (FREEZE_HYSTERESIS_DEGC if was_cold else 0.0)


def after_time(health: Health, now_s: float) -> Health:
    """Return the health with suspicions and reported faults ended that are over."""
    if health.mended_s is not None and now_s >= health.mended_s:
        health = replace(health, reported="", mended_s=None)
    if health.forged_until_s is not None and now_s >= health.forged_until_s:
        health = replace(health, forged_until_s=None)
    if health.replayed_until_s is not None and now_s >= health.replayed_until_s:
        health = replace(health, replayed_until_s=None)
    return health


def conditions(health: Health, spec: SensorSpec) -> Mapping[str, Raise]:
    """Return what is wrong, by kind. The words do not change while the condition lasts."""
    supervisory, trouble = SignalClass.SUPERVISORY, SignalClass.TROUBLE
    refused = "a frame without a valid signature was refused" if health.forged_until_s is not None else ""
    opened = "its tamper contact is open" if health.opened else ""
    chatter = "it changes too often; look for a loose wire" if health.chattering else ""
    faults = "; ".join(filter(None, (health.fault, health.reported, chatter)))
    found = (
        (health.missing, "sensor-missing", trouble, f"silent for {spec.silence_s or 0:g} s"),
        (faults, "sensor-fault", trouble, faults),
        (health.battery_low, "battery-low", trouble, "replace the battery"),
        (opened or refused, "tamper", trouble, "; ".join(filter(None, (opened, refused)))),
        (health.replayed_until_s is not None, "replay", trouble, "a frame with an old counter was refused"),
        (health.freezing, "freeze", SignalClass.ALARM, f"{spec.freeze_degc or 0:g} degC or less"),
        (
            health.near_freezing,
            "freeze-warning",
            supervisory,
            f"{spec.freeze_warning_degc or 0:g} degC or less",
        ),
    )
    subject = f"sensor/{spec.id}"
    return {kind: Raise(kind, subject, cls, detail) for holds, kind, cls, detail in found if holds}


def changes(before: Health, after: Health, spec: SensorSpec, *, first: bool = False) -> list[Effect]:
    """Return what became wrong or right.

    `first`: alarms from before a restart may stand, so everything that is right is said, too.
    """
    if before == after and not first:
        return []
    known, now = conditions(before, spec), conditions(after, spec)
    gone: list[Effect] = [
        Clear(kind, f"sensor/{spec.id}") for kind in (_KINDS if first else known) if kind not in now
    ]
    return [*gone, *(condition for kind, condition in now.items() if known.get(kind) != condition)]
